"""Trajectories and boxes: `read_trajectory`, and G(r), partials and g(r) averaged over the frames as they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._table import facts
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, ReadError, StructureError, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io.frames import frames_of
from pdfkit.model.noise import grid
from pdfkit.particles.boxes import Box, box_pairs, check_apart
from pdfkit.particles.counting import WIDTH
from pdfkit.trajectories.averages import BLOCKS, Averages, Averaging
from pdfkit.trajectories.curves import Bins, Curves
from pdfkit.trajectories.rdf import RDF, rdf_of
from pdfkit.trajectories.sources import Sources, is_path, of_frame

# Change by the outer half of the margin (part of max|G|) from which on it is said; what lies beyond does half of that.
RIPPLE = 1e-2
QMAX = 25.0
"""Å⁻¹: where curves are cut if nothing is said of the measurement that they are for."""
# Atoms/Å³: nothing is denser but under pressures of stars; positions in nm are a thousand times.
DENSEST = 0.5


@dataclass(frozen=True, eq=False)
class Counted:
    """Pairs of all frames up to reach (Å) in bins of width, averaged; species, their numbers, the shortest period."""

    averages: Averages
    elements: tuple[str, ...]
    atoms: IntArray
    reach: float
    width: float
    shortest: float
    volumes: tuple[float, float]
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of periodic boxes, read one at a time whenever they are averaged; see `read_trajectory`.

    Example
    -------
    >>> import pdfkit as pk
    >>> box = pk.load_structure("NaCl").to_ase().repeat(4)
    >>> trajectory = pk.read_trajectory([box])
    >>> pdf = trajectory.pdf(rmax=3.5, qmax=20, Uiso=0.015)
    >>> print(f"Na–Cl at {pdf.r[pdf.G.argmax()]:.2f} Å")
    Na–Cl at 2.82 Å
    """

    sources: Sources
    _kept: dict[tuple[float, int], Counted] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"Trajectory({self.sources.name!r}, frames {self.sources.chosen})"

    def _repr_html_(self) -> str:
        return facts("Trajectory", {"file": self.sources.name, "frames": self.sources.chosen})

    def boxes(self) -> Iterator[tuple[Box, tuple[str, ...]]]:
        """Yield each chosen frame as a box (cell, xyz, kind of each atom), and the species that kinds stand for.

        Example
        -------
        >>> import pdfkit as pk
        >>> for box, species in pk.read_trajectory([pk.load_structure("NaCl").to_ase()]).boxes():
        ...     print(f"{box.volume:.1f} Å³,", *(species[k] for k in box.kind))
        179.5 Å³, Na Na Na Na Cl Cl Cl Cl
        """
        return self.sources.boxes([])

    def pdf(
        self,
        rmin: float = 0.01,
        rmax: float = 20.0,
        rstep: float = 0.01,
        *,
        blocks: int = BLOCKS,
        tell: Callable[[str], None] | None = None,
        **about: Any,
    ) -> PDF:
        """Return the mean G(r) of the frames on rmin … rmax (Å), with errors by blocks where there are two or more.

        Atoms are where the frames have them: the motion of a simulation is in its frames, so peaks have no other
        width unless `Uiso` gives one (to an idealised box). The baseline is −4πrρ₀, ρ₀ the mean of N/V over frames.

        Parameters
        ----------
        qmax, qmin, qdamp, qbroad, resolution, window, scattering, wavelength, anomalous : those of `Instrument`;
            qmax is 25 Å⁻¹ unless given, which is said; inf needs a Uiso. probe : "X" (default), "N" or "E".
        Uiso : Å², one for all or {"Cd": 0.01}, default 0. strengths : replaces scattering strengths, as in `Model`.
        blocks : least number of blocks of consecutive frames from whose spread dG comes (there are up to twice as
            many); with fewer frames each is a block. Errors grow by what longer blocks show, so that they hold for
            frames that depend on each other; `header` says how many frames are independent. Neighbouring points share
            their errors.
        tell : called with the progress, a line of text.

        Raises
        ------
        ReadError : a file that cannot be read, or a frame that is damaged. StructureError : a frame without a cell,
        with other atoms than the first, or atoms on top of each other. PdfkitError : a value out of range.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> rng, frames = np.random.default_rng(1), []
        >>> for _ in range(4):  # nickel whose atoms are 0.08 Å off along x, y and z
        ...     frames.append(pk.load_structure("Ni").to_ase().repeat(5))
        ...     frames[-1].positions += rng.normal(scale=0.08, size=(500, 3))
        >>> pdf = pk.read_trajectory(frames).pdf(rmax=3.0, qmax=20, probe="N")
        >>> print(f"{pdf.G.max():.1f} ± {pdf.dG[pdf.G.argmax()]:.1f} Å⁻² at {pdf.r[pdf.G.argmax()]:.2f} Å")
        13.8 ± 0.1 Å⁻² at 2.49 Å
        """
        return self.curves(rmin, rmax, rstep, blocks=blocks, tell=tell, **about)[0]

    def partials(
        self, rmin: float = 0.01, rmax: float = 20.0, rstep: float = 0.01, **about: Any
    ) -> dict[tuple[str, str], PDF]:
        """Return what each pair of species adds to the mean G(r), with errors; parameters and errors as for `pdf`.

        Example
        -------
        >>> import pdfkit as pk
        >>> trajectory = pk.read_trajectory([pk.load_structure("NaCl").to_ase().repeat(4)])
        >>> list(trajectory.partials(rmax=8, qmax=20, Uiso=0.015))
        [('Cl', 'Cl'), ('Cl', 'Na'), ('Na', 'Na')]
        """
        return self.curves(rmin, rmax, rstep, **about)[1]

    def curves(
        self,
        rmin: float = 0.01,
        rmax: float = 20.0,
        rstep: float = 0.01,
        *,
        blocks: int = BLOCKS,
        tell: Callable[[str], None] | None = None,
        Uiso: Any = 0.0,
        strengths: Mapping[str, float] | None = None,
        probe: str = "X",
        qmax: float | None = None,
        **about: Any,
    ) -> tuple[PDF, dict[tuple[str, str], PDF]]:
        """Return G(r) and its partials at once; see `pdf`."""
        r, instrument = grid(rmin, rmax, rstep), Instrument(probe, qmax=QMAX if qmax is None else qmax, **about)
        elements = self._elements()
        made = Curves(r, elements, instrument, _displacements(Uiso, elements), dict(strengths or {}))
        counted = self._counted(made.reach, WIDTH, blocks, tell)
        means = counted.averages
        some = zip([means.mean, *means.blocks], [means.density, *means.densities], strict=True)
        found = made.of([Bins(sums, counted.width, counted.atoms, density) for sums, density in some])
        said = (*counted.remarks, *_beyond_half(rmax, counted), *self._sharp(made, counted, found[0]))
        said += (f"qmax was not given: {QMAX:g} Å⁻¹ is taken; give that of the measurement",) * (qmax is None)
        said += ("qbroad widens what Uiso gives, and no motion of the frames: give resolution= in its place",) * bool(
            instrument.qbroad and not made.U.any()
        )
        for text in said[len(counted.remarks) :]:
            remark(text, 4)
        errors = means.errors(found[1:].sum(axis=1))
        whole = PDF(
            r, found[0].sum(axis=0), _positive(errors), _said(instrument), _header(counted), self._name, remarks=said
        )
        each = means.errors(found[1:])
        pairs = [(a, b) for i, a in enumerate(elements) for b in elements[i:]]
        return whole, {
            pair: replace(whole, G=found[0, k], dG=None if each is None else _positive(each[k]), name="–".join(pair))
            for k, pair in enumerate(pairs)
        }

    def rdf(
        self,
        rmax: float = 20.0,
        rstep: float = 0.05,
        *,
        blocks: int = BLOCKS,
        tell: Callable[[str], None] | None = None,
    ) -> RDF:
        """Return the mean g_ab(r) of every pair of species in shells of rstep up to rmax (Å); see `RDF`.

        Example
        -------
        >>> import pdfkit as pk
        >>> rdf = pk.read_trajectory([pk.load_structure("NaCl").to_ase().repeat(4)]).rdf(rmax=8, rstep=0.1)
        >>> print(f"{rdf.neighbours('Na', 'Cl', 3.0):.0f} Cl around Na")
        6 Cl around Na
        """
        rstep = _checks.number("rstep", rstep, low=1e-3)
        shells = math.floor(_checks.number("rmax", rmax, low=rstep) / rstep + 1e-6)
        fine = math.ceil(rstep / WIDTH - 1e-9)
        counted = self._counted(shells * rstep, rstep / fine, blocks, tell)
        for text in _beyond_half(shells * rstep, counted):
            remark(text, 3)
        return rdf_of(counted.averages, counted.elements, counted.atoms, rstep, fine, shells)

    @property
    def _name(self) -> str:
        return self.sources.name.removesuffix(".gz").rpartition("/")[2].rpartition(".")[0] or self.sources.name

    # --- counting --------------------------------------------------------------------------------------------------

    def _counted(self, reach: float, width: float, blocks: int, tell: Callable[[str], None] | None) -> Counted:
        """Return the averages up to at least reach (Å): those of before where they do."""
        blocks = round(_checks.number("blocks", blocks, low=2, high=1000))
        kept = self._kept.get((width, blocks))
        if kept is None or kept.reach < reach:
            kept = self._count(reach, width, blocks, tell)
            self._kept[width, blocks] = kept
        return kept

    def _count(self, reach: float, width: float, blocks: int, tell: Callable[[str], None] | None) -> Counted:
        said: list[str] = []
        averaging, known, heights, volumes = Averaging(blocks, width), None, math.inf, list[float]()
        for number, (box, elements) in enumerate(self.sources.boxes(said), 1):
            now = elements, np.bincount(box.kind, minlength=len(elements))
            known = known or now
            _refuse_others(number, known, now)
            sums = box_pairs(box, len(elements), reach, width)
            try:
                check_apart(sums, width)
            except StructureError as error:
                raise of_frame(number, error) from None
            averaging.add(sums, len(box.xyz) / box.volume)
            heights = min(heights, float(box.heights.min()))
            volumes = [min([box.volume, *volumes[:1]]), max([box.volume, *volumes[1:]])]
            if tell is not None:
                tell(f"frame {number}: {int(sums[..., 0].sum())} pairs within {reach:.0f} Å")
        if known is None:
            raise ReadError(self.sources.name, self._nothing(said))
        said += _doubts(averaging.result)
        found = (averaging.result, *known, reach, width, heights, (volumes[0], volumes[1]))
        return Counted(*found, tuple(map(remark, said)))

    def _nothing(self, said: Sequence[str]) -> str:
        if said:
            return f"{said[-1]}: there is no whole frame"
        return f"no frame from {self.sources.start} on: lower start" if self.sources.start else "there are no frames"

    def _elements(self) -> tuple[str, ...]:
        """Return the species of the first frame."""
        said: list[str] = []
        for _, elements in self.sources.boxes(said):
            return elements
        raise ReadError(self.sources.name, self._nothing(said))

    def _sharp(self, made: Curves, counted: Counted, whole: Array) -> tuple[str, ...]:
        """Return a remark where peaks beyond what was counted would change G(r)."""
        if not made.margin:
            return ()
        means = counted.averages
        half = made.of([Bins(means.mean, counted.width, counted.atoms, means.density)], 0.5 * made.margin)[0]
        G = whole.sum(axis=0)
        miss = float(np.abs(half.sum(axis=0) - G).max() / max(np.abs(G).max(), 1e-300))
        if miss < RIPPLE:
            return ()
        return (
            f"peaks of these frames are so sharp that ripples of those beyond {made.r[-1] + made.margin:.0f} Å, which "
            f"are left out, change G(r) towards rmax by up to {0.5 * miss:.1%} of its largest value: give an rmax "
            "beyond what is looked at",
        )


# --- What frames must be ---------------------------------------------------------------------------------------------


def _refuse_others(number: int, first: tuple[Any, IntArray], now: tuple[Any, IntArray]) -> None:
    if first[0] == now[0] and (first[1] == now[1]).all():
        return
    words = [" ".join(f"{e}{n}" for e, n in zip(*one, strict=True)) for one in (now, first)]
    raise StructureError(
        f"frame {number} has the atoms {words[0]}, and the first {words[1]}: only frames of the same atoms can be "
        "averaged; choose them with start and stop"
    )


def _doubts(averages: Averages) -> list[str]:
    """Return what is odd about the density, and about the length of the run."""
    said = []
    if averages.density > DENSEST:
        said.append(f"{averages.density:.3g} atoms/Å³ is denser than anything: are positions and cell in nm?")
    if averages.frames >= 2 * BLOCKS and not averages.settled:
        said.append(
            "errors still grow with the length of blocks: frames depend on each other over much of the run, and dG is "
            "a lower limit; a longer run would tell"
        )
    return said


def _beyond_half(rmax: float, counted: Counted) -> tuple[str, ...]:
    if rmax <= 0.5 * counted.shortest * (1 + 1e-9):
        return ()
    return (
        f"rmax = {rmax:g} Å is beyond half of the box, {0.5 * counted.shortest:.4g} Å: pairs with images are counted, "
        "and what the box repeats is in the curve from there on",
    )


def _displacements(given: Any, elements: tuple[str, ...]) -> Array:
    if isinstance(given, Mapping):
        for name in given:
            if name not in elements:
                raise PdfkitError(f"Uiso is given for {name!r}, but the species are {', '.join(elements)}")
        values = [given.get(one, 0.0) for one in elements]
    else:
        values = [given] * len(elements)
    return np.array([_checks.number("Uiso", value, low=0.0, high=_checks.MOST_U) for value in values])


def _positive(errors: Array | None) -> Array | None:
    """Return errors that are above 0 everywhere; None where frames are all alike."""
    if errors is None or not errors.max() > 0.0:
        return None
    return np.asarray(np.maximum(errors, 1e-9 * errors.max()))


def _said(instrument: Instrument) -> Instrument:
    used = instrument if instrument.terminated else replace(instrument, scattering="constant")
    return used.complete()


def _header(counted: Counted) -> dict[str, str]:
    """Return what a file says of the averages."""
    means = counted.averages
    low, high = counted.volumes
    out = {
        "atoms": " ".join(f"{e}{n}" for e, n in zip(counted.elements, counted.atoms, strict=True)),
        "frames": f"{means.frames}",
        "rho0": f"{means.density:.8g}",
        "volume": f"{low:.8g}" if high - low < 1e-9 * high else f"{low:.8g} to {high:.8g}",
    }
    if len(means.blocks) > 1:
        out["blocks"] = f"{len(means.blocks)} of {means.each}"
        known = means.frames >= 2 * BLOCKS
        few = "too few to know how far they depend on each other"
        out["independent_frames"] = f"as good as {means.independent:.1f} independent ones" if known else few
    return out


# --- Reading ---------------------------------------------------------------------------------------------------------


def read_trajectory(
    path: Any,
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    species: Mapping[str, str] | None = None,
    cell: Any = None,
    pbc: bool | None = None,
    topology: AnyPath | None = None,
) -> Trajectory:
    """Return the frames of a trajectory, which are read one at a time when `pdf`, `partials` or `rdf` average them.

    Parameters
    ----------
    path : xyz or extended xyz, a text dump of LAMMPS, XDATCAR, .traj of ase (these, gzipped, too); a structure file of
        one box (.rmc6f, CIF, POSCAR, …); or several of them in a list, one after the other; or `ase.Atoms` in a list.
    start, stop, step : which frames, counted from 0, as in a slice.
    species : what names in the file stand for, {"1": "Cd", "CA": "C", "Na": "Na1+"}; "" leaves atoms out (sites without
        mass). Needed where a file has numbers of types only. Isotopes and ions are species of their own.
    cell : Å, of files that have none: one length, three, (a, b, c, α, β, γ) or three vectors; it counts before theirs.
    pbc : True takes boxes that say they are not periodic as periodic.
    topology : the file of the atoms for .dcd, .xtc, .trr …, which MDAnalysis (extra `md`) reads.

    Raises
    ------
    ReadError : no such file. PdfkitError : a value out of range. What is wrong in frames is said when they are read.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.load_structure("NaCl").to_ase().repeat(4).write(f"{folder}/run.xyz")
    ...     pdf = pk.read_trajectory(f"{folder}/run.xyz").pdf(rmax=8, qmax=20, Uiso=0.015)
    >>> pdf.header["frames"], pdf.header["rho0"], len(pdf)
    ('1', '0.04456785', 800)
    """
    sources = tuple(path) if isinstance(path, list | tuple) else (path,)
    if not sources:
        raise PdfkitError("there are no frames: give a file, or a list of files or ase.Atoms")
    for one in sources:
        if is_path(one):
            frames_of(one, topology)  # refuses what is no file at all
        elif not hasattr(one, "get_positions"):
            raise PdfkitError(f"{_checks.short(one)} is neither a file nor ase.Atoms: give either")
    first, last = _index("start", start), None if stop is None else _index("stop", stop)
    mapping = {str(name): str(one or "") for name, one in (species or {}).items()}
    rest = (first, last, _index("step", step, 1), mapping, _given_cell(cell), pbc, topology)
    return Trajectory(Sources(sources, *rest))


def _index(name: str, value: Any, least: int = 0) -> int:
    number = _checks.number(name, value, low=least)
    if number != int(number):
        raise PdfkitError(f"{name} = {value} is not a whole number", key=name)
    return int(number)


def _given_cell(cell: Any) -> Array | None:
    if cell is None:
        return None
    from pdfkit.structure.symmetry import basis

    rows = np.atleast_1d(np.asarray(cell, dtype=np.float64))
    if rows.shape == (3, 3):
        return rows
    if rows.shape == (6,):
        return basis(rows.tolist())
    if rows.shape in ((1,), (3,)):
        return np.diag(np.broadcast_to(rows, 3))
    raise PdfkitError("cell has neither 1, 3 or 6 numbers nor three vectors: give a length, or a, b, c (α, β, γ)")
