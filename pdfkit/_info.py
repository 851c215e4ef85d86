"""What `pdfkit info` says about a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._species import atomic_mass
from pdfkit.counting import count_pairs
from pdfkit.data import PDF, SQ
from pdfkit.errors import ReadError
from pdfkit.intensity import Intensity
from pdfkit.particle import Particle
from pdfkit.structure import Structure

STRUCTURES = (".cif", ".mcif", ".stru", ".pdb", ".xyz", ".extxyz", ".rmc6f", ".vasp", ".poscar")
RESULTS = (".h5", ".hdf5", ".nxs")
FUNCTIONS_OF_Q = (".sq", ".fq", ".soq")
INTENSITIES = (".iq", ".chi", ".xye")
# Atoms of a cell up to which a space group is looked for: it takes 50 ms at most.
MOST_SEARCHED = 150

Lines = Iterator[tuple[str, str]]


def describe(file: str, qmax: float | None = None, wavelength: float | None = None, **curve: Any) -> str:
    """Return a description of a data file, a structure (file or shipped name), a result or a recipe, as text.

    qmax (Å⁻¹), wavelength (Å; of a pattern against 2θ): where the file does not say. curve : kind, composition and
    rho0 of a function of r or Q, as for `read_pdf`.
    """
    given = {key: value for key, value in curve.items() if value is not None}
    pairs = list(_pairs(file, qmax, wavelength, given))
    width = max(len(key) for key, _ in pairs)
    return "\n".join(f"{key:<{width}}  {value}".rstrip() for key, value in pairs)


def _pairs(file: str, qmax: float | None, wavelength: float | None, curve: dict[str, Any]) -> Lines:
    from pdfkit.io.structures import load_structure, read_structure
    from pdfkit.phases.files import kind_of, known_structure

    path = Path(known_structure(file))
    ending = path.suffix.lower()
    if kind_of(path) == "cluster":
        return of_particle(Particle.from_file(path))
    if not path.exists():
        return of_structure(load_structure(file))
    if ending in STRUCTURES:
        return of_structure(read_structure(path))
    if ending in RESULTS:
        return _of_result(path)
    if ending == ".toml":
        return _of_recipe(path)
    return _of_data(path, qmax, wavelength, curve)


def _of_data(path: Path, qmax: float | None, wavelength: float | None, curve: dict[str, Any]) -> Lines:
    from pdfkit.io._kinds import is_of_Q
    from pdfkit.io.pdf_files import read_pdf
    from pdfkit.io.sq_files import read_sq
    from pdfkit.io.structures import read_structure

    of_Q = {key: value for key, value in curve.items() if key != "rho0"}
    if path.suffix.lower() in FUNCTIONS_OF_Q or is_of_Q(path, curve.get("kind")):
        return of_sq(read_sq(path, **of_Q))
    if path.suffix.lower() in INTENSITIES:
        from pdfkit.io.intensity_files import read_intensity

        unit = "auto" if wavelength is None else "2theta"
        return of_intensity(read_intensity(path, unit=unit, wavelength=wavelength))
    try:
        return of_pdf(read_pdf(path, qmax=qmax, **curve))
    except ReadError as error:
        # The text may still be something else; if it is not, what was wrong with it as G(r) is the answer.
        with suppress(ReadError):
            return of_sq(read_sq(path, **of_Q))
        with suppress(ReadError):
            return of_structure(read_structure(path))
        raise error from None


def of_pdf(pdf: PDF) -> Lines:
    """Yield what is known of a G(r)."""
    instrument, r = pdf.instrument, pdf.r
    yield "kind", "pair distribution function G(r)"
    yield "name", pdf.name
    yield from _grid(r, "r", "Å")
    yield "G", f"{pdf.G.min():.5g} to {pdf.G.max():.5g} Å⁻²"
    yield "dG", "none" if pdf.dG is None else f"{pdf.dG.min():.3g} to {pdf.dG.max():.3g} Å⁻²"
    yield "probe", instrument.probe or "not in the file: give probe="
    if instrument.qmax is None:
        yield "qmax", "not in the file: give qmax="
    else:
        yield "qmin, qmax", f"{instrument.qmin:g} to {instrument.qmax:g} Å⁻¹"
    if instrument.qmax is not None and instrument.qmax < math.inf:
        nyquist = math.pi / instrument.qmax
        count = min(float(r.size), (r[-1] - r[0]) / nyquist)
        yield "Nyquist step", f"π/qmax = {nyquist:.4f} Å"
        yield "independent", f"{count:.0f} points of {r.size}"
    yield "qdamp, qbroad", f"{instrument.qdamp:g}, {instrument.qbroad:g} Å⁻¹"
    yield "window", instrument.window
    for text in pdf.remarks:
        yield "remark", text
    yield from _advice_lines(pdf)
    if pdf.composition:
        yield "composition", pdf.composition
    if pdf.temperature is not None:
        yield "temperature", f"{pdf.temperature:g} K"
    yield from _header(pdf)


def _advice_lines(pdf: PDF) -> Lines:
    """Yield what the data say of themselves."""
    from pdfkit._advice import examine

    seen = examine(pdf)
    if seen.qmax_cut is not None:
        yield "F(Q) ends at", f"{seen.qmax_cut:.1f} Å⁻¹"
    if seen.qmax_noise is not None:
        yield "noise takes over", f"at {seen.qmax_noise:.1f} Å⁻¹: more Q adds no peaks"
    elif seen.coherence is not None and not seen.reaches_end:
        yield "signal in F(Q)", "up to qmax"
    if seen.noise is not None:
        limit = "up to " if seen.reaches_end and pdf.dG is None else ""
        yield "noise of G", f"{limit}{seen.noise:.2g} Å⁻²"
    if seen.first_peak is not None:
        yield "first peak", f"{seen.first_peak:.3f} Å"
    if seen.coherence is not None:
        end = "the end of the data" if seen.reaches_end else f"{seen.coherence:.0f} Å, then noise: a size estimate"
        yield "order reaches", end
    for text in seen.warnings:
        yield "warning", text


def of_intensity(iq: Intensity) -> Lines:
    """Yield what is known of a powder pattern."""
    yield "kind", "intensities I(Q)"
    yield "name", iq.name
    yield from _grid(iq.Q, "Q", "Å⁻¹")
    yield "I", f"{iq.I.min():.5g} to {iq.I.max():.5g}"
    yield "dI", "none" if iq.dI is None else f"{iq.dI.min():.3g} to {iq.dI.max():.3g}"
    yield "wavelength", "not known" if iq.wavelength is None else f"{iq.wavelength:g} Å"
    yield "r resolved to", f"π/step = {math.pi / float(np.diff(iq.Q).max()):.4g} Å"
    if iq.composition:
        yield "composition", iq.composition
    yield from _header(iq)


def of_sq(sq: SQ) -> Lines:
    """Yield what is known of an S(Q)."""
    yield "kind", "structure function S(Q)"
    yield "name", sq.name
    yield from _grid(sq.Q, "Q", "Å⁻¹")
    yield "S", f"{sq.S.min():.5g} to {sq.S.max():.5g}"
    yield "dS", "none" if sq.dS is None else f"{sq.dS.min():.3g} to {sq.dS.max():.3g}"
    yield "probe", sq.instrument.probe or "not in the file: give probe="
    yield "r resolved to", f"π/step = {math.pi / float(np.diff(sq.Q).max()):.4g} Å"
    for text in sq.remarks:
        yield "remark", text
    if sq.composition:
        yield "composition", sq.composition
    yield from _header(sq)


def _grid(x: Array, name: str, unit: str) -> Lines:
    step = np.diff(x)
    uniform = np.ptp(step) < 0.01 * step.mean()
    yield "points", str(x.size)
    yield name, f"{x[0]:g} to {x[-1]:g} {unit}"
    yield "step", f"{step.mean():.6g} {unit}" if uniform else f"{step.min():.4g} to {step.max():.4g} {unit}"


def _header(data: PDF | SQ | Intensity) -> Lines:
    for key, value in data.header.items():
        yield f"  {_plain(key)[:40]}", _plain(value)[:100]


def _plain(text: str) -> str:
    """Return text on one line without characters that steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def of_particle(particle: Particle) -> Lines:
    """Yield what is known of a finite cluster."""
    yield "kind", "cluster (a list of atoms without a cell)"
    if particle.name:
        yield "title", _plain(particle.name)[:100]
    yield "formula", f"{particle.formula}, {len(particle)} atoms, {particle.mass:.1f} g/mol"
    if len(particle) < 2:
        return
    table = count_pairs(particle)
    yield "largest r", f"{table.distance.max():.3f} Å"
    for (a, b), channel in zip(table.pairs, range(len(table.pairs)), strict=True):
        inside = table.channel == channel
        if inside.any():
            yield f"shortest {particle.elements[a]}–{particle.elements[b]}", f"{table.distance[inside].min():.3f} Å"


def of_structure(structure: Structure) -> Lines:
    """Yield what is known of a structure."""
    cell = structure.cell
    yield "kind", "crystal structure"
    if structure.title:
        yield "title", _plain(structure.title)[:100]
    yield "formula", f"{formula(structure.composition())}, {_count(sum(structure.composition().values()))} atoms a cell"
    yield "space group", _plain(structure.spacegroup)
    yield from _symmetry_on_offer(structure)
    yield "cell", "a {:.5g}  b {:.5g}  c {:.5g} Å   α {:g}  β {:g}  γ {:g}°".format(*(round(x, 6) for x in cell))
    yield "volume", f"{structure.volume():.5g} Å³"
    yield "density", f"{structure.number_density():.5g} atoms/Å³, {_mass_density(structure):.4g} g/cm³"
    yield "sites", f"{len(structure.sites)}   (label, element, multiplicity, x y z, occupancy, Uiso or Uequiv in Å²)"
    for i, (site, n) in enumerate(zip(structure.sites, structure.multiplicities().tolist(), strict=True)):
        if i == 50:
            yield "", f"… and {len(structure.sites) - 50} more"
            break
        x, y, z = site.xyz
        yield (
            f"  {site.label}",
            f"{site.element} ×{n}  {x:.5f} {y:.5f} {z:.5f}  {site.occ:g}  {structure.Uequiv(i):.4g}",
        )
    for pair, distance in shortest_distances(structure).items():
        yield f"  {pair}", f"shortest distance {distance:.4f} Å"


def _symmetry_on_offer(structure: Structure) -> Lines:
    """Yield the space group that listed atoms have, where it is quickly found."""
    if len(structure.rotations) == 1 and 2 <= len(structure.sites) <= MOST_SEARCHED:
        from pdfkit import _find_symmetry

        found = _find_symmetry.symbol(structure)
        if found not in ("P 1", ""):
            within = f"within {_find_symmetry.TOLERANCE:g} Å"
            yield "symmetry", f'the atoms listed have {found} {within}: read with symmetry="find" to use it'


def formula(composition: dict[str, float]) -> str:
    """Return a formula, divided by the common factor when all amounts are whole numbers."""
    amounts = list(composition.values())
    divisor = 1
    if all(abs(n - round(n)) < 1e-6 and n > 0.5 for n in amounts):
        divisor = math.gcd(*(round(n) for n in amounts))
    return "".join(f"{element}{_count(n / divisor) if n != divisor else ''}" for element, n in composition.items())


def _count(n: float) -> str:
    return f"{round(n, 4):g}"


def _mass_density(structure: Structure) -> float:
    """Return g/cm³: 1 u/Å³ = 1.66053907 g/cm³."""
    mass = sum(n * atomic_mass(element) for element, n in structure.composition().items())
    return float(mass / structure.volume() * 1.66053907)


def shortest_distances(structure: Structure) -> dict[str, float]:
    """Return the shortest distance (Å) of every pair of elements that has one below 8 Å."""
    from pdfkit.phases.crystal import Crystal

    crystal = Crystal(structure, name="phase")
    values = np.array([q.value for q in crystal.quantities])
    reach = 4.0
    while True:
        found = crystal.peaks(values, np.zeros((values.size, 0)), 0.0, np.zeros(0), reach)
        distances = [found.peak[found.channel == k, 0] for k in range(len(found.pairs))]
        if all(d.size for d in distances) or reach >= 8.0:
            break
        reach *= 2
    pairs = zip(found.pairs, distances, strict=True)
    return {"–".join(pair): float(d.min()) for pair, d in pairs if d.size}


def _of_result(path: Path) -> Lines:
    from pdfkit.saving import load_result

    result = load_result(path)
    yield "kind", "fit result of pdfkit"
    yield "Rw", f"{result.rw:.4f}"
    yield "converged", f"{'yes' if result.converged else 'no'}: {result.message}"
    yield "describes", "yes" if result.describes else "no: this model does not describe the data"
    for one in result.datasets:
        r = one.data.r
        yield "data", f"{one.name or one.data.name}: {r.size} points, {r[0]:g} to {r[-1]:g} Å"
    yield "phases", ", ".join(phase.name for phase in result.datasets[0].model.phases)
    for name in result.free:
        par = result.params[name]
        yield f"  {name}", f"{par.value:.6g}" + (f" ± {par.stderr:.2g}" if par.stderr is not None else "")


def _of_recipe(path: Path) -> Lines:
    from pdfkit.recipe import load_recipe

    recipe = load_recipe(path)
    yield "kind", "recipe of a fit"
    yield "title", _plain(recipe.title)
    for entry in recipe.data:
        yield "data", f"{entry.name} {entry.file}".strip()
    for phase in recipe.phases:
        yield "phase", f"{phase.name}: {phase.structure}"
    yield "free", ", ".join(recipe.free)
    yield "results", str(recipe.folder)
