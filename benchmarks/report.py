"""Write the block "bench" of README.md and its picture from what `pdfkit bench --json FILE` wrote.

pdfkit bench --json bench.json
python benchmarks/report.py bench.json            # writes README.md, benchmarks/pictures/bench.png
python benchmarks/report.py bench.json --print    # prints the block
"""

from __future__ import annotations

import argparse
from pathlib import Path

from readme import README, put

from pdfkit import _plot_bench
from pdfkit._bench_report import DONE, OURS, BenchReport, BenchRow, duration

PICTURE = Path(__file__).parent / "pictures" / "bench.png"


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
    lines += ["![time against size](benchmarks/pictures/bench.png)", ""]
    known = report.machine
    versions = [f"{key} {value}" for key, value in known.items() if key not in ("processor", "cores", "system", "date")]
    lines.append(f"{known['processor']}, {known['cores']} cores, {known['system']}, {known['date']}; ")
    lines[-1] += f"{', '.join(versions)}; the run took {report.seconds:.0f} s."
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("--print", action="store_true", help="print the block, write nothing")
    options = parser.parse_args()
    report = BenchReport.read(options.json)
    if options.print:
        print(block(report))
        return
    PICTURE.parent.mkdir(exist_ok=True)
    README.write_text(put(README.read_text(encoding="utf-8"), "bench", block(report)), encoding="utf-8")
    _plot_bench.bench(report, PICTURE)


if __name__ == "__main__":
    main()
