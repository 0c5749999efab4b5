"""Every alarm of the catalogue: what raises it, and what does not yet."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from jarvis.cli.status import exit_code
from jarvis.cli.status_screen import screen
from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import ALARMS, Severity, raised
from jarvis.status.model import Broker, Copies, Disk, Gaps, Job, Process, Proof, Quarantine, Queue, Records, State, Status, Storage, Stray
from jarvis.status.words import in_a_line
from persistence.domain.strays import StrayKind

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
NOW = 1_795_000_000 * SECOND


def process(kind: str = "worker", **changes) -> Process:
    return Process(**{"name": kind, "kind": kind, "state": State.RUNNING, **changes})


def not_ready(seconds: int | None, **changes) -> tuple[Process, ...]:
    since = None if seconds is None else NOW - seconds * SECOND
    return process(state=State.NOT_READY, not_ready_since=since, **{"problem": "commits fail", **changes}), process("scheduler")


def broker(*, reachable: bool = False, seconds: int | None = None) -> Broker:
    return Broker(place="redis at r:1/0", reachable=reachable, since=None if seconds is None else NOW - seconds * SECOND, problem="refuses", remedy="mend it")


def without_broker(*, back_for: int | None) -> dict[str, object]:
    """A worker that has said for ten minutes that its broker is not reachable, which it is again."""
    return {"processes": not_ready(600, problem="the broker is not reachable"), "broker": broker(reachable=True, seconds=back_for)}


def queue(seconds: int) -> tuple[Queue, ...]:
    return (Queue(name="fills", waiting=2, held=1, oldest_at=NOW - seconds * SECOND),)


def job(**changes) -> tuple[Job, ...]:
    usual = {
        "name": "backup", "says": "", "cron": "0 3 * * *", "zone": "UTC", "enabled": True, "paused_since": None, "state": "succeeded", "last_started_at": None,
        "last_ended_at": NOW, "last_success_at": NOW, "last_seconds": 1.0, "result": "OSError: no space", "failed": False, "next_at": None,
        "next_try_at": None, "late_since": None,
    }  # fmt: skip
    return (Job(**{**usual, **changes}),)


def copies(hours: float | None, *, second: bool = False, problem: str | None = None) -> tuple[Copies, ...]:
    newest = None if hours is None else int(NOW - hours * HOUR)
    return (Copies(place="backups", second=second, count=1, bytes=1, newest_at=newest, problem=problem),)


def proof(**changes) -> Proof:
    return Proof(**{"verified_at": NOW - HOUR, "findings": 0, "found": None, "drilled_at": NOW - DAY, **changes})


def storage(free: int = 5_000_000_000, total: int = 10_000_000_000, log: int = 0) -> Storage:
    return Storage(path="b.db", database_bytes=1, log_bytes=log, free_bytes_inside=0, disks=(Disk(folders=("data",), free_bytes=free, total_bytes=total),))


def stray(kind: StrayKind) -> tuple[Stray, ...]:
    return (Stray(kind=str(kind), subject="dramatiq:x", count=3, since=NOW),)


WELL = Status(
    taken_at=NOW, version="1", host="h", folder="data", namespace="dramatiq", processes=(process(), process("scheduler")), broker=broker(reachable=True),
    queues=queue(1), records=Records(total=5, begun_at=NOW - 9 * DAY, last_minute=1, last_hour=5, last_commit_at=NOW), notes=3, strays=(), jobs=job(),
    quarantine=Quarantine(held=0, by_reason={}, oldest_at=None, newest_at=None), gaps=Gaps(missing=0, producers=0, first_noticed_at=None),
    copies=(*copies(1), *copies(1, second=True)), proof=proof(), storage=storage(),
)  # fmt: skip

HELD = Quarantine(held=3, by_reason={"conflict": 1, "malformed": 2}, oldest_at=NOW - HOUR, newest_at=NOW)
EMPTY = replace(WELL.records, total=0, begun_at=None)

#: (alarm, what differs from all being well and raises it, what it says, what differs and does not).
STILL = process("scheduler", state=State.NOT_READY, problem="it does not tick")
CASES = [
    ("JarvisBrokerAway", {"broker": broker(seconds=61)}, "redis at r:1/0 cannot be used: refuses", {"broker": broker(seconds=59)}),
    ("JarvisBrokerAway", {"broker": broker()}, "cannot be used", {"broker": None}),
    ("JarvisNoWorker", {"processes": (process("scheduler"), process(state=State.STOPPED))}, "no worker", {"processes": None}),
    ("JarvisWorkerNotReady", {"processes": not_ready(61)}, "worker records nothing: commits fail", {"processes": not_ready(59)}),
    ("JarvisWorkerNotReady", {"processes": not_ready(None)}, "records nothing", {"processes": (process(state=State.DRAINING), process("scheduler"))}),
    ("JarvisWorkerNotReady", without_broker(back_for=61), "not reachable", without_broker(back_for=59)),
    ("JarvisWorkerNotReady", without_broker(back_for=None), "not reachable", {**without_broker(back_for=61), "broker": broker(seconds=1)}),
    ("JarvisNoScheduler", {"processes": (process(),)}, "no scheduler", {"processes": (process(), process("scheduler", state=State.DRAINING))}),
    ("JarvisNoScheduler", {"processes": (process(), STILL)}, "stands still, so no backup, rollup or verification runs: it does not tick", {"processes": None}),
    ("JarvisBooksUnreadable", {"unread": {"records": "it is newer"}}, "it is newer", {"unread": {"queues": "no answer"}}),
    ("JarvisQueueWaits", {"queues": queue(61)}, "3 messages on fills not recorded yet", {"queues": queue(59)}),
    ("JarvisBrokerLostMessages", {"strays": stray(StrayKind.BROKER_EMPTIED)}, "publish again", {"strays": None}),
    ("JarvisUnclaimedMessages", {"strays": stray(StrayKind.UNREAD_QUEUE)}, "3 on dramatiq:x", {"strays": ()}),
    ("JarvisVerificationFindings", {"proof": proof(findings=1, found="a page")}, "1 finding: a page", {"proof": proof(findings=None)}),
    ("JarvisVerificationStale", {"proof": proof(verified_at=NOW - 27 * HOUR)}, "nothing was verified since", {"proof": proof(verified_at=NOW - 25 * HOUR)}),
    ("JarvisDrillStale", {"proof": proof(drilled_at=NOW - 9 * DAY)}, "no restore", {"proof": proof(drilled_at=NOW - 7 * DAY)}),
    ("JarvisDiskLow", {"storage": storage(free=999_999_999)}, "1 GB of 10 GB (10 %) free", {"storage": storage(free=1_000_000_000)}),
    ("JarvisDiskLow", {"storage": storage(free=4 * 10**9, total=10**11)}, "(4 %)", {"storage": storage(free=6 * 10**9, total=10**11)}),
    ("JarvisLogLong", {"storage": storage(log=256_000_001)}, "256 MB", {"storage": storage(log=256_000_000)}),
    ("JarvisBackupStale", {"copies": copies(27)}, "has no proved backup since", {"copies": copies(25)}),
    ("JarvisBackupStale", {"copies": copies(None)}, "has no proved backup", {"copies": copies(None), "records": EMPTY}),
    ("JarvisBackupStale", {"copies": copies(None)}, "has no", {"copies": copies(None), "records": replace(WELL.records, begun_at=NOW - HOUR)}),
    ("JarvisCopyStale", {"copies": copies(None, second=True, problem="not mounted")}, "not mounted", {"copies": copies(1, second=True)}),
    ("JarvisJobFailed", {"jobs": job(failed=True)}, "job backup failed: OSError: no space", {"jobs": job()}),
    ("JarvisJobFailed", {"jobs": job(name="verification", failed=True)}, "verification failed", {
        "jobs": job(name="verification", failed=True), "proof": proof(findings=2, found="x")}),
    ("JarvisJobMissed", {"jobs": job(late_since=NOW - 16 * MINUTE)}, "was due at", {"jobs": job(late_since=NOW - 14 * MINUTE)}),
    ("JarvisQuarantineHeld", {"quarantine": HELD}, "holds 3: 2 malformed, 1 conflict", {"quarantine": None}),
    ("JarvisGaps", {"gaps": Gaps(missing=1, producers=1, first_noticed_at=NOW)}, "1 sequence number of 1 producer never", {"gaps": None}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrong", "says", "fine"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_an_alarm_holds_when_it_should_and_not_before(name, wrong, says, fine):
    [alarm] = [alarm for alarm in raised(replace(WELL, **wrong), Thresholds()) if alarm.name == name]
    assert says in alarm.says
    assert name not in {alarm.name for alarm in raised(replace(WELL, **fine), Thresholds())}


def test_every_alarm_of_the_catalogue_is_in_the_table():
    assert {name for name, *_ in CASES} == {alarm.name for alarm in ALARMS}


def test_thresholds_decide():
    patient = Thresholds(quarantine_held=3, oldest_message_seconds=3_600, broker_away_seconds=600)
    assert raised(replace(WELL, quarantine=HELD, queues=queue(61), broker=broker(seconds=61)), patient) == []


def test_where_all_is_well_nothing_is_raised_and_one_line_says_so():
    assert raised(WELL, Thresholds()) == []
    assert in_a_line(WELL, []) == "all is well: 5 records in the last hour, 2 waiting"
    assert exit_code(WELL, [], strict=True) == 0


def shown(status: Status) -> str:
    text = io.StringIO()
    Console(width=120, file=text).print(screen(status, []))
    return text.getvalue()


def test_a_process_of_another_version_is_to_be_restarted():
    processes = process(version="0.9"), process("scheduler", version="1")
    assert shown(replace(WELL, processes=processes)).count("runs 0.9, installed is 1: restart it") == 1


def test_what_cannot_be_read_is_said_once_with_its_parts():
    assert "records, gaps: it is newer" in shown(replace(WELL, records=None, gaps=None, unread={"records": "it is newer", "gaps": "it is newer"}))


def test_of_a_job_that_failed_the_next_try_is_shown():
    failed = job(failed=True, state="failed", next_at=NOW + DAY, next_try_at=NOW + 42 * SECOND)
    assert re.search(r"backup +done 0 s ago +next in 42 s +failed", shown(replace(WELL, jobs=failed)))
    stuck = job(state="running, beyond its limit", enabled=False, paused_since=NOW - HOUR, late_since=NOW - HOUR)
    assert "running, beyond its limit, off, paused 1 h ago, late by 1 h" in " ".join(shown(replace(WELL, jobs=stuck)).split())


def test_one_cause_is_told_once():
    away = broker(seconds=90)
    waits = process(state=State.NOT_READY, problem="the broker refuses", not_ready_since=NOW - 90 * SECOND)
    status = replace(WELL, broker=away, processes=(waits, process("scheduler")))
    assert [(alarm.name, alarm.remedy) for alarm in raised(status, Thresholds())] == [("JarvisBrokerAway", "mend it")]
    alone = replace(WELL, processes=(process(),), jobs=job(late_since=NOW - DAY))
    assert [alarm.name for alarm in raised(alone, Thresholds())] == ["JarvisNoScheduler"]


def test_the_critical_ones_come_first_and_decide_the_exit_code():
    status = replace(WELL, quarantine=HELD, processes=(process("scheduler"),))
    alarms = raised(status, Thresholds())
    assert [alarm.severity for alarm in alarms] == [Severity.CRITICAL, Severity.WARNING]
    assert in_a_line(status, alarms).startswith("1 alarm, 1 warning: no worker is running")
    assert exit_code(status, alarms, strict=False) == 1
    warned = replace(WELL, quarantine=HELD)
    assert exit_code(warned, raised(warned, Thresholds()), strict=False) == 0
    assert exit_code(warned, raised(warned, Thresholds()), strict=True) == 1
    blind = replace(WELL, broker=broker(), jobs=None)
    assert exit_code(blind, raised(blind, Thresholds()), strict=False) == 3
