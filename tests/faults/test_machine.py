"""The disk fails at every call, the power goes at every write: a short form of what `make soak` does in full."""

from __future__ import annotations

import shutil
import sys

import pytest
from searching import WHOLE, of, searched

from faults.machine import FAULTS, run

pytestmark = [
    pytest.mark.on_disk,
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="the shim is for Linux, and gcc makes it"),
]


@searched
@pytest.mark.parametrize(("case", "every"), [("ingestion", of(80, 20)), ("backup", of(120, 16)), ("migration", of(200, 50)), ("restore", of(72, 9))])
def test_whichever_call_fails_nothing_acknowledged_is_lost_nothing_doubled_and_nothing_half_done(case, every):
    figures = run(case, every=every, seed=7)
    # Each of the kinds of fault once, at least.
    assert figures["faults"] >= (20 if WHOLE else len(FAULTS))
    assert figures["wrong"] == 0


@searched
@pytest.mark.parametrize(
    ("case", "every"), [("power-ingestion", of(45, 9)), ("power-backup", of(63, 9)), ("power-migration", of(160, 32)), ("power-restore", of(49, 7))]
)
def test_whenever_the_power_goes_the_same_holds(case, every):
    figures = run(case, every=every, seed=7)
    assert figures["images"] >= of(3, 20)
    assert figures["wrong"] == 0


@pytest.mark.parametrize(
    ("bug", "case", "every"),
    [
        pytest.param("acknowledge_before_commit", "ingestion", 7, marks=pytest.mark.slow),
        ("synchronous_normal", "power-ingestion", 9),
        pytest.param("no_identity_key", "ingestion", 40, marks=pytest.mark.slow),
        ("swallowed_io_error", "ingestion", 20),
        pytest.param("failed_commit_is_success", "ingestion", 20, marks=pytest.mark.slow),
        pytest.param("rename_without_fsync", "power-backup", 3, marks=pytest.mark.slow),
    ],
)
def test_the_harness_tells_a_planted_mistake(bug, case, every):
    assert run(case, every=every, seed=7, bug=bug)["wrong"] > 0
