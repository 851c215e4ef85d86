"""Energies as restraints: rows that have the energy and its slope, and fits that obey them."""

from __future__ import annotations

import pickle
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest

import pdfkit as pk
from pdfkit.errors import PdfkitError
from pdfkit.fitting.comparison import _remarks
from pdfkit.fitting.evidence import Evidence
from pdfkit.model import EnergyRestraint, noise

ase = pytest.importorskip("ase")
from ase.calculators.calculator import Calculator, all_changes  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402
from ase.calculators.lj import LennardJones  # noqa: E402
from ase.optimize import BFGS  # noqa: E402

XRAY = pk.Instrument(probe="X", qmin=0.6, qmax=18.0)
COPPER = pk.build.sphere("Cu", 6.0)
R = np.arange(1.5, 9.0, 0.05)


class Springs(Calculator):
    """½k Σ(x − x₀)²."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, places: np.ndarray, k: float) -> None:
        super().__init__()
        self.places, self.k = places, k

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        away = atoms.positions - self.places
        self.results = {"energy": 0.5 * self.k * float((away**2).sum()), "forces": -self.k * away}


def model(particle: pk.Particle = COPPER) -> pk.Model:
    return pk.Model(pk.Cluster(particle, "c", Uiso=0.01, moves="atoms"), XRAY)


@pytest.mark.parametrize("calculator", [EMT(), LennardJones(sigma=2.3, epsilon=0.3), Springs(COPPER.xyz + 0.05, 3.0)])
def test_squares_and_slope_are_those_of_the_energy(calculator: Any) -> None:
    one, restraint = model(), EnergyRestraint("c", calculator, 7.0)
    rng, every = np.random.default_rng(0), np.eye(one.values.size)
    chosen = slice(2, 2 + COPPER.xyz.size)

    def squares(values: np.ndarray) -> float:
        return float((restraint.residual(one, one.names, values, every)[0] ** 2).sum())

    values = one.values.copy()
    first = squares(values)
    values[chosen] = rng.normal(0.0, 0.02, COPPER.xyz.size)
    atoms = COPPER.to_ase()
    atoms.calc = calculator
    before = atoms.get_potential_energy()
    atoms.positions += values[chosen].reshape(-1, 3)
    rise = atoms.get_potential_energy() - before
    assert abs(squares(values) - first - 14.0 * rise) < 1e-8 * max(1.0, abs(rise))
    rows, slopes = restraint.residual(one, one.names, values, every)
    np.testing.assert_allclose(2.0 * slopes[:, chosen].T @ rows, -14.0 * atoms.get_forces().ravel(), atol=1e-8)
    (term,) = restraint.terms(one, one.names, values, every)
    assert abs(term.value - rise) < 1e-9


def test_a_heavy_weight_relaxes_the_cluster() -> None:
    one = model()
    data = one(R)
    free = ["x", "y", "z"]
    found = pk.fit(one, data, free=free, restraints=[EnergyRestraint("c", EMT(), 1e5)], search="plain").model.phases[0]
    atoms = COPPER.to_ase()
    atoms.calc = EMT()
    atoms.rattle(0.01, seed=0)  # the first places are a saddle, from which forces alone do not lead to the icosahedron
    BFGS(atoms, logfile=None).run(fmax=1e-3)
    best = atoms.get_potential_energy()
    atoms.positions = found.refined_particle().xyz
    assert best - 1e-4 < atoms.get_potential_energy() < best + 2e-2


def test_data_and_energy_share_what_they_know() -> None:
    rng = np.random.default_rng(4)
    moved = pk.Particle.of(COPPER.symbols, COPPER.xyz + rng.normal(0.0, 0.05, COPPER.xyz.shape))
    pdf = model(moved)(R)
    data = pk.PDF(R, pdf.G, np.full(R.size, 0.02), instrument=XRAY)
    rises = []
    for weight in (0.1, 100.0):
        restraint = EnergyRestraint("c", EMT(), weight)
        settings = pk.FitSettings(noise="given")
        result = pk.fit(model(), data, free=["x", "y", "z"], restraints=[restraint], search="plain", settings=settings)
        rises.append(
            (
                restraint.terms(result.model, result.model.names, result.model.values, np.zeros((64, 0)))[0].value,
                result.rw,
            )
        )
        assert "energy above the first" in str(result)
    assert rises[0][0] > rises[1][0]
    assert rises[0][1] < rises[1][1]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PdfkitError, match="calculator is of type str"):
        EnergyRestraint("c", "EMT", 1.0)
    with pytest.raises(PdfkitError, match="weight"):
        EnergyRestraint("c", EMT(), 0.0)
    cadmium = pk.build.tetrahedron("CdSe_zincblende", 3)
    one = model(cadmium)
    with pytest.raises(PdfkitError, match="calculator of an energy restraint failed"):
        EnergyRestraint("c", EMT(), 1.0).residual(one, one.names, one.values, np.eye(one.values.size))


class Odd(Springs):
    """Gives what cannot be used, from the third question on."""

    def __init__(self, places: np.ndarray, odd: Any) -> None:
        super().__init__(places, 3.0)
        self.odd, self.asked = odd, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.asked += 1
        if self.asked > 2:
            self.results |= self.odd


def test_forces_of_another_sign_or_unit_are_refused() -> None:
    class Turned(Springs):
        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, system_changes)
            self.results = {**self.results, "forces": self.factor * self.results["forces"]}

    one = model()
    for factor, there in ((-1.0, True), (27.2, True), (0.0, True), (1.0, False)):
        calculator = Turned(1.02 * COPPER.xyz, 3.0)
        calculator.factor = factor
        with pytest.raises(PdfkitError, match="not the slope") if there else nullcontext():
            EnergyRestraint("c", calculator, 1.0).residual(one, one.names, one.values, np.eye(one.values.size))
        with pytest.raises(PdfkitError, match="not the slope") if there else nullcontext():
            pk.build.relax(COPPER, calculator, steps=1, fmax=100)


@pytest.mark.parametrize(
    "odd",
    [
        {"energy": np.nan},
        {"forces": np.full((13, 3), np.nan)},
        {"forces": np.zeros((2, 3))},
        {"forces": np.zeros((3, 13))},
    ],
)
def test_numbers_that_cannot_be_used_are_named(odd: Any) -> None:
    data = model().with_values({"c.Cu1.x": 0.1})(R)
    with pytest.raises(PdfkitError, match="cannot be used"):
        pk.fit(model(), data, free=["x", "y", "z"], restraints=[EnergyRestraint("c", Odd(COPPER.xyz, odd), 1.0)])


def test_other_elements_at_the_same_places_have_energies_of_their_own() -> None:
    gold = pk.Particle.of(["Au"] * len(COPPER), COPPER.xyz)
    both = EnergyRestraint("c", EMT(), 1.0)
    first = both.terms(model(), model().names, model().values, np.eye(model().values.size))
    moved = model(gold).with_values({"c.Au1.x": 0.2})
    alone = EnergyRestraint("c", EMT(), 1.0).terms(moved, moved.names, moved.values, np.eye(moved.values.size))
    after = both.terms(moved, moved.names, moved.values, np.eye(moved.values.size))
    assert first[0].value == 0.0
    assert after[0].value == pytest.approx(alone[0].value, abs=1e-9)


def test_a_calculator_that_cannot_be_pickled_is_left_behind() -> None:
    calculator = EMT()
    atoms = COPPER.to_ase()
    atoms.calc = calculator
    atoms.get_potential_energy()
    back = pickle.loads(pickle.dumps(EnergyRestraint("c", calculator, 1.0)))
    with pytest.raises(PdfkitError, match="left behind"):
        back.terms(model(), model().names, model().values, np.eye(model().values.size))
    kept = pickle.loads(pickle.dumps(EnergyRestraint("c", LennardJones(sigma=2.3), 1.0)))
    assert kept.calculator.parameters["sigma"] == 2.3


def test_shifts_and_turns_need_no_word() -> None:
    data = noise.simulate(model().with_values({"c.Cu1.x": 0.1}), 1.5, 9.0, 0.05, noise=0.1, seed=1)
    result = pk.fit(model(), data, free=["x", "y", "z"], restraints=[EnergyRestraint("c", EMT(), 10.0)], search="plain")
    assert not any("do not determine" in text or "do not tell" in text for text in result.remarks)
    assert any("the same restraint" in text for text in _remarks("moved", result, Evidence(0.0, 0.0, 0.0, 0)))
