"""What a screen is asked for: four groups of options, each option written down once, here.

| group | what it says |
|---|---|
| `ScreenFit` | how each candidate is fitted |
| `Limits` | which candidates go on, what is ranked beside them, what counts as a difference |
| `Composition` | what is known of the composition from other measurements |
| `Work` | where and how the work is done |

`pdfkit.screen` takes whole groups, or any of their options by name: `screen(clusters, data, rmin=2, workers=2)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pdfkit import _checks
from pdfkit.build._source import anions, cations
from pdfkit.errors import ParameterError, nearest
from pdfkit.fitting.comparison import INDISTINGUISHABLE
from pdfkit.fitting.discrepancy import SIZES
from pdfkit.particles.particle import Particle
from pdfkit.screening.shells import measured_shell

FREE = ("scale", "expansion", "Uiso", "delta2")
NAN = float("nan")
LIGHTEST = 50.0
"""g/mol: below the mass of a few atoms; 5160 Da are often written as 5.16 kDa."""


def whole(name: str, value: Any, low: int = 1) -> int:
    """Return a whole number that is not below `low`. ParameterError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ParameterError(f"{name} = {_checks.short(value)}: give a whole number, {low} or more", key=name)
    return value


DISPLACEMENT = ("auto", "none")


def displacement_of(value: Any) -> str | float:
    """Return "auto", "none" or an rms displacement (Å); words that are numbers are taken as such.

    Raises ParameterError for anything else.
    """
    try:
        size = float(value)
    except (TypeError, ValueError):
        size = NAN
    if value in DISPLACEMENT:
        return str(value)
    if isinstance(value, bool) or not 0.0 <= size <= SIZES[-1]:
        raise ParameterError(
            f'displacement = {_checks.short(value)}: give "auto", "none", or the rms displacement of an atom in Å, '
            f"{SIZES[-1]:g} at most",
            key="displacement",
        )
    return size


def _keep(group: object, **values: Any) -> None:
    """Put what a frozen value was given into the form that it keeps."""
    for name, value in values.items():
        object.__setattr__(group, name, value)


@dataclass(frozen=True)
class ScreenFit:
    """How each candidate is fitted.

    free, ties, bounds : as for `pdfkit.fit`, names by their endings ("Uiso", "Cd.Uiso", "qdamp"…); free may be one
    name. rmin, rmax : Å, range of the comparison. start : start values by name; default Uiso 0.03 Å², delta2 (if
    free) 0.65 of the largest that the shortest bond allows. Where expansion is free it is looked for within ±4 %
    before the fit. displacement : whether atoms may sit elsewhere than the candidate has them, as they do where
    clusters relax: a part of the noise, no parameter. "auto", by as much as the data say; "none", not at all; or a
    number, the rms displacement of an atom (Å) up to 0.4. exafs : first shells that EXAFS tells, value and error by
    name, {"bond Cd-S": (2.52, 0.01), "coordination Cd-S": (3.2, 0.3), "angle S-Cd-S": (106, 2)} (Å, degrees): how
    likely they are for a candidate is a part of its ln Z (`pdfkit.screening.shells`).
    surface, baseline : as for `Cluster`. use_errors, errors, max_nfev : as for `pdfkit.fit`. memory : bytes that the
    fit of one candidate may need.

    Raises ParameterError or PdfkitError for any other value.

    Example
    -------
    >>> from pdfkit.screening import ScreenFit
    >>> ScreenFit(rmin=1.8, rmax=14, free="scale").free
    ('scale',)
    """

    free: str | Sequence[str] = FREE
    rmin: float | None = None
    rmax: float | None = None
    start: Mapping[str, float] = field(default_factory=dict)
    ties: Mapping[str, str | float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    displacement: str | float = "auto"
    exafs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    surface: bool = False
    baseline: str = "auto"
    use_errors: bool = True
    errors: str = "auto"
    max_nfev: int = 100
    memory: float = 1e9

    def __post_init__(self) -> None:
        names = _checks.names("free", self.free)
        if not names:
            raise ParameterError('free is empty: name what is fitted, such as free=["scale", "Uiso"]', key="free")
        _keep(self, free=names, memory=_checks.number("memory", self.memory, low=0.0, open_low=True, finite=False))
        _keep(self, **{name: dict(getattr(self, name) or {}) for name in ("start", "ties", "bounds")})
        _keep(
            self,
            displacement=displacement_of(self.displacement),
            exafs=measured_shell({} if self.exafs is None else self.exafs),
        )
        _checks.choice("errors", self.errors, ("auto", "covariance", "independent"))
        whole("max_nfev", self.max_nfev)
        surface, use_errors = (_checks.flag(name, getattr(self, name)) for name in ("surface", "use_errors"))
        _keep(self, surface=surface, use_errors=use_errors)


@dataclass(frozen=True)
class Limits:
    """Which candidates go on, what is ranked beside them, and which differences count.

    keep : of many candidates, at most how many are rows of the ranking, and how many get the full fit at least; so do
    all rows that match nearly as well as the best (25 % in Rw; 10 % where displacement="none"). mixtures : so many
    mixtures of two of the best candidates are fitted (own scales and expansions, shared Uiso and delta) and ranked with
    the rest. certificate : cases like this one that are simulated (0: none), to say how often the list held the truth;
    see `pdfkit.screening.Certificate`. null : a crystal (name, structure, file), of which a sphere with as many atoms
    as the best candidate is ranked with the rest; or a particle; or a function of the number of atoms. threshold :
    difference of ln Z within which two candidates cannot be told apart (3: odds of 20 to 1).

    Raises ParameterError or PdfkitError for any other value.

    Example
    -------
    >>> from pdfkit.screening import Limits
    >>> Limits(keep=(1000, 100), null="CdSe_wurtzite").mixtures
    0
    """

    keep: tuple[int, int] = (20000, 2000)
    mixtures: int = 0
    null: str | Particle | Callable[[int], Particle] | None = None
    threshold: float = INDISTINGUISHABLE
    certificate: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.keep, Sequence) or len(self.keep) != 2:
            message = f"keep = {self.keep!r}: give two numbers, of rows and of full fits"
            raise ParameterError(message, key="keep")
        first, second = (whole("keep", value) for value in self.keep)
        if first < second:
            message = f"keep = {self.keep}: more cannot be fitted ({second}) than are kept as rows ({first})"
            raise ParameterError(message, key="keep")
        whole("mixtures", self.mixtures, 0)
        whole("certificate", self.certificate, 0)
        threshold = _checks.number("threshold", self.threshold, low=0.0, open_low=True)
        _keep(self, keep=(first, second), threshold=threshold)


@dataclass(frozen=True)
class Composition:
    """What is known of the composition. Candidates are checked against it; their order does not depend on it.

    ratio : (low, high) of measured cations per anion. ratio_of : the two elements, when it is not all cations and
    anions (those of organic ligands, H and C, are neither). mass : g/mol of the whole particle. inorganic : mass
    fraction of its core, so that mass·inorganic is the core's mass. mass_tolerance : relative, of that product.

    Raises ParameterError or PdfkitError for any other value.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.screening import Composition
    >>> known = Composition(ratio=(1.7, 1.8), mass=11000, inorganic=0.5)
    >>> cluster = pk.build.tetrahedron("CdSe_zincblende", 5)
    >>> known.ratio_fits(known.ratio_in(cluster)), known.mass_fits(cluster.mass)
    (True, True)
    """

    ratio: tuple[float, float] | None = None
    ratio_of: tuple[str, str] | None = None
    mass: float | None = None
    inorganic: float = 1.0
    mass_tolerance: float = 0.05

    def __post_init__(self) -> None:
        if self.ratio is not None and not (len(self.ratio) == 2 and 0 <= self.ratio[0] <= self.ratio[1]):
            message = f"ratio = {self.ratio}: give the lowest and the highest number of cations per anion"
            raise ParameterError(message, key="ratio")
        if self.ratio_of is not None and len(self.ratio_of) != 2:
            message = f'ratio_of = {self.ratio_of}: give two elements, such as ("Cd", "S")'
            raise ParameterError(message, key="ratio_of")
        if self.mass is not None:
            _checks.number("mass", self.mass, low=0.0, open_low=True)
            if self.mass < LIGHTEST:
                raise ParameterError(
                    f"mass = {self.mass:g} g/mol is that of no cluster: if it is in kDa, give {1e3 * self.mass:g}",
                    key="mass",
                )
        _checks.number("inorganic", self.inorganic, low=0.0, high=1.0, open_low=True)
        _checks.number("mass_tolerance", self.mass_tolerance, low=0.0)

    def ratio_in(self, particle: Particle) -> float:
        """Return cations per anion of a particle's core, NaN where there is none of either."""
        counts = particle.core.composition()
        kinds = (cations(counts), anions(counts)) if self.ratio_of is None else [[one] for one in self.ratio_of]
        top, bottom = (sum(counts.get(element, 0.0) for element in kind) for kind in kinds)
        return top / bottom if top and bottom else NAN

    def ratio_fits(self, value: float) -> bool | None:
        """Return whether a ratio lies in the measured range; None where nothing was measured."""
        return None if self.ratio is None else bool(self.ratio[0] - 1e-9 <= value <= self.ratio[1] + 1e-9)

    def mass_fits(self, value: float) -> bool | None:
        """Return whether a core mass (g/mol) agrees with mass·inorganic; None where nothing was measured."""
        if self.mass is None:
            return None
        expected = self.mass * self.inorganic
        return bool(abs(value - expected) <= self.mass_tolerance * expected)


class Progress(NamedTuple):
    """How far a stage is.

    stage : "match", "fit", "mixture", "confusion". done, total : candidates (total None where not known).
    rate : candidates per second, those of earlier runs left out (0 before the first). left : seconds, None where not
    known.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    >>> truth = pk.Model(pk.Cluster(clusters[1], "c"), pk.Instrument(probe="X", qmin=0.8, qmax=16))
    >>> told = []
    >>> ranking = pk.screen(clusters, truth(np.arange(1.8, 14, 0.05)), progress=told.append)
    >>> told[-1].stage, told[-1].done, told[-1].total
    ('fit', 2, 2)
    """

    stage: str
    done: int
    total: int | None
    rate: float
    left: float | None


Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Work:
    """Where and how the work is done; what is found does not depend on it.

    executor : any `concurrent.futures.Executor`; dask's is `client.get_executor()`. workers : processes to start
    without one (a script then needs the line `if __name__ == "__main__":`). chunk : candidates that travel together.
    out : folder of the journal, from which a run that was killed goes on (resume=False starts anew). progress : called
    with a `Progress` (stage, done, total, rate per second, seconds left).

    Raises ParameterError for any other value.

    Example
    -------
    >>> from pdfkit.screening import Work
    >>> Work(workers=2, out="run").journal("screen.jsonl").name
    'screen.jsonl'
    """

    executor: Executor | None = None
    workers: int | None = None
    chunk: int = 32
    out: str | PathLike[str] | None = None
    resume: bool = True
    progress: Tell | None = None

    def __post_init__(self) -> None:
        whole("chunk", self.chunk)
        if self.workers is not None:
            whole("workers", self.workers)
        _checks.flag("resume", self.resume)

    def journal(self, name: str) -> Path | None:
        """Return the path of a journal in the folder `out`, None without one."""
        return None if self.out is None else Path(self.out) / name


# --- Groups from what a call gives -----------------------------------------------------------------------------------

GROUPS: Mapping[str, type[Any]] = {"fit": ScreenFit, "limits": Limits, "composition": Composition, "work": Work}
OPTIONS: Mapping[str, str] = {one.name: group for group, kind in GROUPS.items() for one in fields(kind)}
"""Every option of a screen, and the group that it is of."""

Group = TypeVar("Group")


def grouped(name: str, given: Group | None, options: Mapping[str, Any]) -> Group:
    """Return a group as it was given, or its default, with those of the options that are its own.

    Raises ParameterError for another kind of value.
    """
    kind = GROUPS[name]
    base: Any = kind() if given is None else given
    if not isinstance(base, kind):
        message = f"{name} is of the type {type(base).__name__}: give a pdfkit.screening.{kind.__name__}"
        raise ParameterError(message, key=name)
    own = {option: value for option, value in options.items() if OPTIONS[option] == name}
    made: Group = replace(base, **own) if own else base
    return made


def check_names(options: Iterable[str], known: Iterable[str] = OPTIONS) -> None:
    """Refuse an option that no group has. ParameterError names the nearest."""
    known = tuple(known)
    for name in options:
        if name not in known:
            raise ParameterError(f"{name!r} is not an option here: the nearest are {nearest(name, known)}", key=name)


Function = TypeVar("Function", bound=Callable[..., Any])


def shows_options(*groups: type[Any]) -> Callable[[Function], Function]:
    """Let `help` and completion list the options of groups where a function takes them as **options."""

    def shown(function: Function) -> Function:
        plain = inspect.signature(function)
        *named, rest = plain.parameters.values()
        more = [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=one.type)
            for group in groups
            for one, default in ((one, getattr(group(), one.name)) for one in fields(group))
        ]
        setattr(function, "__signature__", plain.replace(parameters=[*named, *more, rest]))  # noqa: B010
        return function

    return shown
