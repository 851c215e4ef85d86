"""Times of kernels for pytest-benchmark, to be compared over time; nothing is asserted about them.

pip install -e ".[bench]"
pytest benchmarks/test_speed.py --benchmark-autosave          # a minute or two; before a change
pytest benchmarks/test_speed.py --benchmark-compare           # after it
"""

from __future__ import annotations

import pytest

from pdfkit.benchmarking.cases import cases

pytest.importorskip("pytest_benchmark")
# The sizes that a kernel's change shows in; the rest is `pdfkit bench`.
TRACKED = (
    "crystal-zb-100", "crystal-wz-30", "crystal-wz-100", "p1-200", "partials", "jacobian", "q-weights", "cluster-91",
    "free-1e3", "free-1e4", "lattice-1e5", "fit-20", "fit-60", "transform", "reduction", "screening",
)  # fmt: skip


@pytest.mark.parametrize("name", TRACKED)
def test_speed(name, benchmark):
    prepared = cases()[name].make()
    prepared.run()  # compiles, and counts the pairs that a fit counts once
    benchmark(prepared.run)
