"""Write the tables of `pdfkit bench`, and its picture: in docs/comparison.md and docs/benchmarks.md.

pdfkit bench --out .
python benchmarks/report.py bench.json            # writes both pages and docs/pictures/bench.png
python benchmarks/report.py bench.json --print    # prints both blocks
"""

from __future__ import annotations

import argparse
from pathlib import Path

from readme import PICTURES, put

from pdfkit.benchmarking import report as benchmarking_report
from pdfkit.benchmarking.report import DONE, OURS, BenchReport, BenchRow, duration

PICTURE = PICTURES / "bench.png"


def digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def rival(row: BenchRow) -> str:
    """A rival's cell: time, ratio, agreement; or why there is none."""
    if row.status != DONE:
        return f"{row.program}: {row.status}"
    assert row.difference is not None
    assert row.bound is not None
    assert row.ratio is not None
    agreement = f"agrees within {row.difference:.0e} (bound {row.bound:.0e})"
    return f"{row.program} {duration(row.seconds)}, **{digits(row.ratio)}×**, {agreement}"


def check(row: BenchRow) -> str:
    if row.difference is None or row.bound is None:
        return ""
    return f"checked: {row.against}, off by {row.difference:.0e} (bound {row.bound:.0e})"


def block(report: BenchReport) -> str:
    """The table, the powers and the machine, as Markdown."""
    lines = ["| case | pdfkit | fresh process | peak memory | against |", "|---|---|---|---|---|"]
    for mine in (row for row in report.rows if row.program == OURS):
        others = [row for row in report.rows if row.case == mine.case and row.program != OURS]
        against = "; ".join(filter(None, [check(mine), *map(rival, others), mine.note]))
        spread = "" if mine.spread is None else f" ±{mine.spread:.0%}"
        time = f"{duration(mine.seconds)}{spread}" if mine.status == DONE else mine.status
        memory = "" if mine.memory is None else f"{mine.memory:,.0f} MB"
        lines.append(f"| {mine.title} | {time} | {duration(mine.cold)} | {memory} | {against} |")
    powers = [f"{g.program}, {g.series}: {g.axis}^{g.power:.2f}" for g in report.growth]
    lines += ["", f"Growth of time: {'; '.join(powers)}.", ""]
    return "\n".join([*lines, measured_on(report)])


def short(report: BenchReport) -> str:
    """The cases that have a rival, as Markdown."""
    lines = ["| case | pdfkit | other program | ratio | answers agree within |", "|---|---|---|---|---|"]
    ours = {row.case: row for row in report.rows if row.program == OURS}
    for row in report.rows:
        if row.program != OURS and row.status == DONE and row.ratio is not None and row.difference is not None:
            mine = duration(ours[row.case].seconds)
            other = f"{row.program}, {duration(row.seconds)}"
            lines.append(f"| {row.title} | {mine} | {other} | **{digits(row.ratio)}×** | {row.difference:.0e} |")
    return "\n".join([*lines, "", measured_on(report)])


def measured_on(report: BenchReport) -> str:
    """Machine, versions, day, and how long it took."""
    known = report.machine
    versions = [f"{key} {value}" for key, value in known.items() if key not in ("processor", "cores", "system", "date")]
    where = f"{known['processor']}, {known['cores']} cores, {known['system']}, {known['date']}"
    return f"{where}; {', '.join(versions)}; the run took {report.seconds:.0f} s."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("--print", action="store_true", help="print the block, write nothing")
    options = parser.parse_args()
    report = BenchReport.read(options.json)
    if options.print:
        print(short(report), block(report), sep="\n\n")
        return
    put("rivals", short(report))
    put("bench", block(report))
    benchmarking_report.bench(report, PICTURE)


if __name__ == "__main__":
    main()
