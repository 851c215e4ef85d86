"""Names of parameters where phases and data sets come, go and change theirs: all that refers to them follows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pdfkit import _expressions
from pdfkit._expressions import matching
from pdfkit.errors import ParameterError
from pdfkit.workbench.state import State

__all__ = ["Renaming"]

_NAME = re.compile(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Renaming:
    """Full names before → after, None for those that are gone; `new`: names that had no part in it before."""

    names: Mapping[str, str | None]
    new: tuple[str, ...] = ()

    @property
    def after(self) -> list[str]:
        """All names afterwards."""
        return [*(name for name in self.names.values() if name), *self.new]

    def of(self, state: State, now: Mapping[str, float] | None = None) -> State:
        """Return the state with values, and all that is said of parameters under [fit], by their new names.

        now : values of all by their names before; what followed one that is gone keeps its own, and a remark says so.
        """
        fit = dict(state.fitted)
        for key, change in (("ties", self._ties), ("bounds", self._keys), ("start", self._keys), ("variables", dict)):
            if key in fit:
                fit[key] = change(fit[key])
        fit["free"] = self._free(fit["free"])
        if "stage" in fit:
            fit["stage"] = [self._stage(one) for one in fit["stage"]]
        if "restraints" in fit:
            found = (self._restraint(one) for one in fit["restraints"])
            fit["restraints"] = [one for one in found if one is not None]
        if isinstance(fit.get("search"), Mapping):
            fit["search"] = self._search(fit["search"])
        values = {new: value for name, value in state.values.items() if (new := self.names.get(name, name))}
        kept = self._left_alone(state.fitted.get("ties", {}), fit.get("ties", {}), now or {})
        said = [f"{one} keeps its value, {value:g}: what it followed is gone" for one, value in kept.items()]
        after = state.with_fit(**{key: fit.get(key) for key in {*state.fitted, *fit}}).with_values({**values, **kept})
        return replace(after, remarks=tuple(dict.fromkeys([*state.remarks, *said])))

    def _left_alone(self, ties: Iterable[str], after: Iterable[str], now: Mapping[str, float]) -> dict[str, float]:
        """Return the values of what was tied and is no more, by its new name."""
        before = {name for pattern in ties for name in self._found(pattern)} & now.keys()
        tied = {name for pattern in after for name in _matching(self.after, pattern)}
        return {new: now[one] for one, new in self.names.items() if one in before and new and new not in tied}

    def _found(self, pattern: str) -> list[str]:
        return _matching(self.names, pattern)

    def pattern(self, pattern: str) -> list[str]:
        """Return what names the same as a pattern did: itself where it can stay, else the names in full."""
        found = self._found(pattern)
        wanted = [new for name in found if (new := self.names[name])]
        if not found or not wanted:
            return [] if found else [pattern]
        try:
            now = set(matching(self.after, pattern)) - set(self.new)
        except ParameterError:
            now = set()
        whole = pattern in self.names
        return [pattern] if now == set(wanted) and not whole else wanted

    def _free(self, free: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(new for one in free for new in self.pattern(one)))

    def _keys(self, table: Mapping[str, Any]) -> dict[str, Any]:
        return {new: value for one, value in table.items() for new in self.pattern(one)}

    def _ties(self, ties: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, expression in ties.items():
            found = self._found(name)
            texts = {one: self.expression(str(expression), [one]) for one in found or [name]}
            if len(set(texts.values())) > 1:  # an ending that follows another, each name its own: Uiso of each element
                out |= {new: text for one, text in texts.items() if text is not None and (new := self.names.get(one))}
            elif (text := next(iter(texts.values()))) is not None:
                out |= dict.fromkeys(self.pattern(name), text if isinstance(expression, str) else expression)
        return out

    def expression(self, text: str, like: Sequence[str] = ()) -> str | None:
        """Return an expression by the new names; None where one that it needs is gone."""
        try:
            used = _expressions.names(text)
        except ParameterError:
            return text
        found = {one: self._of_expression(one, like) for one in used}
        if None in found.values():
            return None
        return _NAME.sub(lambda match: str(found.get(match[0], match[0])), text)

    def _of_expression(self, word: str, like: Sequence[str]) -> str | None:
        if word in self.names:
            return self.names[word]
        found = self._found(word)
        if not found:
            return word
        wanted = [self.names[one] for one in found]
        if not any(wanted):
            return None
        if self.pattern(word) == [word]:
            return word
        if len(wanted) == 1:
            return wanted[0]
        try:
            return self.names[_expressions.whole_name(self.names, word, *like)]
        except ParameterError:
            return word

    def _stage(self, stage: Mapping[str, Any]) -> dict[str, Any]:
        return {**stage, **({"free": self._free(_texts(stage["free"]))} if "free" in stage else {})}

    def _restraint(self, one: Mapping[str, Any]) -> dict[str, Any] | None:
        if "phase" in one:
            heads = {name.partition(".")[0]: new for name, new in self.names.items()}
            new = heads.get(one["phase"], one["phase"])
            return None if new is None else {**one, "phase": new.partition(".")[0]}
        text = self.expression(str(one.get("expression", "")))
        return None if text is None else {**one, "expression": text}

    def _search(self, search: Mapping[str, Any]) -> dict[str, Any]:
        own = ("starts", "seed", "workers")
        ranges = self._keys({key: value for key, value in search.items() if key not in own})
        return {**ranges, **{key: search[key] for key in own if key in search}}


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that a pattern means, none where it is of others."""
    try:
        return matching(names, pattern)
    except ParameterError:
        return []


def _texts(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
