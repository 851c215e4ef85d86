"""A fit of a project as model, data, free parameters and ties.

Every variable that has a formula is a quantity of the model; a parameter @k is the first quantity whose formula is "@k"
alone, whatever else has it is tied to that, and a parameter that stands nowhere alone is a variable p<k> of the fit.
Fixed parameters are numbers. A phase keeps all its atoms in P 1, as in PDFgui; a site whose formulas keep its tensor
isotropic has one Uiso, any other all six components.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from pdfkit._checks import choice
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters
from pdfkit.phases.base import plain_word
from pdfkit.phases.crystal import Crystal
from pdfkit.projects import formulas
from pdfkit.projects.formulas import of_structure, split
from pdfkit.projects.project import Progress, ProjectData, ProjectFit, ProjectPhase
from pdfkit.results.problem import FitSettings
from pdfkit.results.result import FitResult
from pdfkit.structure import symmetry
from pdfkit.structure.structure import NAMES_CELL, NAMES_U, Structure

CONVENTIONS = ("pdffit2", "default")

# Neutron lengths (fm) as PDFfit2 has them, where those of today differ: it matters where the mean length is near 0.
_LENGTHS = {
    "He": 3.263, "Li": -1.903, "Be": 7.791, "B": 5.304, "C": 6.648413, "O": 5.8054, "F": 5.65412, "Ne": 4.5666,
    "Na": 3.632, "Mg": 5.3754, "Al": 3.4495, "P": 5.131, "S": 2.8471, "Cl": 9.57928, "Ar": 1.9096, "K": 3.672,
    "Ca": 4.702, "Sc": 12.11, "Ti": -3.37013, "V": -0.44314, "Cr": 3.6357, "Mn": -3.75018, "Fe": 9.452,
    "Co": 2.492, "Ni": 10.31, "Cu": 7.7184, "Zn": 5.6805, "Ga": 7.2882, "Ge": 8.1852, "As": 6.581, "Se": 7.9709,
    "Br": 6.792, "Kr": 7.812, "Rb": 7.082, "Sr": 7.022, "Y": 7.752, "Zr": 7.163, "Nb": 7.0543, "Mo": 6.7152,
    "Tc": 6.83, "Ru": 7.022, "Rh": 5.904, "Pd": 5.916, "Ag": 5.9227, "Cd": 4.835, "In": 4.0652, "Sn": 6.2252,
    "Sb": 5.573, "Te": 5.682, "I": 5.282, "Xe": 4.694, "Cs": 5.422, "Ba": 5.073, "La": 8.244, "Ce": 4.842,
    "Pr": 4.585, "Nd": 7.695, "Pm": 12.64, "Sm": 0.005, "Eu": 5.33, "Gd": 9.52, "Tb": 7.342, "Dy": 16.93,
    "Ho": 8.443, "Er": 7.792, "Tm": 7.073, "Yb": 12.413, "Lu": 7.213, "Hf": 7.7714, "Ta": 6.917, "W": 4.75518,
    "Re": 9.22, "Os": 10.72, "Ir": 10.63, "Pt": 9.601, "Au": 7.907, "Hg": 12.59545, "Tl": 8.7765, "Pb": 9.4012,
    "Bi": 8.5322, "D": 6.674,
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A quantity of a model and the formula that it follows; data : of which data set, "" for all."""

    quantity: str
    formula: str
    data: str = ""

    @property
    def name(self) -> str:
        """The name of its parameter."""
        return f"{self.data}.{self.quantity}" if self.data else self.quantity


@dataclass(frozen=True, eq=False)
class LiveFit:
    """A fit of a project, ready to be run here or to be changed: what `pk.fit` takes.

    model, data (one PDF, or several by name), free, ties: as for `pk.fit`. variables: start values of parameters that
    belong to the fit alone, by name. rmin, rmax: Å by data set. names: the parameter's name here by its number there,
    of those that vary. remarks: what could not be taken over.
    """

    source: ProjectFit
    convention: str
    model: Model
    data: PDF | dict[str, PDF]
    free: tuple[str, ...]
    ties: Mapping[str, str]
    variables: Mapping[str, float]
    rmin: Mapping[str, float | None]
    rmax: Mapping[str, float | None]
    names: Mapping[int, str]
    targets: tuple[Target, ...]
    crystals: tuple[Crystal, ...]
    remarks: tuple[str, ...] = ()

    @property
    def sets(self) -> dict[str, PDF]:
        """The data by name, also where there is one set only."""
        return self.data if isinstance(self.data, dict) else {next(iter(self.rmin)): self.data}

    @property
    def settings(self) -> FitSettings:
        """Points by themselves in PDFfit2's convention, as PDFfit2 takes them."""
        return FitSettings(errors="independent" if self.convention == "pdffit2" else "auto")

    def params(self) -> Parameters:
        """Return the parameters of the model, and the variables of the fit, at their start values."""
        from pdfkit.fitting.least_squares import parameters

        params = parameters(self.model, self.data)
        for name, value in self.variables.items():
            params.add(name, value=value, vary=False)
        for k, name in self.names.items():  # the scale of a second data set is not that of the model
            params[name].value = _unsigned(name, self.source.parameters[k].start)
        return params

    def run(self, progress: Progress | None = None) -> FitResult:
        """Fit, and return the result; remarks of the project are among its remarks."""
        from pdfkit.fitting.least_squares import fit

        if not self.free:
            raise PdfkitError(f"fit {self.source.name}: all its parameters are fixed: free one in PDFgui")
        several = isinstance(self.data, dict)
        rmin, rmax = (ends if several else next(iter(ends.values())) for ends in (self.rmin, self.rmax))
        result = fit(
            self.model,
            self.data,
            rmin=rmin,
            rmax=rmax,
            free=self.free,
            ties=self.ties,
            params=self.params(),
            settings=self.settings,
            search="plain",  # the minimum that PDFgui's start values lead to
            progress=progress,
        )
        return replace(result, remarks=(*self.source.remarks, *self.remarks, *result.remarks))

    def found(self, result: FitResult) -> dict[int, tuple[float, float | None]]:
        """Return value and standard error by number of the parameter, of those that vary."""
        return {k: (float(result.params[n].value), result.params[n].stderr) for k, n in self.names.items()}

    def models(self, values: Mapping[int, float]) -> dict[str, Model]:
        """Return the model of each data set at values of the parameters."""
        out = {}
        for name, pdf in self.sets.items():
            known = self.values(name, values)
            constant = self.convention == "pdffit2" or math.isinf(pdf.instrument.qmax or math.inf)
            about = _measured(pdf, {key: known.pop(key) for key in ("qdamp", "qbroad") if key in known}, constant)
            phases = [_moved(phase, known) for phase in self.crystals]
            out[name] = Model(phases, about, self.model.convention, _strengths(phases, about.probe, self.convention))
        return out

    def rw(self, values: Mapping[int, float]) -> float:
        """Return Rw over all data sets at values of the parameters, without a fit.

        Values need not be possible ones: PDFfit2 has no limits, and may have left an occupancy of 1.1.
        """
        top = bottom = 0.0
        start = {k: one.start for k, one in self.source.parameters.items()}
        for name, model in self.models(start).items():
            pdf = self.sets[name].crop(self.rmin[name], self.rmax[name])
            known = self.values(name, values)
            full = [known.get(word, value) for word, value in zip(model.names, model.values, strict=True)]
            G, _ = model.evaluator(pdf.r)(np.array(full))
            weight = np.ones(len(pdf)) if pdf.dG is None else 1.0 / pdf.dG
            top += float((((pdf.G - G) * weight) ** 2).sum())
            bottom += float(((pdf.G * weight) ** 2).sum())
        return math.sqrt(top / bottom)

    def values(self, name: str, values: Mapping[int, float]) -> dict[str, float]:
        """Return what the formulas of a data set, and of all, give at values of the parameters."""
        own = (one for one in self.targets if one.data in ("", name))
        known = {one.quantity: formulas.evaluate(one.formula, values) for one in own}
        return {word: _unsigned(word, value) for word, value in known.items()}


def live(fit: ProjectFit, convention: str) -> LiveFit:
    """Return a fit as live objects; PdfkitError where it cannot be one, with what is in the way."""
    choice("convention", convention, CONVENTIONS)
    if fit.obstacle:
        raise PdfkitError(f"fit {fit.name}: {fit.obstacle}")
    return _Making(fit, convention).made()


@dataclass
class _Making:
    """What is collected while a fit is made."""

    fit: ProjectFit
    convention: str
    remarks: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    @cached_property
    def start(self) -> dict[int, float]:
        """The start values by number."""
        values = {k: one.start for k, one in self.fit.parameters.items()}
        bad = [k for k, value in values.items() if not math.isfinite(value)]
        if bad:
            raise PdfkitError(f"fit {self.fit.name}: @{bad[0]} has no start value: give it a number in PDFgui")
        return values

    @cached_property
    def several(self) -> bool:
        return len(self.fit.data) > 1

    def made(self) -> LiveFit:
        phases = words((one.name for one in self.fit.phases), "phase")
        names = words((one.name for one in self.fit.data), "data", phases)
        crystals = [self.crystal(one, name) for one, name in zip(self.fit.phases, phases, strict=True)]
        data = {name: self.dataset(one, name, phases) for one, name in zip(self.fit.data, names, strict=True)}
        led, variables = self.leaders()
        ties = self.ties(led)
        blank = LiveFit(
            self.fit,
            self.convention,
            Model(crystals, next(iter(data.values())).instrument, _named(self.convention)),
            data if self.several else next(iter(data.values())),
            tuple(led.values()),
            ties,
            variables,
            rmin=self.ends(names, "rmin"),
            rmax=self.ends(names, "rmax"),
            names=led,
            targets=tuple(self.targets),
            crystals=tuple(crystals),
            remarks=tuple(self.remarks),
        )
        return self.at_start(blank)

    def at_start(self, blank: LiveFit) -> LiveFit:
        """Return the fit with models at the start values, and each data set with its own instrument."""
        models = blank.models(self.start)
        data = {name: replace(pdf, instrument=models[name].instrument) for name, pdf in blank.sets.items()}
        # Strengths hold for the probe of the model: there is a table of PDFfit2's own for neutrons only.
        model = next((one for one in models.values() if one.strengths), next(iter(models.values())))
        return replace(blank, model=model, data=data if self.several else next(iter(data.values())))

    def ends(self, names: Sequence[str], which: str) -> dict[str, float | None]:
        """Return an end of the range of each data set; what PDFfit2 is handed is the range itself."""
        own = self.convention != "pdffit2"
        return {name: getattr(one, which) if own else None for name, one in zip(names, self.fit.data, strict=True)}

    # --- phases and data

    def crystal(self, phase: ProjectPhase, name: str) -> Crystal:
        structure = replace(phase.structure, meta=self.header(phase))
        atoms = len(structure.sites)
        for variable in phase.constraints:
            of_structure(structure, variable)  # or it says what is wrong with it
        free_U = {split(v)[1] for v in phase.constraints if split(v)[0] in NAMES_U}
        kept = {i: formula for i in sorted(free_U) if (formula := self.isotropic(phase, structure, i))}
        tensors = [structure.sites[i - 1].label for i in sorted(free_U - set(kept))]
        crystal = Crystal.from_structure(structure, name=name, anisotropic=tensors)
        if len(crystal.structure.sites) != atoms:
            raise PdfkitError(f"phase {phase.name} has atoms on one another: its constraints cannot be assigned")
        for variable, formula in phase.constraints.items():
            word, index = split(variable)
            if word == "pscale" or (index in kept and word in NAMES_U):
                continue
            if self.refinable(crystal, word, formula):
                label = f"{crystal.structure.sites[index - 1].label}." if index else ""
                self.targets.append(Target(f"{name}.{label}{word}", formula))
        self.targets += [Target(f"{name}.{structure.sites[i - 1].label}.Uiso", formula) for i, formula in kept.items()]
        return crystal

    def header(self, phase: ProjectPhase) -> dict[str, Any]:
        """Return what the header of the structure says, with the diameter that the fit starts from."""
        meta = dict(phase.structure.meta)
        size = phase.spdiameter
        if "spdiameter" in phase.constraints:
            size = formulas.evaluate(phase.constraints["spdiameter"], self.start)
        if size > 0 and float(meta.get("stepcut", 0.0)) > 0:
            self.remarks.append(f"phase {phase.name}: a sphere and a stepcut at once: the sphere is taken")
        return meta | ({"spdiameter": size} if size > 0 else {})

    def refinable(self, crystal: Crystal, word: str, formula: str) -> bool:
        """Return whether the crystal has a quantity that may follow this formula; else it is remarked."""
        known = {q.name: q for q in crystal.quantities}
        varies = any(not self.fit.parameters[k].fixed for k in formulas.indices(formula))
        if word in ("spdiameter", "stepcut") and word not in known:
            self.remarks.append(f"phase {crystal.name}: {word} starts at 0, which means a bulk crystal: it stays so")
            return False
        if word == "rcut" and varies:
            self.remarks.append(f"phase {crystal.name}: rcut cannot be refined: it stays at {crystal.rcut:g} Å")
            return False
        return True

    def isotropic(self, phase: ProjectPhase, structure: Structure, index: int) -> str:
        """Return the formula of Uiso where those of a site's tensor keep it isotropic for any parameters, else ""."""
        words = [f"{word.lower()}({index})" for word in NAMES_U]
        own = [phase.constraints.get(word, "") for word in words]
        if not all(own[:3]) or any(split(v)[0] in NAMES_CELL[3:] for v in phase.constraints):
            return ""
        unit = symmetry.isotropic_tensor(structure.basis())
        known = structure.U_tensor(index - 1)
        for shift in (1.0, 1.17, 0.71):  # at the start, and twice beside it
            values = {k: x * shift + (shift - 1.0) * 0.01 * (k % 7) for k, x in self.start.items()}
            U = [formulas.evaluate(f, values) if f else known[i] for i, f in enumerate(own)]
            if not np.allclose(U, U[0] * np.array(unit), rtol=1e-6, atol=1e-9):
                return ""
        return own[0]

    def dataset(self, one: ProjectData, name: str, phases: Sequence[str]) -> PDF:
        pdf = one.sampled() if self.convention == "pdffit2" else one.observed
        data = name if self.several else ""
        for word in ("qdamp", "qbroad"):
            if word in one.constraints:
                self.targets.append(Target(word, one.constraints[word], data))
        for phase, word in zip(self.fit.phases, phases, strict=True):
            self.targets.append(Target(f"{word}.scale", _product(one, phase), data))
        unknown = [word for word in one.constraints if word not in ("dscale", "qdamp", "qbroad")]
        if unknown:
            raise PdfkitError(
                f"data set {one.name}: {unknown[0][:40]!r} is not a variable of data: remove its constraint"
            )
        return replace(pdf, dG=self.weights(one, pdf), name=name, cov=None)

    def weights(self, one: ProjectData, pdf: PDF) -> Any:
        """Return the errors that weigh points; PDFfit2 takes 1 for data without, beside others with them."""
        mixed = any(other.observed.dG is not None for other in self.fit.data)
        if pdf.dG is not None or not mixed:
            return pdf.dG
        self.remarks.append(
            f"data set {one.name} has no errors, and others have: PDFfit2 takes 1 for each, and so it is here"
        )
        return np.ones(len(pdf))

    # --- parameters

    def leaders(self) -> tuple[dict[int, str], dict[str, float]]:
        """Return the name of each parameter that varies, and the start values of those that are variables."""
        varying = [k for k, one in self.fit.parameters.items() if not one.fixed]
        names: dict[int, str] = {}
        for target in self.targets:
            k = formulas.alone(target.formula)
            if k in varying and k not in names:
                names[k] = target.name
        used = {k for target in self.targets for k in formulas.indices(target.formula)}
        led = {k: names.get(k, f"p{k}") for k in varying if k in used}
        return led, {name: self.start[k] for k, name in led.items() if k not in names}

    def ties(self, led: Mapping[int, str]) -> dict[str, str]:
        """Return what follows the parameters that vary."""
        known = {**{k: repr(x) if x >= 0 else f"({x!r})" for k, x in self.start.items()}, **led}
        out = {}
        for one in self.targets:
            if one.name in led.values():
                continue
            if set(formulas.indices(one.formula)) & set(led):
                out[one.name] = formulas.expression(one.formula, known)
            elif one.data and one.quantity.endswith(".scale"):  # not that of the model
                out[one.name] = repr(formulas.evaluate(one.formula, self.start))
        return out


def _unsigned(word: str, value: float) -> float:
    """Return a value as it counts: of qdamp and qbroad the square does, and PDFfit2 may leave them negative."""
    return abs(value) if word.rpartition(".")[2] in ("qdamp", "qbroad") else value


def _named(convention: str) -> str:
    return "pdfkit" if convention == "default" else convention


def _product(data: ProjectData, phase: ProjectPhase) -> str:
    """Return dscale·pscale as one formula: the scale of a phase in a data set."""
    own = phase.constraints.get("pscale", "")
    whole = data.constraints.get("dscale", "")
    scale = float(phase.structure.meta.get("scale", 1.0))
    factors = [f"({own})" if whole else own] if own else [] if scale == 1.0 else [repr(scale)]
    factors += [f"({whole})" if factors else whole] if whole else [] if data.dscale == 1.0 else [repr(data.dscale)]
    if own and not whole and len(factors) > 1:
        factors[0] = f"({own})"
    return "*".join(factors) or "1.0"


def words(names: Iterable[str], kind: str, taken: Sequence[str] = ()) -> list[str]:
    """Return names as words that differ from each other and from those taken: "Ni.gr" is Ni."""
    out: list[str] = []
    for name in names:
        stem = re.sub(r"\.[A-Za-z]\w{0,4}$", "", name)
        word = plain_word(stem).replace("phase_", f"{kind}_", 1) if kind != "phase" else plain_word(stem)
        base, k = word if word not in taken else f"{word}_{kind}", 2
        word = base
        while word in out or word in taken or word in ("qdamp", "qbroad"):
            word, k = f"{base}_{k}", k + 1
        out.append(word)
    return out


def _measured(pdf: PDF, known: Mapping[str, float], constant: bool) -> Instrument:
    """Return the instrument of a data set, with what the fit says of it; PDFfit2's strengths do not depend on Q."""
    changed: dict[str, Any] = {**known, **({"scattering": "constant"} if constant else {})}
    return replace(pdf.instrument, **changed).complete()


def _moved(phase: Crystal, known: Mapping[str, float]) -> Crystal:
    lead = f"{phase.name}."
    own = {name.removeprefix(lead): value for name, value in known.items() if name.startswith(lead)}
    return phase.with_values(own) if own else phase


def _strengths(phases: Sequence[Crystal], probe: str | None, convention: str) -> dict[str, float]:
    """Return the neutron lengths in which PDFfit2 differs, of elements that the phases have."""
    if probe != "N" or convention != "pdffit2":
        return {}
    elements = {element for phase in phases for element in phase.composition()}
    return {element: value for element, value in _LENGTHS.items() if element in elements}
