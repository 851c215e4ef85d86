"""The workbench: a page in the browser that shows data and models, moves parameters, and fits (`pdfkit live`).

`state` holds what the page shows as a value, a recipe with numbers; `actions` are pure functions of it; `prepared` and
`drawing` turn it into curves; `session` keeps one page's states, fits and files; `page` puts them into Bokeh's models;
`server` hands pages out, on this machine only. No physics is in here.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    """`pk.live` is the function of `notebook`; once this package is imported it has the name, so it can be called."""

    def __call__(self, *what: Any, **options: Any) -> Any:
        from pdfkit.live.notebook import live

        return live(*what, **options)


sys.modules[__name__].__class__ = _Called
