"""Arithmetic on parameter names ("1.633*wz.a"), with exact derivatives and nothing else.

Expressions come from recipes, so only numbers, names, + − * / **, and a few functions are let through: no calls of
anything else, no attributes (a dotted name is one name), no indexing. Nothing is ever handed to Python's own eval.
All numbers are doubles (Python's integers grow without end), and an expression is at most 2000 characters, 800 symbols
and 150 levels, so that reading and evaluating it takes milliseconds at most.
"""

from __future__ import annotations

import ast
import copy
import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from pdfkit.errors import ParameterError, nearest, unwarned

Dual = tuple[float, dict[str, float]]

CONSTANTS = {"pi": math.pi}
FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sqrt": (math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    "exp": (math.exp, math.exp),
    "log": (math.log, lambda x: 1.0 / x),
    "sin": (math.sin, math.cos),
    "cos": (math.cos, lambda x: -math.sin(x)),
    "tan": (math.tan, lambda x: 1.0 / math.cos(x) ** 2),
    "asin": (math.asin, lambda x: 1.0 / math.sqrt(1.0 - x**2)),
    "acos": (math.acos, lambda x: -1.0 / math.sqrt(1.0 - x**2)),
    "atan": (math.atan, lambda x: 1.0 / (1.0 + x**2)),
}
# A sum over a hundred sites fits.
MOST_CHARACTERS, MOST_NODES, MOST_LEVELS = 2000, 800, 150
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)


class _DottedNames(ast.NodeTransformer):
    """Turn `zb.Cd.Uiso` (nested attributes) into one name, so that it cannot reach into objects."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        base = self.visit(node.value)
        if not isinstance(base, ast.Name):
            raise ParameterError(f"'.{node.attr}' follows something that is not a name: write names as phase.what")
        return ast.copy_location(ast.Name(id=f"{base.id}.{node.attr}", ctx=ast.Load()), node)


@lru_cache(maxsize=4096)
def parse(text: str) -> ast.Expression:
    """Return the syntax tree of `text` with dotted names as single names; ParameterError if it is not arithmetic."""
    if len(text) > MOST_CHARACTERS:
        raise ParameterError(
            f"expression {_short(text)} is longer than {MOST_CHARACTERS} characters: shorten it", key=text
        )
    try:
        with unwarned():  # Python has remarks on text that is refused below
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ParameterError(
            f"expression {_short(text)} is not arithmetic: write for example 1.633*wz.a", key=text
        ) from None
    _check_size(tree, text)
    tree = ast.fix_missing_locations(ast.Expression(_DottedNames().visit(tree.body)))
    _check(tree.body, text)
    return tree


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:60]} …")


def _check_size(tree: ast.AST, text: str) -> None:
    """Refuse what the functions below, which call themselves for every level, could not follow."""
    level, nodes, depth = [tree], 0, 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > MOST_NODES or depth > MOST_LEVELS:
            raise ParameterError(
                f"expression {_short(text)} has more than {MOST_NODES} symbols or {MOST_LEVELS} levels: simplify it",
                key=text,
            )
        inner = (child for node in level for child in ast.iter_child_nodes(node))
        level = [node for node in inner if not isinstance(node, ast.operator | ast.unaryop | ast.expr_context)]


def _check(node: ast.AST, text: str) -> None:
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            if _as_float(value) < math.inf:
                return
            raise ParameterError(f"expression {_short(text)} has a number that is too large: simplify it", key=text)
        case ast.Name():
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _check(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _OPERATORS):
            _check(left, text)
            return _check(right, text)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return _check(argument, text)
    raise ParameterError(
        f"expression {_short(text)} uses more than numbers, names, + - * / ** and {', '.join(FUNCTIONS)}: simplify it",
        key=text,
    )


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


@lru_cache(maxsize=4096)
def names(text: str) -> frozenset[str]:
    """Return the parameter names that the expression uses."""
    tree = parse(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
    return frozenset(found - set(CONSTANTS))


_WILD = frozenset("*?[")
# Names from which what each ending finds is remembered: a large cell has thousands, and thousands of ties.
_MANY_NAMES = 500


def matching(known: Iterable[str], pattern: str) -> list[str]:
    """Return the names that equal `pattern` or end in it after a dot; * and ? are wildcards.

    "a" gives zb.a and wz.a, "Cd.Uiso" gives zb.Cd.Uiso, "wz.*" everything of wz, "wz.Uiso" the Uiso of all sites of wz.
    ParameterError when nothing fits.
    """
    known = tuple(known)
    if not _WILD.intersection(pattern) and (found := _ending_in(known, pattern)):
        return found
    head, _, rest = pattern.partition(".")
    for words in (f"*.{pattern}", *([f".{head}.*.{rest}"] if rest else [])):
        if found := [name for name in known if fnmatch.fnmatchcase(f".{name}", words)]:
            return found
    endings = {".".join(name.split(".")[k:]) for name in known for k in range(name.count(".") + 1)}
    raise ParameterError(
        f"no parameter is called {pattern!r}: nearest are {nearest(pattern, sorted(endings))}", key=pattern
    )


def _ending_in(known: tuple[str, ...], ending: str) -> list[str]:
    """Return the names that are an ending, or end in it after a dot."""
    if len(known) >= _MANY_NAMES:
        return list(_by_ending(known).get(ending, ()))
    dotted = f".{ending}"
    return [name for name in known if name.endswith(dotted) or name == ending]


@lru_cache(maxsize=4)
def _by_ending(known: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the names that each ending finds."""
    out: dict[str, list[str]] = {}
    for name in known:
        words = name.split(".")
        for k in range(len(words)):
            out.setdefault(".".join(words[k:]), []).append(name)
    return out


def whole_name(known: Iterable[str], ending: str, like: str = "") -> str:
    """Return the one name that equals `ending` or ends in it after a dot: "a" is zb.a where no other phase has an a.

    like : of several, the name that says the same of another phase is meant: "wz.Uiso" like zb.Cd.Uiso is wz.Cd.Uiso;
    else the same word of the same phase or data set: "Se.Uiso" like zb.Cd.Uiso is zb.Se.Uiso.

    Raises ParameterError when no name fits, or several do, with these.
    """
    known = list(known)
    found = [ending] if ending in known else matching(known, ending)
    if len(found) > 1 and like:
        rest = like.partition(".")[2]
        alike = [name for name in found if name.partition(".")[2] == rest]
        beside = [name for name in found if _ends(name) == _ends(like) and name != like]
        found = next((one for one in (alike, beside) if len(one) == 1), found)
    if len(found) > 1:
        several = ", ".join(found[:6]) + (", …" if len(found) > 6 else "")
        whose = f" for {like}" if like else ""
        raise ParameterError(f"{ending!r} may be any of {several}{whose}: write one of these", key=ending)
    return found[0]


def _ends(name: str) -> tuple[str, str]:
    """Return what a name starts with, a phase or a data set, and its last word."""
    return name.partition(".")[0], name.rpartition(".")[2]


@lru_cache(maxsize=4096)
def written_out(text: str, known: tuple[str, ...], like: str = "") -> str:
    """Return the expression with its names in full, where it has endings of them. Raises as `whole_name`."""
    whole = {name: whole_name(known, name, like) for name in sorted(names(text)) if name not in known}
    if not whole:
        return text
    tree = copy.deepcopy(parse(text))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = whole.get(node.id, node.id)
    return ast.unparse(tree)


def evaluate(text: str, values: Mapping[str, float]) -> Dual:
    """Return the value of the expression and its partial derivatives by name.

    Raises ParameterError for an unknown name or an undefined result (1/0, √−1, more than a double holds).
    """
    tree = parse(text)
    try:
        value, slopes = _evaluate(tree.body, values)
        if not all(map(math.isfinite, (value, *slopes.values()))):
            raise OverflowError("it is not finite")
    except KeyError as error:
        raise ParameterError(
            f"expression {_short(text)} names {error.args[0]!r}, which is not a parameter", key=str(error.args[0])
        ) from None
    except (ZeroDivisionError, ValueError, OverflowError) as error:
        why = "too large" if isinstance(error, OverflowError) else str(error)
        raise ParameterError(
            f"expression {_short(text)} has no value here ({why}): change it, or the start values", key=text
        ) from None
    return value, slopes


def _evaluate(node: ast.AST, values: Mapping[str, float]) -> Dual:
    match node:
        case ast.Constant(value=value):
            return float(value), {}  # type: ignore[arg-type]  # _check let only int and float through
        case ast.Name(id=name):
            return (CONSTANTS[name], {}) if name in CONSTANTS else (float(values[name]), {name: 1.0})
        case ast.UnaryOp(op=op, operand=operand):
            x, dx = _evaluate(operand, values)
            return _chain(-x, [(-1.0, dx)]) if isinstance(op, ast.USub) else (x, dx)
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            x, dx = _evaluate(argument, values)
            function, derivative = FUNCTIONS[name]
            return _chain(function(x), [(derivative(x), dx)] if dx else [])
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _evaluate(left, values), _evaluate(right, values))
    raise ParameterError("expression is not arithmetic")


def _binary(op: ast.operator, left: Dual, right: Dual) -> Dual:
    (x, dx), (y, dy) = left, right
    match op:
        case ast.Add():
            return _chain(x + y, [(1.0, dx), (1.0, dy)])
        case ast.Sub():
            return _chain(x - y, [(1.0, dx), (-1.0, dy)])
        case ast.Mult():
            return _chain(x * y, [(y, dx), (x, dy)])
        case ast.Div():
            return _chain(x / y, [(1.0 / y, dx), (-x / y**2, dy)])
    value = x**y
    if isinstance(value, complex):
        raise ValueError("a negative number to a fractional power")
    parts: list[tuple[float, dict[str, float]]] = []
    if dx:
        parts.append((y * x ** (y - 1.0) if y != 0 else 0.0, dx))
    if dy:
        parts.append((value * math.log(x), dy))
    return _chain(float(value), parts)


def _chain(value: float, parts: list[tuple[float, dict[str, float]]]) -> Dual:
    gradient: dict[str, float] = {}
    for factor, inner in parts:
        for name, slope in inner.items():
            gradient[name] = gradient.get(name, 0.0) + factor * slope
    return value, gradient
