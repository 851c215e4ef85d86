"""Files as the first state of a page: data and structures as the one-line fit proposes them, or a recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pdfkit.errors import PdfkitError
from pdfkit.live.state import State
from pdfkit.recipes.toml import STRUCTURES, Source

__all__ = ["opened"]


def opened(files: Sequence[str], folder: Path) -> State:
    """Return the state that files make: none, a recipe, data, structures (names that come with pdfkit too), or both."""
    from pdfkit.recipes.inputs import inputs
    from pdfkit.recipes.proposal import propose
    from pdfkit.recipes.written import recipe_of, relative

    if not files:
        return State()
    if any(file.endswith(".toml") for file in files):
        if len(files) > 1:
            raise PdfkitError("a recipe names its own data and structures: give it alone")
        _, raw = Source.read(files[0])
        return State(raw)
    structures = [one for one in files if Path(one).suffix.lower() in STRUCTURES or not Path(one).exists()]
    data = [one for one in files if one not in structures]
    if structures and data:
        return State(tomllib.loads(recipe_of(propose(inputs(files)), folder)))
    known = [{"file": relative(one, folder)} for one in data]
    phases = [{"structure": relative(one, folder) if Path(one).is_file() else one} for one in structures]
    return State({**({"data": known} if known else {}), **({"phase": phases} if phases else {})})
