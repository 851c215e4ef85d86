"""What every command shares: how its results are printed, as text or as JSON, its progress, and its errors.

A command returns `Printed`; `command` makes of it what typer runs: it adds the option --json, collects remarks, and
names options in errors as they are typed.
"""

from __future__ import annotations

import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pdfkit._terminal import one_line, plain_json, show
from pdfkit.cli.options import AsJson
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError

if TYPE_CHECKING:
    from pdfkit.results.result import FitResult

LONGEST = 480  # characters of a message
MOST = 12  # files that are listed under a text
FIRST, EVERY = 1.0, 10.0  # seconds

# --- Results ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Printed:
    """What a command found: text for people, values for programs, files that it wrote.

    remarks : what is to be known of the result; warnings : the same, said on stderr too. code : of the exit.
    error : what to say on stderr after everything else was printed; the exit code is 2 then.
    """

    text: str = ""
    files: Sequence[Path] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    warnings: Sequence[str] = ()
    code: int = 0
    error: str = ""


def faults(result: FitResult, of: str = "") -> list[str]:
    """Return what is wrong with a fit; of : what it is called, where there are several."""
    out = [] if result.converged else [f"{of or 'the fit'} did not converge: {result.message}"]
    lead = f"{of}: " if of else ""
    out += [f"{lead}the model does not describe the data: Rw = {result.rw:.2f}"] * (not result.describes)
    names = [name.rpartition(".")[0] for name in result.at_bounds for text in result.remarks if _is_absent(name, text)]
    if result.describes and names:
        out.append(
            f"{lead}the data do not show {', '.join(dict.fromkeys(names))} where the structure has them: is this the "
            f"structure of the sample (Rw = {result.rw:.2f})?"
        )
    return out


def _is_absent(name: str, remark: str) -> bool:
    """Return whether a remark says that the U of a site grew without an end, as that of atoms that are not there."""
    from pdfkit.fitting.bounds import NOT_THERE

    return remark.startswith(f"{name} ended") and NOT_THERE in remark


def command(function: Callable[..., Printed]) -> Callable[..., None]:
    """Return what typer runs for a command: with --json, and errors that name its options."""

    @wraps(function)
    def run(json: bool = False, **options: Any) -> None:
        with _options_named(function), _remarks() as remarks:
            found = function(**options)
        _print(function.__name__.replace("_", "-"), found, remarks, json)

    about = inspect.signature(function, eval_str=True)
    last = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    run.__signature__ = about.replace(parameters=[*about.parameters.values(), last])  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in about.parameters.items()} | {"json": AsJson}
    run.__doc__ = _unwrapped(function.__doc__ or "")
    return run


def _unwrapped(text: str) -> str:
    """Return a text with each paragraph on one line, for a help that breaks lines where the terminal does."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _print(name: str, found: Printed, remarks: Sequence[str], as_json: bool) -> None:
    if as_json:
        all_remarks = dict.fromkeys([*remarks, *found.remarks, *found.warnings])
        head = {"command": name, "files": [str(file) for file in found.files], "remarks": list(all_remarks)}
        _print_json({**found.values, **head})
    else:
        show(*_lines(found))
    for text in found.warnings:
        say(f"warning: {text}")
    if found.error:
        raise PdfkitError(found.error)
    if found.code:
        raise typer.Exit(found.code)


def _lines(found: Printed) -> list[str]:
    """Return the text, and under it the files that it does not name."""
    names = [str(file) for file in found.files if str(file) not in found.text]
    if not found.text:
        return names
    more = [f"… and {len(names) - MOST} more"] if len(names) > MOST else []
    return [found.text, *(["\nfiles:"] if names else []), *(f"  {name}" for name in [*names[:MOST], *more])]


def _print_json(value: Any) -> None:
    import json

    show(plain_json(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)))


def _finite(value: Any) -> Any:
    """Return the value with null for every number that JSON does not have, and plain values for those of numpy."""
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return str(value) if isinstance(value, Path) else value


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """Give the list of what is remarked in the block; it is shown on stderr as usual, too."""
    found: list[str] = []
    usual = warnings.showwarning

    def keep(message: Warning | str, category: type[Warning], *about: Any, **more: Any) -> None:
        if issubclass(category, PdfkitWarning):
            if (text := one_line(str(message))) in found:  # a file that is read again says the same again
                return
            found.append(text)
        usual(message, category, *about, **more)

    warnings.showwarning = keep
    try:
        yield found
    finally:
        if warnings.showwarning is keep:
            warnings.showwarning = usual


def say(text: str) -> None:
    """Print one line to stderr; of a name without end, its ends."""
    text = one_line(text)
    show(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 + 3 :]}", file=sys.stderr)


# --- Options that several commands read ------------------------------------------------------------------------------


def named_values(option: str, given: Sequence[str]) -> dict[str, float]:
    """Return the NAME=VALUE texts of an option as numbers by name."""
    out = {}
    for one in given:
        name, _, text = one.partition("=")
        try:
            out[name.strip()] = float(text)
        except ValueError:
            raise PdfkitError(f"{option} {one} is not NAME=VALUE: write for example {option} Uiso=0.02") from None
        if not abs(out[name.strip()]) < float("inf"):
            raise PdfkitError(f"{option} {one} is not finite: give a number")
    return out


def with_picture(target: Path, plot: bool, inputs: Sequence[Any]) -> list[Path]:
    """Return the file to write and, where one is asked for, its picture; neither may be the other, or an input."""
    from pdfkit.io._atomic import check_target

    files = [target, target.with_suffix(".png")] if plot else [target]
    if files[1:] == [target]:
        raise PdfkitError(f"{target} is the name of the picture: give the data another, such as {target.stem}.dat")
    for one in files:
        check_target(one, inputs)
    return files


# --- Errors ----------------------------------------------------------------------------------------------------------

# Arguments of functions whose option has another name.
_SPOKEN = {"Uiso": "uiso", "r_unit": "unit", "q_unit": "unit", "as_": "as"}


@contextmanager
def _options_named(function: Callable[..., Any]) -> Iterator[None]:
    """Name options in errors as they are typed: --kind S for kind="S", --rho0 for rho0=, --qmax -1 for qmax = -1."""
    try:
        yield
    except PdfkitError as error:
        text = with_options(str(error), inspect.signature(function).parameters, of_file=isinstance(error, ReadError))
        if text == str(error):
            raise
        raise PdfkitError(text) from error


def with_options(text: str, names: Sequence[str] | Mapping[str, Any], *, of_file: bool = False) -> str:
    """Return a message with the options of a command in place of the arguments of the functions behind it.

    of_file : what reads "name = value" is then a line of the file.
    """
    known = {name: f"--{name.strip('_').replace('_', '-')}" for name in names}
    known |= {python: f"--{option}" for python, option in _SPOKEN.items() if option in known or f"{option}_" in known}
    if not known:
        return text
    name = rf"(?<![\w.\-\[])({'|'.join(map(re.escape, known))})"
    text = re.sub(name + r'=[\'"]([^\'"\s]+)[\'"]', lambda found: f"{known[found[1]]} {found[2]}", text)
    text = re.sub(name + r"=(?=[\s,;:)]|$)", lambda found: known[found[1]], text)
    if of_file:
        return text
    return re.sub(name + r" = (?=\S)", lambda found: f"{known[found[1]]} ", text)


# --- Progress --------------------------------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give the function to call with what is being done: a live line on a terminal, elsewhere a line now and then."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("reading") as status:
            yield status.update
    else:
        yield _Lines()


class _Lines:
    """Prints a line a second after the first call, then one every ten seconds."""

    def __init__(self) -> None:
        self.due: float | None = None

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if self.due is None:
            self.due = now + FIRST
        if now >= self.due:
            self.due = now + EVERY
            show(text, file=sys.stderr)
            sys.stderr.flush()


class Fitting:
    """Called with (evaluations, Rw) during a fit; `names` says what of it is under way."""

    def __init__(self, tell: Callable[[str], None], of: str) -> None:
        self.tell, self.of, self.part = tell, of, "fitting"

    def names(self, part: str) -> None:
        """Say what is done next, such as "looking for the cell"."""
        self.part = part

    def __call__(self, nfev: int, rw: float) -> None:
        """Show how far the fit is."""
        self.tell(f"{', '.join(filter(None, (self.of, self.part)))}: evaluation {nfev}, Rw {rw:.4f}")


@contextmanager
def fitting(of: str = "") -> Iterator[Fitting]:
    """Give what to call with (evaluations, Rw) during a fit."""
    with progress() as tell:
        yield Fitting(tell, of)


@contextmanager
def counting() -> Iterator[Callable[[int, int, object], None]]:
    """Give the function (done, all, what is next) to call during a series of steps."""
    with progress() as tell:
        yield lambda done, total, what: tell(f"{min(done + 1, total)} of {total}: {what}")
