"""The command `pdfkit`: fits from recipes, simulated G(r), pictures, and what is in a file.

Errors of input are one line on stderr and exit code 2; Ctrl-C exits with 130. Nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pdfkit._terminal import one_line, plain_json, show
from pdfkit.cli import checks, measurements
from pdfkit.cli import clusters as cli_clusters
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError

if TYPE_CHECKING:
    from pdfkit.results.result import FitResult

app = typer.Typer(
    name="pdfkit",
    help="Atomic pair distribution functions: fast G(r) from models, fits of measured data, partials.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

OutFolder = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the results.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]
CurveKind = Annotated[
    str | None, typer.Option("--kind", help="What the values are: G, GK, D, T, R, g, g-1 of r; S, S-1, F, FK of Q.")
]
Composition = Annotated[str | None, typer.Option("--composition", "-s", help="Such as SiO2; converts barns.")]
Density = Annotated[float | None, typer.Option("--rho0", help="Atoms/Å³; converts T, R, g and Keen's G(r).")]
SHAPE = "Particle shape"
LONGEST = 480  # characters of a message


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
        app()
    except PdfkitError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None and not _has_folder():
            return _fail("the folder that this runs in does not exist any more: change to another")
        name = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{name}{error.strerror or error}")
    except MemoryError as error:
        return _fail(f"not enough memory ({error}): a cell, width or range in the input is out of scale")
    except Warning as error:
        return _fail(f"a warning was made an error by PYTHONWARNINGS: {type(error).__name__}: {error}")
    except _Stopped as end:
        _say(f"{end.word}: {_written()}")
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
    _say("stopped at once: files are whole, but hidden ones named .pdfkit-* may be left")
    os._exit(128 + number)


def _written() -> str:
    """Return what was written before an interruption."""
    from pdfkit.io._atomic import WRITTEN

    if not WRITTEN:
        return "no file was changed"
    files = list(WRITTEN)
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"written before, and whole: {', '.join(files[:3])}{more}; no other file was changed"


def _say(text: str) -> None:
    """Print one line to stderr; of a name without end, its ends."""
    text = one_line(text)
    show(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 + 3 :]}", file=sys.stderr)


def _fail(text: str) -> int:
    _say(f"error: {text}")
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


@app.command()
def fit(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to fit: see `pdfkit recipe`.")],
    out: OutFolder = None,
    as_json: AsJson = False,
) -> None:
    """Fit measured G(r) as a recipe says; write report, picture, columns, HDF5 file and refined structures.

    Results go to --out, else to the dir of the recipe's output table, else to pdfkit-out/<recipe name>.

    A fit that does not converge, or a model that does not describe the data, is said and exits with 0; an input that
    cannot be used exits with 2.
    """
    from pdfkit.cli.console import progress
    from pdfkit.recipes.recipe import run_recipe

    with progress() as tell:
        result, files = run_recipe(recipe, out, tell)
    _show(result, files, as_json)


def _show(result: FitResult, files: list[Path], as_json: bool, **extra: Any) -> None:
    """Print the outcome of a fit: the report and the files, or all of it as JSON."""
    if as_json:
        _print_json({**result.to_dict(), "files": [str(file) for file in files], **extra})
    else:
        show(result)
        show("\nfiles:", *(f"  {file}" for file in files))
    if not result.converged:
        _say(f"warning: the fit did not converge: {result.message}")
    if not result.describes:
        _say(f"warning: the model does not describe the data: Rw = {result.rw:.2f}")


def _print_json(value: Any) -> None:
    import json

    print(plain_json(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)))


def _finite(value: Any) -> Any:
    """Return the value with null for every number that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):  # NumPy's doubles are floats too
        return float(value) if abs(value) < float("inf") else None
    return value


@app.command()
def simulate(
    structures: Annotated[
        list[str], typer.Argument(metavar="STRUCTURE...", help="Structure files, or names from `pdfkit structures`.")
    ],
    probe: Annotated[str, typer.Option(help="X, N or E.")] = "X",
    qmin: Annotated[float, typer.Option(help="Å⁻¹.")] = 0.0,
    qmax: Annotated[float, typer.Option(help="Å⁻¹; inf for no termination.")] = float("inf"),
    qdamp: Annotated[float, typer.Option(help="Å⁻¹; damping of the instrument.")] = 0.0,
    qbroad: Annotated[float, typer.Option(help="Å⁻¹; broadening of the instrument.")] = 0.0,
    window: Annotated[str, typer.Option(help="Modification function, e.g. lorch.")] = "none",
    weights: Annotated[str, typer.Option(help="constant or q-dependent.")] = "constant",
    wavelength: Annotated[float | None, typer.Option(help="Å.")] = None,
    energy: Annotated[float | None, typer.Option(help="keV, of X-rays: in place of a wavelength.")] = None,
    anomalous: Annotated[
        bool, typer.Option("--anomalous", help="With f′ and f″ of X-rays at that wavelength or energy.")
    ] = False,
    rmin: Annotated[float, typer.Option(help="Å.")] = 0.01,
    rmax: Annotated[float, typer.Option(help="Å.")] = 30.0,
    rstep: Annotated[float, typer.Option(help="Å.")] = 0.01,
    shape: Annotated[
        str, typer.Option(help="bulk, sphere, … Default: what the lengths fit.", rich_help_panel=SHAPE)
    ] = "",
    spdiameter: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    spsigma: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    equatorial: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    axis_ratio: Annotated[float | None, typer.Option(help="Polar/equatorial.", rich_help_panel=SHAPE)] = None,
    thickness: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    diameter: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    length: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    stepcut: Annotated[float | None, typer.Option(help="Å.", rich_help_panel=SHAPE)] = None,
    symmetry: Annotated[
        str, typer.Option(metavar="find", help="Find the space group of crystals whose atoms are all listed.")
    ] = "",
    ions: Annotated[
        bool, typer.Option("--ions", help="X-rays see ions of the charges that the structures state.")
    ] = False,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any parameter: Uiso=0.01, delta2=3, …")
    ] = None,
    noise: Annotated[float, typer.Option(help="Standard deviation in Å⁻²; becomes dG.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: <structure>-simulated.gr.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw it too, next to the file.")] = False,
) -> None:
    """Calculate G(r) of structures and write it as a .gr file; several structures add up as phases."""
    from pdfkit.data.instrument import Instrument
    from pdfkit.io._atomic import check_target
    from pdfkit.io.pdf import write_pdf
    from pdfkit.model import noise as model_noise
    from pdfkit.model.model import Model

    given = {
        "spdiameter": spdiameter,
        "spsigma": spsigma,
        "equatorial": equatorial,
        "axis_ratio": axis_ratio,
        "thickness": thickness,
        "diameter": diameter,
        "length": length,
        "stepcut": stepcut,
    }
    particle = _shape(shape, {key: value for key, value in given.items() if value is not None})
    about: dict[str, Any] = {
        "weights": weights,
        "wavelength": model_noise.wavelength(wavelength, energy, probe),
        "anomalous": anomalous,
    }
    instrument = Instrument(probe, qmin, qmax, qdamp, qbroad, window, **about)
    model = _set_values(Model(_phases(structures, particle, symmetry, ions), instrument), values or [])
    target = out or Path(f"{Path(structures[0]).stem}-simulated.gr")
    picture = target.with_suffix(".png")
    if plot and picture == target:
        raise PdfkitError(f"--out {target} is the name of the picture: give the data another, such as out.gr")
    for one in (target, picture) if plot else (target,):
        check_target(one, structures)
    pdf = model_noise.simulate(model, rmin, rmax, rstep, noise, seed, name=target.stem)
    write_pdf(target, pdf)
    show(target)
    if plot:
        from pdfkit import plot as draw

        draw.pdf(pdf, path=picture)
        show(picture)


def _shape(kind: str, given: dict[str, float]) -> Any:
    from pdfkit.shapes import SHAPES, Bulk, from_kind

    if kind:
        return from_kind(kind, **given)
    if not given:
        return Bulk()
    fitting = [name for name, shape in SHAPES.items() if {p.name for p in shape.parameters} == set(given)]
    if len(fitting) != 1:
        raise PdfkitError(
            f"--{next(iter(given)).replace('_', '-')} needs a shape: give --shape, such as --shape sphere"
        )
    return from_kind(fitting[0], **given)


def _phases(structures: list[str], shape: Any, symmetry: str = "", ions: bool = False) -> list[Any]:
    """Return one phase per structure, named after it; the shape that a file brings along gives way to one asked for."""
    import re

    from pdfkit.phases.files import kind_of, known_structure, phase_from_file
    from pdfkit.shapes import Bulk

    given = {} if isinstance(shape, Bulk) else {"shape": shape}
    charged: dict[str, Any] = {"ions": True} if ions else {}
    out: list[Any] = []
    for text in structures:
        name = re.sub(r"\W", "_", Path(text).stem)
        name = name if name.isidentifier() else f"phase_{name}"
        if name in [phase.name for phase in out]:
            name = f"{name}_{len(out) + 1}"
        if given and kind_of(known_structure(text)) == "cluster":
            raise PdfkitError(f"{text} is a cluster, which ends by itself: leave the shape out")
        found = {"symmetry": symmetry} if symmetry and kind_of(known_structure(text)) == "crystal" else {}
        out.append(phase_from_file(known_structure(text), name=name, **given, **found, **charged))
    return out


def _set_values(model: Any, settings: list[str]) -> Any:
    from pdfkit.model.params import matching

    changed = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            value = float(text)
        except ValueError:
            raise PdfkitError(f"--set {setting} is not NAME=VALUE: write for example --set Uiso=0.01") from None
        if abs(value) == float("inf") or value != value:
            raise PdfkitError(f"--set {setting} is not finite: give a number")
        changed.update(dict.fromkeys(matching(model.names, name.strip()), value))
    return model.with_values(changed) if changed else model


@app.command()
def partials(
    source: Annotated[Path, typer.Argument(metavar="RECIPE.toml|RESULT.h5", help="A recipe is fitted first.")],
    out: OutFolder = None,
) -> None:
    """Write the partial G(r) of every pair of elements in a fitted model, as columns and as a picture.

    They are weighted with the scattering of the pair and add up to the calculated G(r).
    """
    from pdfkit.cli.console import progress
    from pdfkit.io._folders import folder
    from pdfkit.recipes.outputs import write_partials
    from pdfkit.recipes.recipe import fit_recipe, load_recipe
    from pdfkit.results.saving import load_result

    if _is_hdf5(source):
        result = load_result(source)
        names = _partials_names("", [one.name for one in result.datasets])
        with folder(out or Path("pdfkit-out") / source.stem, names, [source]) as target:
            files = write_partials(result, target)
    else:
        recipe = load_recipe(source)
        names = _partials_names(recipe.prefix, [one.name for one in recipe.data])
        with folder(out or recipe.folder, names, [source, *recipe.inputs()]) as target:
            with progress() as tell:
                result = fit_recipe(recipe, tell)
            files = write_partials(result, target, recipe.prefix)
    show(*files)


def _partials_names(prefix: str, data: list[str]) -> list[str]:
    columns = [f"partials_{name}.txt" for name in data] if len(data) > 1 else ["partials.txt"]
    return [f"{prefix}{name}" for name in (*columns, "partials.png")]


def _is_hdf5(path: Path) -> bool:
    if path.is_dir():
        raise ReadError(path, "this is a folder: give a recipe or a result.h5")
    with path.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n" or path.suffix in (".h5", ".hdf5", ".nxs")


@contextmanager
def _options_named() -> Iterator[None]:
    """Name options in errors as they are typed here: --kind S for kind="S", --rho0 for rho0=."""
    try:
        yield
    except PdfkitError as error:
        name = r"\b(kind|composition|rho0|wavelength|unit|qmax)="
        text = re.sub(name + r'"([^"\s]+)"', r"--\1 \2", str(error))
        raise PdfkitError(re.sub(name + r"(?=[\s,;)]|$)", r"--\1", text)) from error


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE.gr|RESULT.h5")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PICTURE", help=".png, .pdf or .svg; default: <file>.png here."),
    ] = None,
    kind: CurveKind = None,
    composition: Composition = None,
    rho0: Density = None,
) -> None:
    """Draw a G(r) file, or a fit with its difference curve."""
    from pdfkit.io._atomic import check_target
    from pdfkit.io.pdf import read_pdf
    from pdfkit.results.saving import load_result

    target = out or Path(f"{file.stem}.png")
    check_target(target, [file])
    curve: dict[str, Any] = {"kind": kind, "composition": composition, "rho0": rho0}
    with _options_named():
        data = load_result(file) if _is_hdf5(file) else read_pdf(file, **curve)
    from pdfkit import plot as draw  # matplotlib: after an input that cannot be read has been refused
    from pdfkit.data.curves import PDF

    if isinstance(data, PDF):
        draw.pdf(data, path=target)
    else:
        draw.fit(data, target)
    show(target)


@app.command()
def info(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Data, structure (or its shipped name), result, recipe.")],
    qmax: Annotated[float | None, typer.Option(help="Å⁻¹, where the data file does not say.")] = None,
    wavelength: Annotated[float | None, typer.Option(help="Å, of a pattern against 2θ.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of column 1: A-1, nm-1, 2theta, 2theta-rad, centidegrees, d; of G(r): A or nm.")
    ] = None,
    as_: Annotated[str | None, typer.Option("--as", help="Read columns as pdf, sq or intensity.")] = None,
    kind: CurveKind = None,
    composition: Composition = None,
    rho0: Density = None,
    everything: Annotated[bool, typer.Option("--all", help="All sites and header entries, not a screen.")] = False,
) -> None:
    """Say what is in a file, and by what that was decided: data, structure, result, recipe. Remarks come last."""
    from pdfkit.cli.info import describe

    more = {"unit": unit, "kind": kind, "as_": as_, "composition": composition, "rho0": rho0}
    with _options_named():
        show(describe(file, qmax, wavelength, everything=everything, **more))


@app.command()
def recipe(
    data: Annotated[str, typer.Argument(metavar="[DATA.gr]", help="The data file to name in it.")] = "data.gr",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it; default: stdout.")
    ] = None,
) -> None:
    """Print a commented recipe to start from: wurtzite and zinc blende in one nanoparticle."""
    from pdfkit.io._atomic import write_text
    from pdfkit.recipes.template import recipe_template

    if out is None:
        show(recipe_template(data), end="")
        return
    if out.exists():
        raise PdfkitError(f"{out} exists: give another name, so that no recipe of yours is lost")
    if os.path.realpath(out) in {os.path.realpath(data), os.path.realpath(out.parent / data)}:
        raise PdfkitError(f"{out} is the name of the data: give the recipe another, such as fit.toml")
    write_text(out, recipe_template(data, name=out.name))
    show(out)


@app.command()
def structures() -> None:
    """List the structures that come with pdfkit; recipes and `pdfkit simulate` take them by name."""
    from pdfkit.cli.info import formula
    from pdfkit.io.structures import available_structures, load_structure
    from pdfkit.io.xyz import clusters
    from pdfkit.particles.particle import Particle

    for name in available_structures():
        structure = load_structure(name)
        cell = " ".join(f"{length:8.4f}" for length in structure.cell[:3])
        show(f"{name:<20} {formula(structure.composition()):<8} {structure.spacegroup:<12} {cell} Å")
    for name in clusters():
        particle = Particle.from_file(name)
        show(
            f"{name:<20} {particle.formula:<8} {'cluster':<12} {len(particle)} atoms, {particle.extent():.1f} Å across"
        )


@app.command()
def demo(out: OutFolder = None, as_json: AsJson = False) -> None:
    """Fit a measured CdSe nanocrystal with wurtzite and zinc blende; results go to --out (default: pdfkit-demo).

    The data come with the package diffpy.cmi; without it, the demo simulates a CdS nanocrystal and says so.
    """
    from pdfkit.cli.console import progress
    from pdfkit.cli.demo import run_demo

    with progress() as tell:
        shown = run_demo(out, tell)
    if shown.note:
        _say(shown.note)
    if not as_json:
        show(shown.title, end="\n\n")
    _show(shown.result, shown.files, as_json, simulated=shown.simulated)


_data = (measurements.reduce, measurements.compare, measurements.verify, checks.bench)
for _command in (cli_clusters.pattern, cli_clusters.build, cli_clusters.screen, *_data):
    app.command()(_command)

if __name__ == "__main__":
    main()
