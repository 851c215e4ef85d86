"""What `pdfkit info` says about a file: a screen of it, or all."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit._table import aligned
from pdfkit.cli import options as o
from pdfkit.cli.console import Printed
from pdfkit.cli.projects import of_project
from pdfkit.errors import PdfkitWarning, ReadError

if TYPE_CHECKING:
    from pdfkit.cli.info_data import Lines, Options
    from pdfkit.data.curves import PDF, SQ, Intensity
    from pdfkit.particles.particle import Particle
    from pdfkit.structure.structure import Structure

RESULTS = (".h5", ".hdf5", ".nxs")
ATOMS = (".gen", ".mol", ".sdf", ".xsf")
"""Files of atoms with a cell or without."""
RANKED = 5
"""Candidates of a ranking that are listed."""
# Atoms of a cell up to which a space group is looked for: it takes 50 ms at most.
MOST_SEARCHED = 150
# A screen, for people; --all has no limits.
WIDTH, HEIGHT, _REMARKS, _SITES, _PAIRS = 100, 40, 14, 12, 10


def info(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Data, structure (or its name in `pdfkit structures`), result, recipe or PDFgui project.",
            autocompletion=o.structure_names,
        ),
    ],
    qmax: o.MaxQ = None,
    wavelength: o.Wavelength = None,
    unit: o.Unit = None,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Read columns as pdf, sq or intensity.",
            autocompletion=o.one_of("pdf", "sq", "intensity"),
        ),
    ] = None,
    kind: o.CurveKind = None,
    composition: o.Composition = None,
    rho0: o.Density = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show all sites and header entries, not only a screen of them.")
    ] = False,
) -> Printed:
    """Say what is in a file, and how that was decided: data, structure, result, recipe, project. Remarks come last."""
    more = {"unit": unit, "kind": kind, "as_": as_, "composition": composition, "rho0": rho0}
    pairs, remarks = facts(file, qmax, wavelength, everything=everything, **more)
    values = [{"name": key.strip(), "value": value} for key, value in pairs]
    return Printed(_laid_out(pairs, remarks, everything), values={"facts": values}, remarks=remarks)


def describe(file: str, *about: float | None, everything: bool = False, **options: Any) -> str:
    """Return what `facts` finds as text."""
    return _laid_out(*facts(file, *about, everything=everything, **options), everything)


def facts(
    file: str, qmax: float | None = None, wavelength: float | None = None, *, everything: bool = False, **options: Any
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what is known of a data file, a structure (file or shipped name), a result or a recipe, and remarks.

    qmax (Å⁻¹), wavelength (Å; of a pattern against 2θ): where the file does not say. options : see
    `pdfkit.cli.info_data.Options`. everything : without the limits of a screen, with all header entries. Remarks say
    what was assumed.

    Raises ReadError as the readers do.
    """
    from pdfkit.cli.info_data import Options

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pairs = list(_pairs(file, Options(qmax=qmax, wavelength=wavelength, **options), everything))
    remarks = [text for key, text in pairs if key == "remark"]
    remarks += [str(one.message) for one in caught if issubclass(one.category, PdfkitWarning)]
    for one in caught:
        if not issubclass(one.category, PdfkitWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    remarks = list(dict.fromkeys(_plain(text).removeprefix(f"{file}: ") for text in remarks))
    return [pair for pair in pairs if pair[0] != "remark"], remarks


def _laid_out(pairs: Sequence[tuple[str, str]], remarks: Sequence[str], everything: bool) -> str:
    """Return the pairs as lines of 100 columns, remarks last; a screen of 40 lines unless everything is wanted."""
    lines = aligned([*pairs, *(("remark", text) for text in remarks)], widest=24)
    body, last = ("\n".join(part).splitlines() for part in (lines[: len(pairs)], lines[len(pairs) :]))
    if not everything:
        if len(last) > _REMARKS:
            last = [*last[: _REMARKS - 1], "… and more remarks: --all shows them"]
        room = HEIGHT - len(last)
        if len(body) > room:
            body = [*body[: room - 1], f"… {len(body) - room + 1} more lines: --all shows them"]
    return "\n".join([*body, *last])


def _pairs(file: str, options: Options, everything: bool) -> Lines:
    from pdfkit.io._folders import unfinished
    from pdfkit.io.structures import load_structure, read_structure
    from pdfkit.particles.particle import Particle
    from pdfkit.phases.files import kind_of, known_structure
    from pdfkit.projects.archive import is_project
    from pdfkit.recipes.toml import STRUCTURES

    path = Path(known_structure(file))
    ending = path.suffix.lower()
    if path.is_dir() and unfinished(path):
        return iter([("kind", "folder of results"), ("warning", unfinished(path))])
    if options.as_ is None and kind_of(path) == "cluster":
        return of_particle(Particle.from_file(path))
    if not path.exists():
        return of_structure(load_structure(file), everything)
    if ending in STRUCTURES and options.as_ is None:
        return of_structure(read_structure(path), everything)
    if ending in ATOMS and options.as_ is None:
        return _of_atoms(path, everything)
    if ending in RESULTS:
        return _of_result(path)
    if ending == ".toml":
        return _of_recipe(path)
    if is_project(path):
        return of_project(path, everything)
    return _of_data(path, options, everything)


def _of_atoms(path: Path, everything: bool) -> Lines:
    """Describe the atoms of a file, with a cell or without. Raises ReadError."""
    from pdfkit.io.structures import read_structure
    from pdfkit.particles.particle import Particle

    with suppress(ReadError):
        return of_structure(read_structure(path), everything)
    return of_particle(Particle.from_file(path))


def _of_data(path: Path, options: Options, everything: bool) -> Lines:
    from pdfkit.cli.info_data import read

    try:
        data, decided = read(path, options)
    except ReadError as error:
        # The text may be a structure; if it is not, what was wrong with it as data is the answer.
        if options.as_ is None:
            with suppress(ReadError):
                return _of_atoms(path, everything)
        raise error from None
    return _of_decided(data, decided.why, decided.guessed, everything)


def _of_decided(data: PDF | SQ | Intensity, why: str, guessed: bool, everything: bool) -> Lines:
    from pdfkit.cli.info_data import OVERRIDE, of_curve

    for key, value in of_curve(data):
        yield key, f"{value}, {why}" if key == "kind" else value
    yield from _header(data, everything)
    if guessed:
        yield "remark", f"what the columns are was decided {why}: {OVERRIDE}"
    for text in data.remarks:
        yield "remark", text


def _header(data: PDF | SQ | Intensity, everything: bool) -> Lines:
    """Yield the header: what was decided, and the rest in full or as its keys."""
    notes = {key: value for key, value in data.header.items() if key.startswith("note ") and key != "note unit"}
    for key, value in notes.items():
        yield _plain(key)[:22], _plain(value)[:200]
    rest = {key: value for key, value in data.header.items() if not key.startswith("note ")}
    if everything:
        for key, value in rest.items():
            yield f"  {_plain(key)[:40]}", _plain(value)[:100]
    elif rest:
        named = [_plain(key) for key in rest if not key.startswith("line ")]
        count = "1 entry" if len(rest) == 1 else f"{len(rest)} entries"
        some = textwrap.shorten(", ".join(named), 110, placeholder=" …") if named else ""
        yield "header", f"{count}{': ' if some else ''}{some} (--all shows them)"


def _plain(text: str) -> str:
    """Return text on one line without characters that steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _worn(particle: Particle) -> Lines:
    """Yield what is known of ligands, and of a relaxation."""
    meta = particle.meta
    if particle.ligand is not None:
        core = particle.core
        yield "core", f"{core.formula}, {len(core)} atoms, {core.mass:.1f} g/mol"
        named = _plain(f"{meta.get('ligands', '')} {meta.get('ligand', '')}")[:60]
        share = f"{int(particle.ligand.sum())} atoms, {100 * particle.organic_fraction:.1f} % of the mass"
        yield "ligands", f"{named}, {share}".lstrip(" ,")
    if "relaxed_with" in meta:
        state = "at rest" if meta.get("relaxed_converged") is True else "not at rest"
        force, steps = (meta.get(key, "?") for key in ("relaxed_fmax", "relaxed_steps"))
        force = f"{force:.3g}" if isinstance(force, float) else force
        with_what = _plain(f"{meta['relaxed_with']} ({meta.get('relaxed_version', '')})")[:100]
        yield "relaxed with", f"{with_what}: {state}, largest force {force} eV/Å after {steps} steps"


def of_particle(particle: Particle) -> Lines:
    """Yield what is known of a finite cluster."""
    yield "kind", "cluster (a list of atoms without a cell)"
    if particle.name:
        yield "title", _plain(particle.name)[:100]
    yield "formula", f"{particle.formula}, {len(particle)} atoms, {particle.mass:.1f} g/mol"
    yield from _worn(particle)
    if "charges" in particle.meta:
        yield "charges", f"{particle.meta['charges']}, not taken: atoms are neutral without ions = true"
    for text in particle.remarks:
        yield "remark", text
    if len(particle) < 2:
        return
    from pdfkit.particles.counting import count_pairs

    table = count_pairs(particle)
    yield "largest r", f"{table.distance.max():.3f} Å"
    for (a, b), pair in zip(table.pairs, range(len(table.pairs)), strict=True):
        inside = table.pair == pair
        if inside.any():
            yield f"shortest {particle.elements[a]}–{particle.elements[b]}", f"{table.distance[inside].min():.3f} Å"


def of_structure(structure: Structure, everything: bool = False) -> Lines:
    """Yield what is known of a structure."""
    from pdfkit.io._plausible import mass_density

    cell = structure.cell
    yield "kind", "crystal structure"
    if structure.title:
        yield "title", _plain(structure.title)[:100]
    yield "formula", f"{formula(structure.composition())}, {_count(sum(structure.composition().values()))} atoms a cell"
    yield "space group", _plain(structure.spacegroup)
    yield from _symmetry_on_offer(structure)
    yield "cell", "a {:.5g}  b {:.5g}  c {:.5g} Å   α {:g}  β {:g}  γ {:g}°".format(*(round(x, 6) for x in cell))
    yield "volume", f"{structure.volume():.5g} Å³"
    yield "density", f"{structure.number_density():.5g} atoms/Å³, {mass_density(structure):.4g} g/cm³"
    yield "sites", f"{len(structure.sites)}   (label, element, multiplicity, x y z, occupancy, Uiso or Uequiv in Å²)"
    for i, (site, n) in enumerate(zip(structure.sites, structure.multiplicities().tolist(), strict=True)):
        if i == _SITES and len(structure.sites) > _SITES + 1 and not everything:
            yield "", f"… and {len(structure.sites) - _SITES} more (--all shows them)"
            break
        x, y, z = site.xyz
        yield (
            f"  {site.label}",
            f"{site.element} ×{n}  {x:.5f} {y:.5f} {z:.5f}  {site.occ:g}  {structure.Uequiv(i):.4g}",
        )
    distances = sorted(shortest_distances(structure).items(), key=lambda one: one[1])
    for pair, distance in distances if everything else distances[:_PAIRS]:
        yield f"  {pair}", f"shortest distance {distance:.4f} Å"
    if len(distances) > _PAIRS and not everything:
        yield "", f"… and {len(distances) - _PAIRS} more pairs (--all shows them)"
    for text in structure.remarks:
        yield "remark", text


def _symmetry_on_offer(structure: Structure) -> Lines:
    """Yield the space group that listed atoms have, where it is quickly found."""
    if len(structure.rotations) == 1 and 2 <= len(structure.sites) <= MOST_SEARCHED:
        from pdfkit.structure import find_symmetry

        found = find_symmetry.symbol(structure)
        if found not in ("P 1", ""):
            within = f"within {find_symmetry.TOLERANCE:g} Å"
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


def shortest_distances(structure: Structure) -> dict[str, float]:
    """Return the shortest distance (Å) of every pair of elements that has one below 8 Å."""
    import numpy as np

    from pdfkit.phases.base import Broadening
    from pdfkit.phases.crystal import Crystal

    crystal = Crystal(structure, name="phase")
    values = np.array([q.value for q in crystal.quantities])
    reach = 4.0
    while True:
        found = crystal.peaks(values, np.zeros((values.size, 0)), Broadening.none(0), reach)
        distances = [found.peak[found.pair == k, 0] for k in range(len(found.pairs))]
        if all(d.size for d in distances) or reach >= 8.0:
            break
        reach *= 2
    pairs = zip(found.pairs, distances, strict=True)
    return {"–".join(pair): float(d.min()) for pair, d in pairs if d.size}


def _of_series(path: Path) -> Lines:
    """Yield what is known of a series of fits."""
    import numpy as np

    from pdfkit.series.result import STATUS, SeriesResult

    result = SeriesResult.load(path)
    yield "kind", f"results of a series of pdfkit, {result.how}"
    counts = {word: result.status.count(word) for word in STATUS}
    states = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    yield "scans", f"{len(result)} scans over {', '.join(axis.title for axis in result.axes)}: {states}"
    for axis in result.axes:
        yield "index", f"{axis.title}, {np.nanmin(axis.values):g} to {np.nanmax(axis.values):g}"
    if np.isfinite(result.rw).any():
        yield "Rw", f"{np.nanmin(result.rw):.4f} to {np.nanmax(result.rw):.4f}"
    for name in result.names:
        values, errors = result[name]
        if np.isfinite(values).any():
            spread = f", error {np.nanmedian(errors):.2g}" if np.isfinite(errors).any() else ""
            yield f"  {name}", f"{np.nanmin(values):.6g} to {np.nanmax(values):.6g}{spread}"
    for name, text in () if result.laws is None else result.laws.told():
        yield f"  {name}", text
    for label, why in list(result.failed())[:5]:
        yield "remark", f"{label} failed: {why}"
    for text in (*result.about, *(() if result.laws is None else result.laws.remarks)):
        yield "remark", text


def _of_ranking(path: Path) -> Lines:
    """Yield what is known of a ranking of candidates."""
    from pdfkit.screening.ranking import Ranking

    found = Ranking.load(path)
    yield "kind", "ranking of candidates by pdfkit (pdfkit screen)"
    for stage in found.stages:
        yield f"  {stage.name}", f"{stage.entered} candidates, {stage.failed} failed, {stage.kept} kept"
    yield "data", f"{len(found.data)} points, {found.data.r[0]:g} to {found.data.r[-1]:g} Å"
    for name, one in found.patterns.items():
        yield (
            "pattern",
            f"{name}: {len(one.data)} points, {one.data.Q[0]:.4g} to {one.data.Q[-1]:.4g} Å⁻¹; {one.assumed}",
        )
    yield "as good as the best", f"{len(found.indistinguishable)} (Δ ln Z below {found.threshold:g})"
    for row in found.best(RANKED):
        yield f"  {row.name}", f"{row.formula}, Rw {row.rw:.4f}, Δ ln Z {row.delta:.3g}"


def _of_result(path: Path) -> Lines:
    from pdfkit.io.hdf5 import format_in
    from pdfkit.results.report import measured_with
    from pdfkit.results.saving import load_result

    if (other := {"pdfkit series": _of_series, "pdfkit ranking": _of_ranking}.get(format_in(path))) is not None:
        yield from other(path)
        return
    result = load_result(path)
    yield "kind", "fit result of pdfkit"
    yield "Rw", f"{result.rw:.4f}"
    yield "converged", f"{'yes' if result.converged else 'no'}: {result.message}"
    yield "describes", "yes" if result.describes else "no: this model does not describe the data"
    for one in result.datasets:
        r = one.data.r
        yield "data", f"{one.name or one.data.name}: {r.size} points, {r[0]:g} to {r[-1]:g} Å"
        yield "  measured with", measured_with(one)
    for pattern in result.patterns:
        Q, chi2 = pattern.data.Q, f"reduced χ² {pattern.reduced_chi2:.3g} of {pattern.count} independent numbers"
        yield "pattern", f"{pattern.name}: {Q.size} points, {Q[0]:.4g} to {Q[-1]:.4g} Å⁻¹, {chi2}"
        yield "  assumed", pattern.measured.assumed
    yield "phases", ", ".join(phase.name for phase in result.datasets[0].model.phases)
    for name in result.free:
        par = result.params[name]
        yield f"  {name}", f"{par.value:.6g}" + (f" ± {par.stderr:.2g}" if par.stderr is not None else "")
    for text in result.remarks:
        yield "remark", text


def _of_recipe(path: Path) -> Lines:
    from pdfkit.recipes.recipe import load_recipe

    recipe = load_recipe(path)
    yield "kind", "recipe of a fit" if recipe.series is None else "recipe of a series (pdfkit series)"
    if recipe.title:
        yield "title", _plain(recipe.title)
    for file in () if recipe.series is None else recipe.series.files:
        yield "scans", file
    for entry in recipe.data if recipe.series is None else ():
        yield "data", f"{entry.name} {entry.file}".strip()
    for beside in recipe.patterns:
        yield "pattern", f"{beside.name} {beside.file}"
    for phase in recipe.phases:
        yield "phase", f"{phase.name}: {phase.structure}"
    for k, stage in enumerate(recipe.stages):
        ends = "".join(f", {end} {value:g} Å" for end in ("rmin", "rmax") if (value := getattr(stage, end)) is not None)
        yield f"stage {k + 1}", f"{', '.join(stage.free)}{ends}"
    yield "free", ", ".join(recipe.free)
    yield "results", str(recipe.folder)
