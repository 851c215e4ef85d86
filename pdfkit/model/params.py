"""Parameters of a fit: `lmfit.Parameters` under dotted names, and the map from free values to model quantities."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit._expressions import matching
from pdfkit._table import frame, shortlist, view
from pdfkit.errors import ParameterError
from pdfkit.model import _lmfit
from pdfkit.phases.base import Quantity

if TYPE_CHECKING:
    from pandas import DataFrame


class _Arithmetic:
    """What lmfit asks of its evaluator, asteval: ours knows arithmetic on dotted names and nothing else.

    Expressions may come from a recipe or a file: see `_expressions` for what they may hold.
    """

    def __init__(self) -> None:
        self.symtable: dict[str, float] = {}
        self.error: list[Any] = []
        self.error_msg: str | None = None

    def parse(self, text: str) -> ast.Expression:
        """Return the tree of an expression, which remembers its text."""
        tree = _expressions.parse(str(text))
        tree.text = str(text)  # type: ignore[attr-defined]  # lmfit keeps the tree alone
        return tree

    def __call__(self, expression: Any) -> float:
        """Return the value of an expression, a text or what `parse` returned."""
        text = expression if isinstance(expression, str) else expression.text
        return _expressions.evaluate(text, self.symtable)[0]

    eval = __call__

    def user_defined_symbols(self) -> set[str]:
        """Return the names to take along into a copy: none, for parameters enter them by themselves."""
        return set()


class Parameters(_lmfit.Parameters):  # type: ignore[misc]  # lmfit has no types
    """`lmfit.Parameters` whose names may hold dots: "zb.a", "wz.Cd.Uiso", "qdamp".

    params["a"] is params["zb.a"] where no other name ends so; ParameterError tells those that do. Everything else is
    lmfit's: bounds, `vary`, `expr`, `pretty_print`, copies. Expressions are arithmetic on parameter names only. `dumps`
    and `loads` keep them as JSON; reading it runs no code, whatever it holds.

    Example
    -------
    >>> import pdfkit as pk
    >>> params = pk.Parameters()
    >>> params.add("zb.a", value=6.05, min=5.9, max=6.2)
    >>> params.add("wz.a", expr="zb.a / 2**0.5")  # the same bond length in both
    >>> round(params["wz.a"].value, 3)
    4.278
    >>> params["a"]
    Traceback (most recent call last):
        ...
    pdfkit.errors.ParameterError: 'a' may be any of zb.a, wz.a: write one of these
    """

    def __init__(self) -> None:
        dict.__init__(self)  # not lmfit's: that makes an evaluator with functions and symbols
        self._asteval = _Arithmetic()

    def __missing__(self, ending: str) -> _lmfit.Parameter:
        return dict.__getitem__(self, _expressions.whole_name(self, ending))

    def __setitem__(self, key: str, par: _lmfit.Parameter) -> None:
        if not all(part.isidentifier() for part in key.split(".")):
            raise ParameterError(f"{key!r} is not a parameter name: use words joined by dots, like zb.a")
        if not isinstance(par, _lmfit.Parameter):
            raise ParameterError(f"{key} must be an lmfit.Parameter, not {type(par).__name__}")
        par.name = key
        par._expr_eval = self._asteval
        self._asteval.symtable[key] = float(par.value)  # a tie that has no value ends here
        dict.__setitem__(self, key, par)

    def copy(self) -> Parameters:
        """Return a copy: its parameters are its own, and what they know of themselves (`user_data`)."""
        out = type(self)()
        for name, par in self.items():
            new = _lmfit.Parameter.__new__(_lmfit.Parameter)
            new.__dict__.update(par.__dict__)
            new.correl, new.user_data = _copied(par.correl), _copied(par.user_data)
            new._expr_eval = out._asteval
            new.setup_bounds()  # it refers to the parameter itself
            dict.__setitem__(out, name, new)
        out._asteval.symtable.update(self._asteval.symtable)
        return out

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Parameters:
        return self.copy()

    def columns(self) -> dict[str, list[Any]]:
        """Return the parameters as columns: name, value, stderr, min, max, vary, expr, start, unit, held.

        held : why a fit held what was to be free, in a sentence; "" of all others.
        """
        units = [str((par.user_data or {}).get("unit", "")) for par in self.values()]
        names = {"value": "value", "stderr": "stderr", "min": "min", "max": "max", "vary": "vary", "expr": "expr"}
        own = {
            name: [getattr(par, of) for par in self.values()] for name, of in (*names.items(), ("start", "init_value"))
        }
        return {"name": list(self), **own, "unit": units, "held": list(map(why_held, self.values()))}

    def to_dataframe(self) -> DataFrame:
        """Return the parameters as a `pandas.DataFrame`, one a row."""
        return frame(self.columns())

    def _repr_html_(self) -> str:
        table = self.columns()
        state = [par.expr or ("free" if par.vary else "held" if is_held(par) else "fixed") for par in self.values()]
        digits = {"value": 7, "stderr": 2, "min": 5, "max": 5}
        numbers = [[_number(value, count) for value in table[name]] for name, count in digits.items()]
        rows = list(zip(table["name"], *numbers[:2], table["unit"], *numbers[2:], state, strict=True))
        heads = ("", "value", "error", "unit", "min", "max", "")
        return view(shortlist(f"{len(self)} parameters, {sum(table['vary'])} of them free", heads, rows, most=100))

    def dumps(self, **kws: Any) -> str:
        """Return the parameters as JSON, in lmfit's form; keywords are those of `json.dumps`."""
        return json.dumps({"unique_symbols": {}, "params": [par.__getstate__() for par in self.values()]}, **kws)

    def loads(self, s: str, **kws: Any) -> Parameters:
        """Take the parameters of a JSON text in place of the present ones, and return them.

        Functions that lmfit may have put into it are left out: they are pickled, and would run when read. Raises
        ParameterError for a text that is no such JSON; the parameters are then as before.
        """
        try:
            rows = json.loads(s, **kws)["params"]
            read = [_parameter(*row) for row in rows]
        except ParameterError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise ParameterError(
                f"this text does not hold parameters in JSON ({reason}): write it again with params.dumps()"
            ) from None
        new = Parameters()
        new.add_many(*read)
        new.valuesdict()  # ties are evaluated now, or refused
        self.clear()
        self._asteval.symtable.clear()
        self.add_many(*new.values())
        return self


PLAIN = frozenset({str, float, bool, int, tuple})
"""Types of what nothing can change."""


def _copied(value: Any) -> Any:
    """Return a copy of a dict; of one that holds nothing that could change, in a tenth of the time."""
    if value is None:
        return None
    if type(value) is dict and PLAIN.issuperset(map(type, value.values())):
        return value.copy()
    return deepcopy(value)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def _parameter(
    name: Any,
    value: Any,
    vary: Any,
    expr: Any,
    low: Any,
    high: Any,
    brute_step: Any,
    stderr: Any,
    correl: Any,
    init_value: Any,
    user_data: Any,
) -> _lmfit.Parameter:
    """Return the parameter of a row of JSON, which may hold numbers, text and plain data only."""
    if not isinstance(name, str) or not isinstance(expr, str | None):
        raise ParameterError(f"the name or the tie of parameter {str(name)[:40]!r} is not text: put both in quotes")
    numbers = [None if one is None else float(one) for one in (value, low, high, brute_step, stderr, init_value)]
    value, low, high, brute_step, stderr, init_value = numbers
    if any(one is not None and math.isnan(one) for one in (value, low, high)):
        raise ParameterError(f"the value or a limit of {name[:40]} is not a number: correct it")
    par = _lmfit.Parameter(name, value, bool(vary), low, high, brute_step=brute_step, user_data=user_data)
    if isinstance(user_data, dict):  # JSON has lists only
        par.user_data = {key: tuple(one) if isinstance(one, list) else one for key, one in user_data.items()}
    par.expr, par.stderr, par.init_value = expr, stderr, init_value
    par.correl = None if correl is None else {str(other): float(r) for other, r in dict(correl).items()}
    return par


def make_parameters(quantities: Iterable[Quantity]) -> Parameters:
    """Return Parameters of the quantities, all fixed, with default bounds; unit and meaning in `user_data`.

    A start value outside the default limits of its quantity widens them, to a quarter of itself beyond.
    """
    out = Parameters()
    for q in quantities:
        low, high = _around(q)
        par = _lmfit.Parameter(q.name, value=q.value, vary=False, min=low, max=high if high > low else low + 1.0)
        par.user_data = {
            "unit": q.unit,
            "meaning": q.meaning,
            "refinable": q.refinable,
            "made": (float(q.value), par.min, par.max),
            "possible": (q.least, q.most),
        }
        out[q.name] = par
    return out


def set_correlations(params: Parameters, free: Sequence[str], covariance: Array) -> None:
    """Put the correlations of free parameters into them; none with what has no error."""
    sigma = np.sqrt(np.diag(covariance))
    size = np.outer(sigma, sigma)
    known = np.isfinite(size) & (size > 0)
    for i, name in enumerate(free):
        others = [(k, other) for k, other in enumerate(free) if k != i and known[i, k]]
        params[name].correl = {other: float(covariance[i, k] / size[i, k]) for k, other in others}


def _around(q: Quantity) -> tuple[float, float]:
    room = 0.25 * abs(q.value)
    low = q.low if q.value >= q.low else max(q.value - room, min(q.least, q.value))
    high = q.high if q.value <= q.high else min(q.value + room, max(q.most, q.value))
    return low, high


def apply_choices(
    params: Parameters,
    free: Iterable[str] = (),
    ties: Mapping[str, str | float] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
) -> tuple[str, ...]:
    """Set what varies, what follows an expression, and limits; names are matched by their ending (`matching`).

    Returns remarks on what could not be done as it was said. Raises ParameterError for names that do not exist,
    quantities that cannot be refined, limits in the wrong order, ties to themselves.
    """
    freed = {pattern: refinable(params, pattern) for pattern in _checks.names("free", free)}
    for name in (name for names in freed.values() for name in names):
        params[name].vary = True
    tied, known = set(), tuple(params)
    for pattern, expression in _items("ties", ties, '{"zb.a": "1.414*wz.a"}'):
        tied.update(_tie(params, known, pattern, str(expression)))
    _check_cycles(params)
    followers = (name for names in freed.values() if tied.issuperset(names) for name in names)
    remarks = [_freed_and_tied(params, name) for name in dict.fromkeys(followers)]
    for pattern, pair in _items("bounds", bounds, '{"zb.a": (5.9, 6.2)}'):
        low, high = _pair(pattern, pair)
        remarks += [_set_bounds(params[name], low, high) for name in matching(params, pattern)]
    return tuple(filter(None, remarks))


def _freed_and_tied(params: Parameters, name: str) -> str:
    """Say what becomes of a freed parameter that follows others; one that nothing else frees is freed in its place."""
    expression, leader = params[name].expr, params[name]
    while leader.expr and len(found := _expressions.names(leader.expr)) == 1:
        leader = params[next(iter(found))]
    if leader.expr or leader.vary or not (leader.user_data or {}).get("refinable", True):
        return f"{name} is both free and tied to {expression}: the tie holds"
    leader.vary = True
    return f"{name} is both free and tied to {expression}: {leader.name}, which nothing else frees, varies for it"


def refinable(params: Parameters, pattern: str) -> list[str]:
    """Return the names that a pattern frees: of those that wildcards find, the ones that can be refined."""
    names = matching(params, pattern)
    fixed = [name for name in names if not (params[name].user_data or {}).get("refinable", True)]
    if fixed and (len(fixed) == len(names) or not set("*?") & set(pattern)):
        meaning = params[fixed[0]].user_data["meaning"]
        raise ParameterError(f"{fixed[0]} ({meaning}) cannot be refined: set its value instead", key=pattern)
    return [name for name in names if name not in fixed]


def _items(what: str, given: Any, example: str) -> Iterable[tuple[str, Any]]:
    if given is not None and not isinstance(given, Mapping):
        raise ParameterError(f"{what} must be a dict with names as keys: write {what}={example}", key=what)
    return (given or {}).items()


def _pair(pattern: str, pair: Any) -> tuple[float | None, float | None]:
    try:
        low, high = pair
        return (None if low is None else float(low)), (None if high is None else float(high))
    except (TypeError, ValueError):
        raise ParameterError(
            f"bounds of {pattern} are not two numbers: give (low, high), or None to keep a limit", key=pattern
        ) from None


def _tie(params: Parameters, known: tuple[str, ...], pattern: str, expression: str) -> list[str]:
    """Tie every parameter that the pattern names, and return them; one that the expression is stays as it is.

    known : the names of all, one tuple for all ties: what is remembered of names keeps it.
    An ending in the expression that several names have means, for each, the one of the same rest: "zb.Uiso" =
    "wz.Uiso" ties zb.Cd.Uiso to wz.Cd.Uiso, and zb.Se.Uiso to wz.Se.Uiso.
    """
    names, tied = matching(known, pattern), {}
    for name in names:
        try:
            tied[name] = _expressions.written_out(expression, known, name)
        except ParameterError as error:
            raise ParameterError(f"tie {pattern} = {expression}: {error}", key=pattern) from None
    same = [name for name in names if tied[name].strip() == name] if len(names) > 1 else []
    others = {name: text for name, text in tied.items() if name not in same}
    itself = [name for name, text in others.items() if name in _expressions.names(text)]
    if itself or not others:
        raise ParameterError(
            f"tie {pattern} = {expression} ties {(itself or same)[0]} to itself: use another parameter, or leave it "
            "out",
            key=pattern,
        )
    for name, text in others.items():
        params[name].expr = text
    return list(others)


def _set_bounds(par: Any, low: float | None, high: float | None) -> str:
    """Set the limits of a parameter and return what is to be said of it, or ""."""
    new_low = par.min if low is None else low
    new_high = par.max if high is None else high
    if not new_low < new_high:
        raise ParameterError(
            f"bounds of {par.name} are {new_low:g} and {new_high:g}: the first must be smaller", key=par.name
        )
    said = f"the bounds {new_low:g} to {new_high:g}"
    least, most = possible(par)
    if new_low > most or new_high < least:
        raise ParameterError(
            f"bounds of {par.name} are {new_low:g} and {new_high:g}, but it must lie between {least:g} and {most:g}: "
            "correct them",
            key=par.name,
        )
    beyond = most < new_high < math.inf or -math.inf < new_low < min(least, 0.0)
    new_low, new_high = max(new_low, least), min(new_high, most)
    cut = (
        f"bounds of {par.name} were narrowed to {new_low:g} to {new_high:g}, the values that are possible"
        if beyond
        else ""
    )
    if par.expr:
        par.set(min=new_low, max=new_high)
        return cut
    value = float(par.value)
    if not par.vary and not new_low <= value <= new_high:
        return f"{par.name} is fixed at {value:g}, which lies outside {said}: the bounds have no effect"
    par.set(min=new_low, max=new_high)
    par.value = min(max(value, new_low), new_high)
    if par.value == value:
        return cut
    return f"{par.name} starts at {par.value:g}, because its value {value:g} lies outside {said}"


def possible(par: Any) -> tuple[float, float]:
    """Return what a parameter can be at all."""
    low, high = (par.user_data or {}).get("possible", (-math.inf, math.inf))
    return float(low), float(high)


def is_held(par: Any) -> bool:
    """Return whether a fit held a parameter because it has no effect."""
    return not par.vary and "held" in (par.user_data or {})


def why_held(par: Any) -> str:
    """Return why a fit held a parameter, "" where it did not."""
    return str(par.user_data["held"]) if is_held(par) else ""


def is_default(par: Any) -> bool:
    """Return whether the limits of a parameter are still those it was made with."""
    made = (par.user_data or {}).get("made")
    return made is not None and (par.min, par.max) == tuple(made[1:])


def put(par: Any, value: float) -> None:
    """Give a parameter a value; limits that nobody set make room for it."""
    about = par.user_data or {}
    start, low, high = about.get("made", (None, None, None))
    if value < par.min and par.min == low:
        about["made"] = (start, value, high)
        par.set(min=value)
    elif value > par.max and par.max == high:
        about["made"] = (start, low, value)
        par.set(max=value)
    par.value = value


def _check_cycles(params: Parameters) -> None:
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            raise ParameterError(f"ties form a circle: {' -> '.join([*trail, name])}; remove one of them")
        if name in done or not params[name].expr:
            return
        for inner in _expressions.names(params[name].expr):
            visit(inner, (*trail, name))
        done.add(name)

    for name in params:
        visit(name, ())
