"""Trajectories: G(r), partials and g(r) averaged over the frames as they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import facts
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, remark
from pdfkit.io.frames import unpacked
from pdfkit.model.noise import grid
from pdfkit.particles.boxes import Box
from pdfkit.particles.counting import WIDTH
from pdfkit.trajectories.averages import BLOCKS
from pdfkit.trajectories.counting import Counted, count_frames, first_species
from pdfkit.trajectories.curves import Bins, Curves
from pdfkit.trajectories.rdf import RDF, rdf_of
from pdfkit.trajectories.sources import Sources

# Change by the outer half of the margin (part of max|G|) from which on it is said; what lies beyond does half of that.
RIPPLE = 1e-2
QMAX = 25.0
"""Å⁻¹: where curves are cut if nothing is said of the measurement that they are for."""


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

    def pdf(self, rmin: float = 0.01, rmax: float = 20.0, rstep: float = 0.01, **about: Any) -> PDF:
        """Return the mean G(r) of the frames on rmin … rmax (Å), with errors by blocks where there are two or more.

        Atoms are where the frames have them: the motion of a simulation is in its frames, so peaks have no other
        width unless `Uiso` gives one (to an idealised box). The baseline is −4πrρ₀, ρ₀ the mean of N/V over frames.

        Parameters
        ----------
        qmax, qmin, qdamp, qbroad, resolution, window, scattering, wavelength, anomalous : those of `Instrument`;
            qmax is 25 Å⁻¹ unless given, which is said; inf needs a Uiso. probe : "X" (default), "N" or "E".
        Uiso : Å², one for all or {"Cd": 0.01}, default 0. strengths : replaces scattering strengths, as in `Model`.
        blocks : least number of blocks of consecutive frames from whose spread dG comes (there are up to twice as
            many); with fewer frames each is a block. Errors grow by what eight or more blocks show of frames that
            depend on each other, by ranges of r; `header` says how many frames are independent. Neighbouring points
            share their errors.
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
        return self.curves(rmin, rmax, rstep, **about)[0]

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
        elements = first_species(self.sources)
        made = Curves(r, elements, instrument, _displacements(Uiso, elements), dict(strengths or {}))
        counted = self._counted(made.reach, WIDTH, blocks, tell)
        means = counted.averages
        some = zip([means.mean, *means.blocks], [means.density, *means.densities], strict=True)
        found = made.of([Bins(sums, counted.width, counted.atoms, density) for sums, density in some])
        said = (*counted.remarks, *counted.beyond_half(rmax), *self._sharp(made, counted, found[0]))
        said += (f"qmax was not given: {QMAX:g} Å⁻¹ is taken; give that of the measurement",) * (qmax is None)
        said += ("qbroad widens what Uiso gives, and no motion of the frames: give resolution= in its place",) * bool(
            instrument.qbroad and not made.U.any()
        )
        for text in said[len(counted.remarks) :]:
            remark(text, 4)
        errors = means.errors(found[1:].sum(axis=1), rstep)
        whole = PDF(
            r, found[0].sum(axis=0), _positive(errors), _said(instrument), counted.header, self._name, remarks=said
        )
        each = means.errors(found[1:], rstep)
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
        for text in counted.beyond_half(shells * rstep):
            remark(text, 3)
        return rdf_of(counted.averages, counted.elements, counted.atoms, rstep, fine, shells)

    @property
    def _name(self) -> str:
        return unpacked(Path(self.sources.name)).stem

    # --- counting --------------------------------------------------------------------------------------------------

    def _counted(self, reach: float, width: float, blocks: int, tell: Callable[[str], None] | None) -> Counted:
        """Return the averages up to at least reach (Å): those of before where they do."""
        blocks = round(_checks.number("blocks", blocks, low=2, high=1000))
        kept = self._kept.get((width, blocks))
        if kept is None or kept.reach < reach:
            kept = count_frames(self.sources, reach, width, blocks, tell)
            self._kept[width, blocks] = kept
        return kept

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
