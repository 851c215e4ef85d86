"""The workbench: a page in the browser that shows data and models, moves parameters, and fits (`pdfkit live`).

`state` holds what the page shows as a value, a recipe with numbers; `actions` are pure functions of it; `prepared`
turns it into curves; `session` keeps one page's states, fits and files; `page` puts them into Bokeh's models; `door`
answers at once, on this machine only, while `server` and all that it needs are loaded; `notebook` is `pk.live`. No
physics is in here.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pdfkit.errors import PdfkitError

__all__ = ["bokeh_scripts"]


def bokeh_scripts() -> Path:
    """Return the folder of the scripts that Bokeh brings, which is not loaded; PdfkitError where it is missing."""
    found = find_spec("bokeh")
    if found is None or found.origin is None:
        raise PdfkitError("the workbench needs bokeh: install it with pip install 'pdfkit-scattering[live]'")
    return Path(found.origin).with_name("server") / "static" / "js"
