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

__all__ = ["BEAM", "State"]

# How a model is measured, and where it is drawn (Å), while there are no data.
BEAM: Mapping[str, Any] = {"probe": "X", "qmin": 0.0, "qmax": 25.0, "qdamp": 0.0, "rmax": 30.0}


_KINDS = {"tables": dict, "values": dict, "fit": int, "beam": dict, "remarks": list, "results": list, "beside": list}


@dataclass(frozen=True)
class State:
    """Tables of a recipe ("data", "phase", "pattern": lists of tables), and values of parameters by full name.

    fit : the number in the session's history of the fit that gave the values; 0 where none did, or one was moved since.
    beam : what differs from `BEAM` while there are no data. remarks : what was assumed when files were opened.
    results : files (.h5) of fits that the history of a page begins with. beside : saved rankings and series that are
    shown beside the model.
    """

    tables: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    fit: int = 0
    beam: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def data(self) -> tuple[Mapping[str, Any], ...]:
        """Tables of the data sets."""
        return tuple(self.tables.get("data", ()))

    @property
    def phases(self) -> tuple[Mapping[str, Any], ...]:
        """Tables of the phases."""
        return tuple(self.tables.get("phase", ()))

    @property
    def patterns(self) -> tuple[Mapping[str, Any], ...]:
        """Tables of patterns beside G(r)."""
        return tuple(self.tables.get("pattern", ()))

    @property
    def fitted(self) -> dict[str, Any]:
        """The table of the fit: what varies, ties, limits."""
        return {"free": [], **self.tables.get("fit", {})}

    @property
    def measured_by(self) -> dict[str, Any]:
        """How a model is measured while there are no data, and to which r (Å) it is drawn."""
        return {**BEAM, **self.beam}

    def with_tables(self, **tables: Any) -> Self:
        """Return the state with other tables; those without content are left out."""
        found = {**self.tables, **tables}
        kept = {key: value for key, value in found.items() if value or key == "fit"}
        return replace(self, tables=kept, fit=0)

    def with_fit(self, **entries: Any) -> Self:
        """Return the state with other entries in the table of the fit; None and empty tables take one out."""
        found = {**self.fitted, **entries}
        kept = {key: one for key, one in found.items() if key == "free" or (one is not None and one not in ({}, []))}
        return self.with_tables(fit=kept)

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return the state with other values of parameters."""
        return replace(self, values=dict(values), fit=0)

    def text(self) -> str:
        """Return the tables as the text of a recipe, with start values as in the tables."""
        return document({**self.tables, "fit": self.fitted})

    def source(self) -> Source:
        """Return the text as the readers of recipes take it."""
        return Source("this page", self.text())

    def to_json(self) -> str:
        """Return the state as text from which `from_json` makes it again."""
        return json.dumps(self.__dict__)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the state of a text that `to_json` wrote."""
        found = json.loads(text)
        if wrong := [key for key, of in _KINDS.items() if not isinstance(found.get(key, of()), of)]:
            raise TypeError(f"{wrong[0]} of a state is no {_KINDS[wrong[0]].__name__}")
        lists = {key: tuple(found.get(key, ())) for key, of in _KINDS.items() if of is list}
        if not all(isinstance(one, str) for texts in lists.values() for one in texts):
            raise TypeError("remarks and files of a state are text")
        return cls(**{**found, **lists})
