"""Shared settings of the tests."""

from hypothesis import HealthCheck, settings

# A first call compiles a kernel: a deadline would report that as a flaky test.
settings.register_profile("pdfkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pdfkit")
