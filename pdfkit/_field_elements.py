"""What the rows of `pdfkit verify --files` ask about species: compositions, scattering strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def atom_fractions(path: Path) -> dict[str, float]:
    """Return the fraction of each species in a formula, as a reduction takes it."""
    from pdfkit._reduce_setup import parse_composition

    return parse_composition(path.read_text(encoding="utf-8").strip())


MAKERS: Mapping[str, Callable[..., Path]] = {}
QUESTIONS: Mapping[str, Callable[..., Any]] = {"atom fractions": atom_fractions}
