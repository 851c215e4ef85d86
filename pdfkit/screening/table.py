"""A ranking as text: a table of 100 columns for people, CSV for programs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pdfkit import _table
from pdfkit._table import WIDTH, Section, aligned, columns_of, shortened, shortlist, wrapped
from pdfkit.fitting.comparison import MISFIT
from pdfkit.fitting.discrepancy import MOST_ATOMS, SHARE
from pdfkit.screening.rows import RankingRow
from pdfkit.screening.settings import Composition
from pdfkit.screening.shells import off
from pdfkit.screening.tasks import independent_points

if TYPE_CHECKING:
    from pdfkit.screening.ranking import Ranking
    from pdfkit.screening.study import Confusion

NAME_WIDTH = 30
POOR = 0.2
"""Rw of the best candidate from which a ranking says that the truth may not be among the candidates."""
MISSED = 5.0
"""Reduced χ² of a pattern from which it says the same."""
MODEST = 0.2
"""Reduced χ² of the best below which errors are said to be too large: of 20 points by chance once in 20,000."""
EXACT = 1e-3
"""Rw below which data are taken for a curve without noise, of which errors say nothing."""
FAR = 3.0
"""Standard errors from which a number of the first row is far from what EXAFS tells."""
MARKS = {"candidate": "", "null": "null", "mixture": "mix"}
COLUMNS = (
    "rank", "name", "kind", "family", "formula", "atoms", "stage", "rw", "chi2", "reduced_chi2", "n_independent",
    "n_free", "errors_from", "nfev", "converged", "lnz", "delta", "probability", "listed", "displacement",
    "indistinguishable", "ratio", "ratio_fits", "mass",
    "mass_fits",
)  # fmt: skip


def table(ranking: Ranking, count: int) -> str:
    """Return the head, the best `count` rows, and notes; remarks of these rows under the table."""
    shown = [row for row in ranking.rows if row.stage != "failed"][:count]
    blocks = ["\n".join(head_of(ranking))]
    if ranking.listed:
        blocks.append("\n".join(listed_of(ranking)))
    if shown:
        blocks.append("\n".join(_grid(_cells(ranking, shown))))
    blocks += ["\n".join(block) for block in (_remarks(shown), _failures(ranking)) if block]
    return "\n\n".join(blocks)


def head_of(ranking: Ranking) -> list[str]:
    """Return what is said of all rows: how many, the stages, what the evidence rests on."""
    data, rows = ranking.data, ranking.rows
    singles = [row for row in rows if row.kind == "candidate"]
    fitted = sum(row.stage == "fit" for row in singles)
    of = data.name or "G(r)"
    count = "1 candidate" if len(singles) == 1 else f"{len(singles)} candidates"
    were = "1 was" if fitted == 1 else f"{fitted} were"
    lines = [f"{count} against {of}, r = {data.r[0]:.4g} to {data.r[-1]:.4g} Å; {were} fitted."]
    for stage in ranking.stages:
        failed = f", {stage.failed} failed" if stage.failed else ""
        again = stage.entered - stage.failed - stage.kept if stage.name == "fit" else 0
        sizes = f", {again} the same at another size" if again else ""
        lines.append(f"  {STAGES[stage.name]}: {stage.entered} entered, {stage.kept} kept{failed}{sizes}")
    lines += textwrap.wrap(cut_of(ranking), WIDTH)
    independent = next((row.n_independent for row in rows if row.stage == "fit"), independent_points(ranking.problem))
    alike = len(ranking.indistinguishable)
    said = [f"The range holds {independent:.0f} independent points.", noise_said(ranking)]
    if alike:
        told = "there is no other" if alike == 1 else f"the data cannot tell these {alike} apart"
        said.append(f"* marks the best and all within {ranking.threshold:g} of it in ln Z: {told}.")
    lines += textwrap.wrap(
        " ".join([*said, *of_data(ranking), *poor_of(ranking), *boasting(ranking), *contradicted(ranking)]), WIDTH
    )
    for name, one in ranking.more.items():
        about = one.instrument
        measured = f"{WITH[str(about.probe)]}, Q = {about.qmin:g} to {about.qmax:g} Å⁻¹"
        words = f"{name}: a further G(r), {measured}, with noise and scale of its own; Rw is that of all G(r)."
        lines += textwrap.wrap(words, WIDTH)
    lines += [
        line for name, one in ranking.patterns.items() for line in textwrap.wrap(f"{name}: {one.assumed}.", WIDTH)
    ]
    return lines


def cut_of(ranking: Ranking) -> str:
    """Say where more candidates may match as well as the best than could be fitted; nothing where there are none."""
    first = ranking.stages[0]
    others = first.entered - first.failed - first.kept
    if first.name != "match" or others <= 0 or any(row.stage == "match" for row in ranking.rows):
        return ""
    return (
        f"{others:,} candidates were not fitted: keep= holds no more than {first.kept:,}, and of those that match no "
        "better some may be as good. Give a larger keep= to fit more."
    )


def noise_said(ranking: Ranking) -> str:
    """Say what misfits are measured by."""
    if ranking.noise == "known":
        return "The size of the noise is that of the errors of the data."
    if ranking.noise != "misfit":
        return f"The size of the noise is that of the errors of the data, and elsewhere the {ranking.noise}."
    least = _least(ranking, "")
    why = "there are no errors, or no candidate fits within them"
    if math.isfinite(least):
        why = f"no candidate fits within the errors of the data, the best misses them {math.sqrt(least):.3g} times over"
    return f"The size of the noise is taken from the best fit: {why}."


ELSEWHERE = 0.12
"""Of qmax: short ranges of r, as clusters have, show the end of F(Q) to 4 %."""


def of_data(ranking: Ranking) -> list[str]:
    """Say where G(r) was not measured as is said, or where that is not said: all candidates are compared by it."""
    from pdfkit.data.advice import examine

    out = []
    for name, one in (("G(r)", ranking.data), *ranking.more.items()):
        about, found = one.instrument, examine(one)
        cut, said = found.qmax_cut, about.qmax
        if cut is not None and said and math.isfinite(said) and abs(cut - said) > ELSEWHERE * said:
            out.append(
                f"F(Q) of {name} ends at {cut:.1f} Å⁻¹, and qmax is {said:g}: if that is wrong, "
                "independent points are counted wrongly, and differences of ln Z with them."
            )
        if "qmin" not in about.given:
            own = one.header.get("note qmin", "").partition(" is not")[0]
            noted = f" ({own} of its file is not applied by itself)" if own else ""
            out.append(
                f"The qmin of {name} is not given{noted}: the broad hump of small-angle scattering is taken to be in "
                "the data, which lack it if they were measured from some Q on; give qmin."
            )
    return out


def boasting(ranking: Ranking) -> list[str]:
    """Say where the best candidate is much nearer to the data than their errors allow, which then hide differences."""
    least = {name: _least(ranking, name) for name in ("", *ranking.beside)}
    out = [(name or "G(r)", math.sqrt(one)) for name, one in least.items() if one < MODEST]
    return [
        f"The errors of {name} are {1.0 / size:.3g} times what the best candidate leaves: they look too large, and "
        "candidates that differ are then taken for equal. Check their unit, or leave them out (use_errors=False)."
        for name, size in out
    ]


def _least(ranking: Ranking, name: str) -> float:
    """Return the lowest reduced χ² of a data set ("": G(r)), NaN where its errors are not known; 0 counts as none."""
    fitted = ranking.best(len(ranking))
    found = [
        _reduced(row, name) if row.beside else row.reduced_chi2 if row.errors_from in ("cov", "dG") else math.nan
        for row in fitted
        # What is fitted exactly is simulated without noise, whatever its errors are.
        if row.rw > EXACT
    ]
    return min((one for one in found if math.isfinite(one)), default=math.nan)


def poor_of(ranking: Ranking) -> list[str]:
    """Say where even the best candidate does not describe the data: a list of such candidates tells nothing else."""
    fitted = ranking.best(len(ranking))
    if not fitted:
        return []
    out = []
    best = min(fitted, key=lambda row: row.rw)
    if best.rw > POOR and not _explained(best):
        out.append(f"even the best candidate misses G(r) by Rw = {best.rw:.2f}{_stretched(fitted[0])}")
    for name in ranking.beside:
        least = min((_reduced(row, name) for row in fitted), default=math.nan)
        if least > MISSED:
            out.append(f"even the best candidate misses {name} by a reduced χ² of {least:.3g}")
    if not out:
        return []
    words = "; ".join(out)
    return [
        f"{words[:1].upper()}{words[1:]}: unless noise is that large, the truth is not among the candidates as they "
        "are. Probabilities and the list compare only these with each other."
    ]


def contradicted(ranking: Ranking) -> list[str]:
    """Say where EXAFS is far from the first row, and where it has another first than all other data have."""
    known, fitted = ranking.settings.exafs, ranking.best(len(ranking))
    if not known or not fitted:
        return []
    first, out = fitted[0], []
    far = [name for name, sigmas in off(first.values, known).items() if sigmas > FAR]
    if far:
        told = ", ".join(f"{name} {first.values[name][0]:.4g} (EXAFS: {known[name][0]:.4g})" for name in far)
        out.append(f"The first row is more than {FAR:g} standard errors from what EXAFS tells: {told}.")
    rest = max(fitted, key=lambda row: row.lnz - row.shell)
    behind = rest.lnz - rest.shell - (first.lnz - first.shell)
    if min(behind, first.shell - rest.shell) > ranking.threshold:
        name = shortened(rest.name, NAME_WIDTH)
        out.append(
            f"EXAFS and the other data contradict each other: without EXAFS {name} would be first, and the first row "
            f"{behind:.3g} below it in ln Z."
        )
    return out


def _stretched(best: RankingRow) -> str:
    at = [name for name in ("expansion", "a.expansion") if any(f"{name} ended on its" in text for text in best.remarks)]
    return f", with its {at[0]} on a limit" if at else ""


def _explained(row: RankingRow) -> bool:
    """Whether known errors of G(r) explain what a candidate leaves of it."""
    if row.beside:
        return _reduced(row, "") <= MISFIT
    return row.errors_from in ("cov", "dG") and row.reduced_chi2 <= MISFIT


def listed_of(ranking: Ranking) -> list[str]:
    """Say which rows are the list, which families are likely, how far atoms are off, and how often all this is so."""
    count, share = len(ranking.listed), 100 * sum(row.probability for row in ranking.listed)
    rows = "row has" if count == 1 else f"{count} rows have"
    said = [
        f"The list: the first {rows} {min(share, 99.9):.{0 if share < 99 else 1}f} % of the probability, if all are as "
        f"likely before the data (it ends where {100 * SHARE:.0f} % are reached; such lists have 95 % on average)."
    ]
    if len(ranking.families) > 1:
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(ranking.families.items())[:4])
        said.append(f"By family (each as likely before, however many it has): {shares}.")
    said.append(_displacements_of(ranking))
    if ranking.certificate is not None:
        said.append(str(ranking.certificate))
    return textwrap.wrap(" ".join(said), WIDTH)


def _displacements_of(ranking: Ranking) -> str:
    """Say whether atoms may be displaced, by how much, and why not."""
    still = [row for row in ranking.best(len(ranking)) if not row.moved]
    if ranking.problem.displacement == "none":
        return "Atoms sit where candidates have them."
    if still and ranking.settings.errors == "independent":
        return (
            'Atoms sit where candidates have them: errors = "independent" takes neighbouring points for independent, '
            'and displacements are followed with errors="auto" only.'
        )
    if still and max(row.atoms for row in still) <= MOST_ATOMS:
        return (
            "Atoms sit where candidates have them: what displacements do was not followed when this ranking was made; "
            "screen again to let atoms move."
        )
    if still:
        still = [row for row in still if row.atoms > MOST_ATOMS]
        several = "it" if len(still) == 1 else f"{len(still)} rows"
        return (
            "Atoms sit where candidates have them: displacements cannot be followed "
            f"in {shortened(still[0].name, NAME_WIDTH)} ({still[0].atoms} atoms; at most {MOST_ATOMS}), and to be fair "
            f"all stay rigid; screen without {several} to let atoms move."
        )
    size = f"{ranking.displacement:.2f} Å" if ranking.displacement >= 0.005 else "less than 0.01 Å"
    return f"Atoms may be displaced: the data ask for {size} rms."


WITH = {"X": "of X-rays", "N": "of neutrons", "E": "of electrons"}

STAGES = {
    "match": "match of pair distances",
    "scale": "best scale and common U",
    "fit": "full fit",
    "mixture": "mixtures of two",
    "null": "null model",
}


def _cells(ranking: Ranking, rows: Sequence[RankingRow]) -> list[list[str]]:
    composition, with_chi2 = ranking.composition, ranking.noise == "known" and not ranking.beside
    names = ["", *ranking.beside] if ranking.beside else []
    head = ["", "", "candidate", "", "formula", "atoms", "Rw", *(["χ²red"] if with_chi2 else [])]
    head += ["ΔlnZ", "p %", "k", "exp. %"]
    head += [f"χ² {name}" if name else "χ² G(r)" for name in names]
    head += ["ratio"] * (composition.ratio is not None) + ["mass"] * (composition.mass is not None)
    out = [head]
    for k, row in enumerate(rows, start=1):
        cells = [
            str(k),
            "*" if row.indistinguishable else "",
            shortened(row.name, NAME_WIDTH),
            MARKS[row.kind],
            shortened(row.formula, 15 if composition.ratio is None or composition.mass is None else 11),
        ]
        cells += [str(row.atoms), f"{row.rw:.4f}", *([_number(row.reduced_chi2, 3)] if with_chi2 else [])]
        cells += [_number(row.delta, 4), _share(row), str(row.n_free or ""), _expansion(row)]
        cells += [_number(_reduced(row, name), 3) for name in names]
        cells += _checks(composition, row)
        out.append(cells)
    return out


def _reduced(row: RankingRow, name: str) -> float:
    """Return the reduced χ² of a data set, NaN where its errors are not known or it was not fitted."""
    chi2, count, known = row.beside.get(name, (math.nan, 1.0, False))
    return chi2 / count if known else math.nan


def _share(row: RankingRow) -> str:
    if math.isnan(row.probability):
        return ""
    return "<0.1" if row.probability < 0.001 else f"{100 * row.probability:.{1 if row.probability < 0.1 else 0}f}"


def _expansion(row: RankingRow) -> str:
    return f"{100 * row.values['expansion'][0]:+.2f}" if "expansion" in row.values else ""


def _checks(composition: Composition, row: RankingRow) -> list[str]:
    out = []
    if composition.ratio is not None:
        out.append(f"{_number(row.ratio, 3)}{_tick(row.ratio_fits)}")
    if composition.mass is not None:
        out.append(f"{'' if math.isnan(row.mass) else format(row.mass, '.0f')}{_tick(row.mass_fits)}")
    return out


def _tick(fits: bool | None) -> str:
    return {True: " ok", False: " no", None: ""}[fits]


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def _grid(rows: Sequence[Sequence[str]], words: Collection[int] = (1, 2, 3, 4)) -> list[str]:
    """Return aligned lines: columns of words to the left, numbers to the right, names cut to what has room."""
    numbers = set(range(len(rows[0]))) - set(words)
    lines = aligned(rows, right=numbers, width=math.inf)
    excess = max(map(columns_of, lines)) - WIDTH
    if excess <= 0:
        return lines
    room = max(max(len(row[2]) for row in rows) - excess, 12)
    return aligned([[*row[:2], shortened(row[2], room), *row[3:]] for row in rows], right=numbers, width=math.inf)


def _remarks(rows: Iterable[RankingRow]) -> list[str]:
    return _wrapped("remarks", gathered(rows))


def gathered(rows: Iterable[RankingRow]) -> list[str]:
    """Return the remarks of rows, what is said of several but once."""
    names: dict[str, list[str]] = {}
    for row in rows:
        for remark in dict.fromkeys(row.remarks):
            names.setdefault(remark, []).append(shortened(row.name, NAME_WIDTH))
    return [f"{_counted(some)}: {remark}" for remark, some in names.items()]


def _counted(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:most])} and {more} more"


def _failures(ranking: Ranking, most: int = 10) -> list[str]:
    failed = ranking.failed
    lines = [f"{shortened(row.name, NAME_WIDTH)}: {'; '.join(row.remarks)}" for row in failed[:most]]
    if len(failed) > most:
        lines.append(f"… and {len(failed) - most} more (ranking.failed)")
    return _wrapped(f"could not be computed: {len(failed)}", lines)


def _wrapped(heading: str, lines: Sequence[str]) -> list[str]:
    return [heading, *(wrapped(line, "  ") for line in lines)] if lines else []


def confusion_table(study: Confusion) -> str:
    """Return for each finalist how often it comes first or is among the best, what is first instead; by family too."""
    lines = textwrap.wrap(
        f"Each of {len(study.names)} finalists was simulated {study.repeats} times, noise {study.sigma:.3g} Å⁻². "
        f"The true one comes first in {study.right:.0%} of the fits, and lies within {study.threshold:g} of the first "
        f"in ln Z in {study.found:.0%}.",
        WIDTH,
    )
    rows = [["", "", "true", "", "", "first", "within", "taken for"]]
    for i, name in enumerate(study.names):
        others = ", ".join(f"{shortened(other, 18)} {share:.0%}" for other, share in study.wrong(name)[:2])
        shares = [f"{count / study.repeats:.0%}" for count in (study.first[i, i], study.within[i, i])]
        rows.append(["", "", shortened(name, NAME_WIDTH), "", "", *shares, others])
    blocks = [lines, _grid(rows, words={1, 2, 3, 4, 7})]
    families, shares_of = study.by_family()
    if 1 < len(families) < len(study.names):
        cells = [["", "", "true family", "", "", *(f"→ {shortened(family, 14)}" for family in families)]]
        cells += [
            ["", "", shortened(family, NAME_WIDTH), "", "", *(f"{share:.0%}" for share in row)]
            for family, row in zip(families, shares_of, strict=True)
        ]
        blocks.append(_grid(cells))
    return "\n\n".join("\n".join(block) for block in blocks)


def columns_of_rows(ranking: Ranking) -> dict[str, list[Any]]:
    """Return the rows as columns: what each is, then a value and an error for every parameter, then remarks."""
    rows = ranking.rows
    out: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in COLUMNS[1:]}
    for name in ranking.beside:
        out[f"{name} reduced_chi2"] = [_reduced(row, name) for row in rows]
    for name in parameter_names(rows):
        pairs = [row.values.get(name, (math.nan, math.nan)) for row in rows]
        out |= {name: [value for value, _ in pairs], f"{name} error": [error for _, error in pairs]}
    return {"rank": list(range(1, len(rows) + 1)), **out, "remarks": ["; ".join(row.remarks) for row in rows]}


def csv_text(ranking: Ranking) -> str:
    """Return the same as CSV."""
    return _table.csv_text(columns_of_rows(ranking))


def sections(ranking: Ranking, count: int = 20) -> list[Section]:
    """Return what `table` says, as sections for a notebook."""
    shown = [row for row in ranking.rows if row.stage != "failed"][:count]
    first, *others = [*head_of(ranking), *(listed_of(ranking) if ranking.listed else [])]
    heads, *rows = _cells(ranking, shown)
    remarks = [line for block in (_remarks(shown), _failures(ranking)) for line in block]
    return [Section(first, lines=tuple(others)), shortlist("", heads, rows), Section("", lines=tuple(remarks))]


def parameter_names(rows: Iterable[RankingRow]) -> list[str]:
    """Return all names of parameters, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.values))
