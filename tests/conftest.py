"""Shared settings of the tests."""

import os

# Workers share the cores: threads of BLAS would wait for each other. Set before anything imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

# A first call compiles a kernel: a deadline would report that as a flaky test. The same examples in each run, so that
# what fails fails again; PDFKIT_EXPLORE=1 draws new ones.
explore = os.environ.get("PDFKIT_EXPLORE", "") not in ("", "0")
common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("pdfkit", derandomize=not explore, **common)
settings.load_profile("pdfkit")
