"""The command `pdfkit`: what belongs to its process (signals, streams, exit codes), and the list of its commands.

Errors of input are one line on stderr and exit code 2; Ctrl-C exits with 130. Nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pdfkit._terminal import one_line, show
from pdfkit.cli import (
    checks,
    clusters,
    demo,
    fits,
    info,
    pictures,
    projects,
    reductions,
    screening,
    series,
    simulation,
    trajectories,
    views,
    watching,
    workbench,
)
from pdfkit.cli.console import command, say
from pdfkit.errors import PdfkitError, PdfkitWarning, missing

app = typer.Typer(
    name="pdfkit",
    help="Atomic pair distribution functions: fast G(r) from models, fits of measured data, partials.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> NoReturn:
    """Run the command line; every error that an input can cause ends as one line and exit code 2."""
    _prepare()
    code = _ended()
    if signal.getsignal(signal.SIGINT) in (_interrupted, _stopped_at_once):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: while Python leaves, Ctrl-C would change the code
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter would complain again
        if not isinstance(error, BrokenPipeError):
            code = _fail(f"stdout: {error.strerror}: what was printed is not complete")
        code = code or 1
    sys.exit(code)


def _ended() -> int:
    """Run the command and return its exit code."""
    try:
        if "--weights" in (word.partition("=")[0] for word in sys.argv):
            return _fail("--weights is called --scattering now: give it constant or q-dependent")
        app()
    except PdfkitError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None and not _has_folder():
            return _fail("the folder that this runs in does not exist any more: change to another")
        if isinstance(error, FileNotFoundError) and error.filename is not None:
            return _fail(f"{error.filename}: {missing(error.filename)}")
        name = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{name}{error.strerror or error}")
    except MemoryError as error:
        return _fail(f"not enough memory ({error}): a cell, width or range in the input is out of scale")
    except Warning as error:
        return _fail(f"a warning was made an error by PYTHONWARNINGS: {type(error).__name__}: {error}")
    except _Stopped as end:
        say(f"{end.word}: {_written()}")
        return end.code
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _has_folder() -> bool:
    try:
        return bool(Path.cwd())
    except OSError:
        return False


def _prepare() -> None:
    """Set up what belongs to the process: Ctrl-C, warnings as lines, and output that no terminal can choke on."""
    _open_streams()
    os.environ["MPLBACKEND"] = "agg"  # commands draw into files only
    for word, default in (("SIGINT", signal.default_int_handler), ("SIGTERM", signal.SIG_DFL)):
        if signal.getsignal(getattr(signal, word)) is default:
            signal.signal(getattr(signal, word), _interrupted)
    usual = warnings.formatwarning

    def show_warning(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        ours = issubclass(category, PdfkitWarning)
        text = f"warning: {one_line(str(message))}\n" if ours else usual(message, category, filename, lineno, line)
        show(text, end="", file=file or sys.stderr)

    warnings.showwarning = show_warning
    if any(option.startswith("e") for option in sys.warnoptions):
        warnings.filterwarnings("default", category=PdfkitWarning)  # what was assumed is no error
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _open_streams() -> None:
    """Put the null device where a stream is closed: the next file would get its number, and with it what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


class _Stopped(BaseException):
    """Ctrl-C, or a polite request to end, on its way up through everything that tidies."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def _interrupted(number: int = signal.SIGINT, *_: Any) -> NoReturn:
    signal.signal(number, _stopped_at_once)
    raise _Stopped(number)


def _stopped_at_once(number: int, *_: Any) -> NoReturn:
    """End without tidying: the second time, somebody is in a hurry."""
    say("stopped at once: files are whole, but hidden ones named .pdfkit-* may be left")
    os._exit(128 + number)


def _written() -> str:
    """Return what was written before an interruption."""
    from pdfkit.io._atomic import WRITTEN

    if not WRITTEN:
        return "no file was changed"
    files = list(WRITTEN)
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"written before, and whole: {', '.join(files[:3])}{more}; no other file was changed"


def _fail(text: str) -> int:
    say(f"error: {text}")
    return 2


def _version(wanted: bool) -> None:
    if wanted:
        from pdfkit import __version__

        show(f"pdfkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


COMMANDS = (
    *(
        fits.fit,
        simulation.simulate,
        fits.partials,
        pictures.plot,
        pictures.report,
        info.info,
        fits.recipe,
        simulation.structures,
    ),
    projects.convert,
    *(demo.demo, clusters.pattern, clusters.build, clusters.relax, screening.screen, reductions.reduce, fits.compare),
    *(series.series, watching.watch, views.series_view, trajectories.trajectory),
    *(workbench.live, checks.verify, checks.bench),
)
for _one in COMMANDS:
    app.command()(command(_one))

if __name__ == "__main__":
    main()
