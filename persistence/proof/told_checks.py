"""Checks of rows that no other check derives from the facts: accounts, gaps, verdicts of jobs, what the next rollup builds upon."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from jarvis_client.contract.instants import to_text
from persistence.books import derived, events, verdicts
from persistence.domain.finding import Finding
from persistence.engine.contract import Connection

_DAY = 86_400_000_000
#: Shorter than finished runs are kept.
_RUNS_STAY_DAYS = 399

Ranges = list[tuple[int, int]]


def accounts_are_as_told(connection: Connection) -> Iterator[Finding]:
    """An account's name and whether it is open are what somebody saved by hand, and it is open since its earliest record."""
    name = "accounts are as told"
    gone = {content["account_id"]: number for number, content in events.of_kind(connection, events.ACCOUNT_DELETED)}
    saved: dict[str, tuple[str, bool]] = {}
    opened: dict[str, int] = {}
    for number, said in events.of_kind(connection, events.ACCOUNT_SAVED):
        account_id = said["account_id"]
        if number > gone.get(account_id, 0):
            saved[account_id] = said["name"], said["is_active"]
            if said["opened_at"] is not None:
                opened[account_id] = said["opened_at"]
    for account_id, at in connection.execute("SELECT account_id, min(occurred_at) FROM facts WHERE state <> 2 GROUP BY account_id"):
        opened[account_id] = min(at, opened.get(account_id, at))
    for account_id, called, active, opened_at in connection.execute("SELECT account_id, name, is_active, opened_at FROM accounts"):
        expected = saved.get(account_id, (account_id, True))
        if (called, bool(active)) != expected:
            yield Finding(name, f"account {account_id}", _account(*expected), _account(called, bool(active)), "jarvis chain events")
        if opened_at != opened.get(account_id):
            yield Finding(name, f"account {account_id}", _opened(opened.get(account_id)), _opened(opened_at), f"jarvis transactions --account {account_id}")


def _account(called: str, active: bool) -> str:
    return f"{'open' if active else 'closed'}, called {called}"


def _opened(at: int | None) -> str:
    return "never opened" if at is None else f"opened {to_text(at)}"


def _span(bounds: tuple[int, int] | None) -> str:
    return "no number" if bounds is None else f"numbers {bounds[0]} to {bounds[1]}"


def gaps_follow_from_numbers(connection: Connection) -> Iterator[Finding]:
    """The gaps of a producer are the numbers that no fact has and no event tells of."""
    name = "gaps follow from the numbers that arrived"
    arrived = _numbers_of_facts(connection)
    for kind in (events.PLACE_CHANGED, events.RECORDED_ANEW):
        for _, content in events.of_kind(connection, kind):
            sequence, producer = content["before"]
            if sequence is not None and producer is not None:
                arrived.setdefault(producer, []).append((sequence, sequence))
    for _, content in events.of_kind(connection, events.NUMBERS_SPENT):
        arrived.setdefault(content["producer"], []).extend((first, last) for first, last in content["numbers"])
    settled: dict[str, Ranges] = {}
    for _, content in events.of_kind(connection, events.GAP_ACCEPTED):
        settled.setdefault(content["producer"], []).append((content["first"], content["last"]))
    stored: dict[str, Ranges] = {}
    for producer, first, last in connection.execute("SELECT producer, first, last FROM gaps ORDER BY producer, first"):
        stored.setdefault(producer, []).append((first, last))
    bounds: dict[str, tuple[int, int]] = {p: (low, high) for p, low, high in connection.execute("SELECT producer, lowest, highest FROM producers")}
    for producer in sorted({*arrived, *bounds}):
        seen = _joined(arrived.get(producer, []))
        expected_bounds = (seen[0][0], seen[-1][1]) if seen else None
        if bounds.get(producer) != expected_bounds:
            yield Finding(name, f"producer {producer}", _span(expected_bounds), _span(bounds.get(producer)), f"jarvis gaps --producer {producer}")
            continue
        expected = _between(_joined([*seen, *settled.get(producer, [])]))
        if expected != stored.get(producer, []):
            differing = min({*expected} ^ {*stored.get(producer, [])})
            said = ("missing", "not missing") if differing in expected else ("not missing", "missing")
            yield Finding(name, f"producer {producer}, numbers {differing[0]} to {differing[1]}", *said, f"jarvis gaps --producer {producer}")


def _numbers_of_facts(connection: Connection) -> dict[str, Ranges]:
    sql = (
        "SELECT producer, min(sequence), max(sequence) FROM ("
        "SELECT producer, sequence, sequence - dense_rank() OVER (PARTITION BY producer ORDER BY sequence) AS run FROM facts "
        "WHERE sequence IS NOT NULL AND producer IS NOT NULL) AS numbers GROUP BY producer, run"
    )
    found: dict[str, Ranges] = {}
    for producer, first, last in connection.execute(sql):
        found.setdefault(producer, []).append((first, last))
    return found


def _joined(ranges: Ranges) -> Ranges:
    """The same numbers in the fewest ranges, ascending."""
    found: Ranges = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _between(ranges: Ranges) -> Ranges:
    return [(before[1] + 1, after[0] - 1) for before, after in pairwise(ranges)]


def verdicts_stand(connection: Connection) -> Iterator[Finding]:
    """How runs of verification and of the restore drill ended is what the chain says."""
    name, look = "verdicts of jobs stand", "jarvis chain events; jarvis jobs history"
    told: dict[tuple[str, int], tuple[int, dict[str, Any]]] = {}
    newest = 0
    for _, kind, at, text in events.all_events(connection):
        newest = max(newest, at)
        if kind == events.JOB_ENDED:
            content = events.content_of(text)
            told[content["job"], content["scheduled_for"]] = at, content
    rows = {
        (job, slot): row for job, slot, *row in connection.execute("SELECT job, scheduled_for, state, result, error FROM job_runs") if job in verdicts.SEALED
    }  # fmt: skip
    for key in sorted({*told, *rows}):
        at, content = told.get(key, (0, {}))
        row = rows.get(key)
        where = f"{key[0]} of {to_text(key[1])}"
        if row is None:
            if content["state"] == "failed" or at > newest - _RUNS_STAY_DAYS * _DAY:
                yield Finding(name, where, content["state"], "no run", look)
        elif row[0] in verdicts.ENDED and (not content or verdicts.said(*row) != content["said"]):
            yield Finding(name, where, content.get("state", "nothing told by the chain"), f"{row[0]}, with another word", look)


def what_rollups_build_upon_stands(connection: Connection) -> Iterator[Finding]:
    """Derived rows are those that rollups wrote, and facts that no rollup has seen are marked for the next."""
    name = "what rollups build upon stands"
    for (account_id,) in connection.execute("SELECT account_id FROM accounts ORDER BY account_id").fetchall():
        expected, found = derived.stored_digest(connection, account_id), derived.digest_of_rows(connection, account_id)
        if expected != found:
            said = f"rows of digest {expected.hex()[:16]}", found.hex()[:16]
            yield Finding(name, f"derived rows of {account_id}", *said, f"jarvis rollup --account {account_id} --rebuild")
    unseen = (
        "SELECT a.account_id, a.dirty_since, min(f.occurred_at) FROM rollup_accounts r JOIN accounts a ON a.account_id = r.account_id "
        "JOIN facts f ON f.account_id = a.account_id WHERE f.fact_no > (SELECT min(seen_fact_no) FROM rollup_accounts) AND f.fact_no > r.seen_fact_no "
        "GROUP BY a.account_id, a.dirty_since"
    )
    for account_id, dirty_since, least in connection.execute(unseen):
        if dirty_since is None or dirty_since > least:
            said = f"marked from {to_text(least)} on", "not marked" if dirty_since is None else f"from {to_text(dirty_since)} on"
            yield Finding(name, f"new facts of {account_id}", *said, f"jarvis rollup --account {account_id} --rebuild")


TOLD_CHECKS = (accounts_are_as_told, gaps_follow_from_numbers, verdicts_stand, what_rollups_build_upon_stands)
