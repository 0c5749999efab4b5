"""The short form of the kills on PostgreSQL: two hosts, four workers; `make soak` has the long one."""

from __future__ import annotations

import pytest
from soak import hosts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_whatever_is_killed_the_books_are_those_of_an_undisturbed_run_on_sqlite():
    result = hosts.run(seed=7, records=1_000, times=8)
    assert result.problems == []
    assert set(result.injected) == set(hosts.FAULTS)
    assert result.deliveries > result.published


def test_workers_that_acknowledge_before_they_commit_are_found_out():
    for seed in range(3):
        if hosts.run(seed=seed, records=600, times=8, module="soak.broken_worker", patience=8.0).problems:
            return
    pytest.fail("records of workers that acknowledge too early were never missed")
