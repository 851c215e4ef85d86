"""Shared settings of the tests."""

import atexit
import os
import shutil
import tempfile

# Workers share the cores: threads of BLAS would wait for each other. Set before anything imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers, and processes that tests start, have what is set here
    # matplotlib's list of fonts in the home folder may be damaged, or of fonts that are gone: then it speaks on stderr.
    os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="pdfkit-tests-")
    atexit.register(shutil.rmtree, os.environ["MPLCONFIGDIR"], ignore_errors=True)

os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"  # typer colours what it says where FORCE_COLOR or GitHub asks for it

# A first call compiles a kernel: a deadline would report that as a flaky test. The same examples in each run, so that
# what fails fails again; PDFKIT_EXPLORE=1 draws new ones.
explore = os.environ.get("PDFKIT_EXPLORE", "") not in ("", "0")
common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("pdfkit", derandomize=not explore, **common)
settings.load_profile("pdfkit")
