"""A model: phases and an instrument, as a pure function from named numbers to G(r), with its analytic derivative.

`Convention` names where other programs differ; for the order of operations see `pdfkit.model.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pdfkit import _checks, _expressions, _machine
from pdfkit._checks import Array
from pdfkit._table import shortlist, view
from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import Instrument
from pdfkit.errors import ParameterError, PdfkitError, remark
from pdfkit.model import cut
from pdfkit.model.convention import Convention
from pdfkit.model.evaluate import Evaluator
from pdfkit.model.mixture import Mean, factors
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES, OURS, QTAIL, F_of
from pdfkit.model.weights import form_factors
from pdfkit.phases.base import Phase, Quantity
from pdfkit.phases.ions import scattering_remarks
from pdfkit.scattering import product

if TYPE_CHECKING:
    from pdfkit.model.explained import Peak

CONVENTIONS: Mapping[str, Convention] = {
    "pdfkit": Convention(),
    "pdffit2": Convention(prefactor="grid", reach=5.0, cut="pdffit2", anisotropy="none", finite_size="curve"),
    "diffpy-cmi": Convention(envelope="after-cut", cut="diffpy-cmi", anisotropy="none", finite_size="curve"),
}


@dataclass(frozen=True, eq=False)
class Model:
    """Phases measured by an instrument.

    Parameters
    ----------
    phases : one phase or several, with different names. instrument : probe, Q range, resolution, window, scattering…
    convention : "pdfkit", "pdffit2", "diffpy-cmi", or a `Convention`.
    strengths : replaces the scattering strength of elements by name (fm for neutrons), e.g. {"Cd": 4.835}.

    Raises
    ------
    PdfkitError : two phases of one name, no probe or qmax, Q-dependent scattering asked for by name without a finite
        qmax or in the convention of another program.

    Calling the model with r gives a `PDF`; `pdfkit.parameters(model)` lists its numbers; `with_values` changes them.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.04))
    >>> print(*model.names)
    ni.scale ni.a ni.Ni.Uiso ni.Ni.occ ni.delta1 ni.delta2 ni.sratio ni.rcut qdamp qbroad resolution qtail
    >>> pdf = model.with_values({"ni.a": 3.6})(np.arange(2.0, 3.0, 0.01))
    >>> print(f"nearest neighbours at {pdf.r[pdf.G.argmax()]:.2f} Å, a/√2 = {3.6 / 2**0.5:.2f} Å")
    nearest neighbours at 2.55 Å, a/√2 = 2.55 Å
    """

    phases: tuple[Phase, ...]
    instrument: Instrument
    convention: Convention = field(default_factory=Convention)
    strengths: Mapping[str, float] = field(default_factory=dict)
    _told: ClassVar[set[str]]  # each model's own: remarks that were warned of

    def __init__(
        self,
        phases: Phase | Sequence[Phase],
        instrument: Instrument,
        convention: str | Convention = "pdfkit",
        strengths: Mapping[str, float] | None = None,
    ) -> None:
        set_ = object.__setattr__
        set_(self, "phases", tuple(phases) if isinstance(phases, list | tuple) else (phases,))
        for phase in self.phases:
            _checks.instance("a phase of the model", phase, Phase, "a Crystal, Cluster or Stacked")
        set_(self, "instrument", instrument)
        if isinstance(convention, str):
            _checks.choice("convention", convention, tuple(CONVENTIONS))
            convention = CONVENTIONS[convention]
        for what, value, kind in (("instrument", instrument, Instrument), ("convention", convention, Convention)):
            if not isinstance(value, kind):
                raise PdfkitError(f"{what} is {_checks.short(value)}: give a pdfkit {kind.__name__}")
        set_(self, "convention", convention)
        set_(self, "strengths", dict(strengths or {}))
        set_(self, "_told", set())
        self._check()

    def _check(self) -> None:
        names = [phase.name for phase in self.phases]
        if not names:
            raise PdfkitError("a model needs at least one phase")
        for name in names:
            if names.count(name) > 1 or name in INSTRUMENT_QUANTITIES:
                raise PdfkitError(f"phase name {name!r} is taken: give every phase its own, such as {name + '_2'!r}")
        if self.instrument.probe is None:
            raise PdfkitError("the probe is not known: give probe= (X, N or E)")
        if self.instrument.qmax is None:
            raise PdfkitError("qmax is not known: give qmax= in Å⁻¹ (inf for no termination)")
        if self.instrument.qmin > 0 and self.instrument.qmax == math.inf:
            raise PdfkitError("qmin needs a finite qmax: give qmax= in Å⁻¹, or qmin=0")
        self.convention.scattering_of(self.instrument)  # refuses what cannot be

    def _repr_html_(self) -> str:
        rows = [(phase.kind, phase.heading, f"{len(phase.quantities)} numbers") for phase in self.phases]
        return view(shortlist(f"Model: {self.instrument.summary()}", ("phase", "", ""), rows))

    # --- quantities ------------------------------------------------------------------------------------------------

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Every number of the model with its full name: phase.what, then those of the instrument."""
        own = [(phase.name, q) for phase in self.phases for q in phase.quantities_seen_by(self.instrument.probe)]
        phases = [replace(q, name=f"{name}.{q.name}") for name, q in own]
        tailless = self.convention.envelope != "before-cut" or not self.instrument.terminated
        without = OURS if self.convention.constant else ("qtail",) if tailless else ()
        beam = [
            replace(q, value=getattr(self.instrument, name), refinable=name not in without)
            for name, q in INSTRUMENT_QUANTITIES.items()
        ]
        return (*phases, *beam)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Full names of the quantities."""
        return tuple(q.name for q in self.quantities)

    @cached_property
    def values(self) -> Array:
        """Values of the quantities, in the order of `names`."""
        own = [value for phase in self.phases for value in phase.values]
        return np.array([*own, *(getattr(self.instrument, name) for name in INSTRUMENT_QUANTITIES)])

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed; the ending of a name will do where no other ends so.

        Raises ParameterError for a name that does not exist or stands for several, or an impossible value.

        Example
        -------
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni"), pk.Instrument(probe="X", qmax=25))
        >>> warm = model.with_values({"a": 3.56, "qdamp": 0.03})  # or {"Ni.a": ...}
        >>> warm.phases[0].structure.cell[0], warm.instrument.qdamp
        (3.56, 0.03)
        """
        values = self._by_whole_name(values)
        phases = []
        for phase in self.phases:
            lead = f"{phase.name}."
            own = {name.removeprefix(lead): value for name, value in values.items() if name.startswith(lead)}
            phases.append(phase.with_values(own) if own else phase)
        changed = {name: float(values[name]) for name in INSTRUMENT_QUANTITIES if name in values}
        return self._like(tuple(phases), self.instrument.with_values(changed))

    def _by_whole_name(self, values: Mapping[str, float]) -> dict[str, float]:
        known = set(self.names)
        out: dict[str, float] = {}
        for key, value in values.items():
            name = key if key in known else _expressions.whole_name(self.names, key)
            if name in out:
                raise ParameterError(f"{name} is given twice, once as {key}: leave one out", key=key)
            out[name] = value
        return out

    def with_instrument(self, instrument: Instrument) -> Self:
        """Return a copy measured by another instrument."""
        return self._like(self.phases, instrument)

    def _like(self, phases: tuple[Phase, ...], instrument: Instrument) -> Self:
        """Return a changed copy, which does not say again what this model has said."""
        out = type(self)(phases, instrument, self.convention, self.strengths)
        object.__setattr__(out, "_told", self._told)
        return out

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on its scattering strengths, a sentence each: absorption edges, resonances of neutrons.

        Those on f′ and f″ are warned of once, when a curve is first asked for.

        Example
        -------
        >>> import pdfkit as pk
        >>> zincblende, about = pk.Crystal.from_file("CdS_zincblende", name="zb"), {"probe": "X", "qmax": 25}
        >>> model = pk.Model(zincblende, pk.Instrument(**about, wavelength=0.46, anomalous=True))
        >>> model.remarks[0][:54]
        'the K edge of Cd, 26.7112 keV, is within 5 % of 26.953'
        """
        return scattering_remarks(self.phases, self.instrument, self.strengths)

    @property
    def instrument_used(self) -> Instrument:
        """The instrument with the scattering strengths that curves have: those of another program are constant.

        Example
        -------
        >>> import pdfkit as pk
        >>> phase, measured = pk.Crystal.from_file("CeO2"), pk.Instrument(probe="X", qmax=25)
        >>> [pk.Model(phase, measured, like).instrument_used.scattering for like in ("pdfkit", "pdffit2")]
        ['q-dependent', 'constant']
        """
        scattering, given = self.convention.scattering_of(self.instrument), self.instrument
        return given if given.scattering == scattering else replace(given, scattering=scattering)

    # --- curves ----------------------------------------------------------------------------------------------------

    def __call__(self, r: Array) -> PDF:
        """Return G on r (Å).

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> pdf = model(np.arange(2.0, 3.0, 0.01))
        >>> print(f"{pdf.name}: {len(pdf)} points, Ni–Ni at {pdf.r[pdf.G.argmax()]:.2f} Å")
        calculated: 100 points, Ni–Ni at 2.49 Å
        """
        r = _checks.grid("r", r)
        evaluate = self._evaluator(r)
        G, _ = evaluate(self.values)
        for message in evaluate.messages:
            remark(message, stacklevel=2)
        return PDF(r, G, instrument=self.instrument_used.complete(), name="calculated")

    def curves(self, r: Array, values: Array | Sequence[Mapping[str, float]]) -> Array:
        """Return G (n, nr) on r (Å) at n vectors of values at once: a third to a half of the time of n evaluations.

        values : (n, k) in the order of `names`, or n mappings as `with_values` takes them, whose other quantities are
        the model's. It gives what one evaluator gives for each, to 1e-12 of the largest value. How far ripples of the
        cut are followed is the same for all, as far as the vector asks that asks for most: each differs from
        `with_values(one)(r)` by what that leaves out, some 1e-4 of the largest value for crystals without end, and by
        as much depends on which others are in the list. Small crystals gain; other phases, molecules, and vectors that
        change occupancies, are computed one by one. Raises what `with_values` raises.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> r = np.arange(2, 3, 0.01)
        >>> curves = model.curves(r, [{"a": a} for a in (3.50, 3.52, 3.54)])
        >>> [f"{r[G.argmax()]:.2f}" for G in curves]  # a/√2
        ['2.47', '2.49', '2.50']
        """
        r, rows = _checks.grid("r", r), self._vectors(values)
        evaluate = self._evaluator(r).near_all(rows)
        out = evaluate.many(rows)
        for message in evaluate.messages:
            remark(message, stacklevel=2)
        return out

    def _vectors(self, values: Any) -> Array:
        """Return values (n, k) of all quantities, given as such or by name."""
        if isinstance(values, list | tuple) and all(isinstance(one, Mapping) for one in values):
            place = {name: k for k, name in enumerate(self.names)}
            rows = np.tile(self.values, (len(values), 1))
            for row, given in zip(rows, values, strict=True):
                for name, value in self._by_whole_name(given).items():
                    row[place[name]] = _checks.number(name, value)
        else:
            rows = np.array(_checks.array("values", values, ndim=2))
            if rows.shape[1] != len(self.names):
                raise PdfkitError(
                    f"values have {rows.shape[1]} columns: give {len(self.names)}, one for each of model.names, or "
                    'mappings such as {"a": 3.5}'
                )
        least, most = np.array([(q.least, q.most) for q in self.quantities]).T
        for i, k in np.argwhere(~((rows >= least) & (rows <= most) & np.isfinite(rows)))[:1]:
            self.quantities[k].sensible(float(rows[i, k]), self.names[k])
        return rows

    def evaluator(self, r: Array, begin: float | None = None, end: float | None = None) -> Evaluator:
        """Return the function (values, tangents) → (G, dG) on r: what a fit calls. `begin`, `end`: see `Evaluator`.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> evaluate = model.evaluator(np.arange(1, 10, 0.01))
        >>> G, dG = evaluate(model.values, np.eye(model.values.size)[:, :2])  # along the first two of model.names
        >>> dG.shape, np.allclose(dG[0], G)  # G ∝ ni.scale, which is 1
        ((2, 900), True)
        """
        return self._evaluator(_checks.grid("r", r), begin, end)

    def _evaluator(self, r: Array, begin: float | None = None, end: float | None = None) -> Evaluator:
        if self.instrument.anomalous:
            for text in self.remarks:
                if text not in self._told:
                    self._told.add(text)
                    remark(text, stacklevel=3)
        return Evaluator(self.phases, self.instrument, self.convention, self.strengths, r, begin, end)

    def phase_curves(self, r: Array, *, begin: float | None = None) -> dict[str, PDF]:
        """Return each phase's share of G on r; they add up to the total. `begin`: see `Evaluator`.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> phases = [pk.Crystal.from_file(name, name=name.lower()) for name in ("Ni", "Cu")]
        >>> model, r = pk.Model(phases, pk.Instrument(probe="X", qmax=25)), np.arange(1, 10, 0.01)
        >>> curves = model.phase_curves(r)
        >>> list(curves), np.allclose(curves["ni"].G + curves["cu"].G, model(r).G)
        (['ni', 'cu'], True)
        """
        r = _checks.grid("r", r)
        parts = self.evaluator(r, begin).parts(self.values)
        out: dict[str, Array] = {}
        for (phase, _), G in parts.items():
            out[phase] = out.get(phase, 0.0) + G
        return {name: PDF(r, G, instrument=self.instrument_used.complete(), name=name) for name, G in out.items()}

    def partials(self, r: Array, *, weighted: bool = True, begin: float | None = None) -> dict[tuple[str, str], PDF]:
        """Return G_ab on r by species pair, summed over phases.

        weighted: the contributions to G, which add up to it (each with its share w_ab of the baseline). Otherwise the
        number partials G_ab = 4πr[ρ_ab/c_b − ρ₀] of a single phase, × scale, γ₀, B and cut like the total. `begin`: see
        `Evaluator`.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
        >>> r = np.arange(1, 10, 0.01)
        >>> parts = model.partials(r)
        >>> list(parts), np.allclose(sum(one.G for one in parts.values()), model(r).G)
        ([('Cd', 'Cd'), ('Cd', 'S'), ('S', 'S')], True)
        """
        r = _checks.grid("r", r)
        if not weighted and len(self.phases) > 1:
            raise PdfkitError("number partials are defined for one phase: make a model of that phase alone")
        out: dict[tuple[str, str], Array] = {}
        for (_, pair), G in self.evaluator(r, begin).parts(self.values, weighted=weighted).items():
            out[pair] = out.get(pair, 0.0) + G
        about = self.instrument_used.complete()
        return {pair: PDF(r, G, instrument=about, name="–".join(pair)) for pair, G in sorted(out.items())}

    def peak_at(self, r: float) -> Peak:
        """Return what the peak of G at r (Å) is made of: pairs, numbers of neighbours, widths, shares of its area.

        A peak lies between the minima beside it of what pairs make at the resolution of Qmax; ripples of the cut are
        none. ∫G dr of a shell = scale·γ₀(d)·w·n/d, w its weight Re(f_a f_b*)/|⟨f⟩|² at Q = 0, n its pairs per atom.
        Neighbours are those of the bulk, of which a particle has the share γ₀(d). PdfkitError for r ≤ 0.

        Example
        -------
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
        >>> for one in model.peak_at(2.5).pairs:
        ...     print(one.shell.words, f"{100 * one.share:.0f} % of the peak", sep="; ")
        4 S around each Cd, 4 Cd around each S, at 2.525 Å; 100 % of the peak
        """
        from pdfkit.model.explained import peak_at

        return peak_at(self, r)

    def sq(self, Q: Array, *, rmax: float = 100.0) -> SQ:
        """Return S(Q) on Q (Å⁻¹): S = 1 + F/Q with F(Q) = ∫G(r) sin(Qr) dr of the uncut, damped G(r).

        With Q-dependent scattering (the default) each partial has Re(f_a(Q)f_b*(Q))/|⟨f(Q)⟩|² at every Q, ⟨f⟩ of all.
        G is computed to the end of the largest particle, or, where that is beyond rmax (Å), to rmax and faded out over
        its last fifth: Bragg peaks of a bulk crystal come out 2π/rmax wide. `.F` of the result is F(Q). Raises
        PdfkitError for a Q that is not positive.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
        >>> sq = model.sq(np.arange(2.0, 5.0, 0.005))
        >>> print(f"111 at {sq.Q[sq.S.argmax()]:.2f} Å⁻¹, 2π√3/a = {2 * np.pi * 3**0.5 / 3.524:.2f} Å⁻¹")
        111 at 3.09 Å⁻¹, 2π√3/a = 3.09 Å⁻¹
        """
        Q = _checks.grid("Q", Q)
        if Q[0] <= 0:
            raise PdfkitError(f"Q starts at {Q[0]:g}: S(Q) is computed at Q > 0 only, so leave lower Q out")
        about = self.instrument
        free = replace(
            about, qmin=0.0, qmax=math.inf, window="none", window_width=None, scattering="constant", qtail=0.0
        )
        whole = max(phase.applied_shape.extent() for phase in self.phases) + 1.0
        extent = min(rmax, whole)
        step = min(0.01, 0.3 * math.pi / Q[-1])
        _machine.need(200.0 * extent / step, f"S(Q) to {Q[-1]:g} Å⁻¹ from G(r) to {extent:.4g} Å", "lower Q or rmax")
        r = step * np.arange(1, math.ceil(extent / step) + 1)
        fade = cut.fade((r / extent - 0.8) / 0.2) if whole > rmax else np.ones(r.size)
        if about.probe != "N" and about.scattering == "q-dependent" and not self.convention.constant:
            F = self._weighted_F(r, fade, Q, free)
        else:
            F = F_of(r, self.with_instrument(free)(r).G * fade, Q, about.qtail)
        return SQ(Q, 1.0 + F / Q, instrument=about, name="calculated")

    def _weighted_F(self, r: Array, fade: Array, Q: Array, free: Instrument) -> Array:
        """Return F(Q) as the sum of uncut partials on r, each times its Q-dependent weight."""
        # With all strengths 1 the shares are c_a c_b(2 − δ_ab), without any scattering.
        ones = {element: 1.0 for phase in self.phases for element in phase.composition()}
        evaluate = Model(self.phases, free, self.convention, ones).evaluator(r)
        parts = evaluate.parts(np.append(self.values[:QTAIL], 0.0))
        for message in evaluate.messages:
            remark(message, stacklevel=3)
        phases = {phase.name: phase for phase in self.phases}
        on = dict(zip(phases, self._mixture(Q), strict=True))
        F = np.zeros(Q.size)
        for (name, pair), G in parts.items():
            F += F_of(r, G * fade, Q, self.instrument.qtail) * _share(phases[name], pair, self, Q) * on[name]
        return F

    def _mixture(self, Q: Array) -> list[Array]:
        """Return what ⟨f(Q)⟩² of the whole sample leaves on each phase at Q, (nQ,) each."""
        if self.convention.mixture == "phase":
            return [np.ones(Q.size)] * len(self.phases)
        from_zero, fixed = np.append(0.0, Q), np.zeros(0)
        means = [Mean(phase.scale, _mean(phase, self, from_zero), fixed, {}) for phase in self.phases]
        return [one.at[1:] for one in factors(means)]


def _share(phase: Phase, pair: tuple[str, str], model: Model, Q: Array) -> Array:
    """Return Re(f_a f_b*)/|⟨f⟩|² (nQ,) of a pair of species in a phase."""
    amount = phase.composition()
    f = form_factors(tuple(amount), model.instrument, model.strengths, Q)
    mean = _mean(phase, model, Q)
    first, second = (list(amount).index(one) for one in pair)
    return np.asarray(product(f[first], f[second]) / product(mean, mean))


def _mean(phase: Phase, model: Model, Q: Array) -> Any:
    amount = phase.composition()
    f = form_factors(tuple(amount), model.instrument, model.strengths, Q)
    return np.array(list(amount.values())) @ f / sum(amount.values())
