"""What a page shows, as a frozen value: the tables of a recipe, and numbers for its parameters.

Everything else on the page follows from it, so that undoing is going back to another value, and saving is writing text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pdfkit.recipes.toml import Source
from pdfkit.recipes.written import document

__all__ = ["State"]


@dataclass(frozen=True)
class State:
    """Tables of a recipe ("data" and "phase" lists of tables, "fit" a table), and values of parameters by full name.

    fit : the number in the session's history of the fit that gave the values; 0 where none did, or one was moved since.
    """

    tables: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    fit: int = 0

    @property
    def data(self) -> tuple[Mapping[str, Any], ...]:
        """Tables of the data sets."""
        return tuple(self.tables.get("data", ()))

    @property
    def phases(self) -> tuple[Mapping[str, Any], ...]:
        """Tables of the phases."""
        return tuple(self.tables.get("phase", ()))

    @property
    def fitted(self) -> Mapping[str, Any]:
        """The table of the fit: what varies, ties, limits."""
        return dict(self.tables.get("fit", {"free": []}))

    def with_tables(self, **tables: Any) -> Self:
        """Return the state with other tables."""
        return replace(self, tables={**self.tables, **tables}, fit=0)

    def text(self) -> str:
        """Return the tables as the text of a recipe, with start values as in the tables."""
        return document(self.tables)

    def source(self) -> Source:
        """Return the text as the readers of recipes take it."""
        return Source("this page", self.text())

    def to_json(self) -> str:
        """Return the state as text from which `from_json` makes it again."""
        return json.dumps({"tables": self.tables, "values": self.values, "fit": self.fit})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the state of a text that `to_json` wrote."""
        return cls(**json.loads(text))
