"""Groups of tests that may be skipped, and BIPOINTNET_REQUIRE="ros torch": a skip for want of these is a failure."""

import os
from pathlib import Path

import pytest

# The tensors of tests are small: one thread is faster, and a second one that spins slows whatever else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Processes that tests start find the package that is under test, installed or not.
_PATHS = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _PATHS))

GROUPS = {"ros", "installed", "torch", "aarch64", "sanitizers"}
REQUIRED = set(os.environ.get("BIPOINTNET_REQUIRE", "").split())
_ran = set()


def _as_failure(report, what: str):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{what} must run here (BIPOINTNET_REQUIRE), but: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """A module that skips itself (importorskip) has no tests whose marks could be asked."""
    report = (yield).get_result()
    if REQUIRED and report.outcome == "skipped":
        _as_failure(report, collector.name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    groups = GROUPS & {mark.name for mark in item.iter_markers()}
    if report.when == "call" and report.passed:
        _ran.update(groups)
    if groups and groups <= REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        _as_failure(report, " ".join(sorted(groups)))


def pytest_sessionfinish(session, exitstatus):
    missing = REQUIRED - _ran
    if missing and exitstatus == pytest.ExitCode.OK:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(f"BIPOINTNET_REQUIRE: no test of {', '.join(sorted(missing))} has run", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
