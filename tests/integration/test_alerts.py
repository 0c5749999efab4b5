"""The notifier: a staged status, real commands, real notification URLs, a real file of what was told."""

from __future__ import annotations

import shlex
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from alarms import DAY, HOUR, MINUTE, NOON, Server, Staged, a_job, a_status, away, messages_in, told_in
from books import deposit
from parts import wait_until

from jarvis.alerts.channels import CommandHook, NotificationUrl, without_secrets
from jarvis.alerts.memory import NAME
from jarvis.alerts.ping import Ping
from jarvis.status.model import Copies, Disk, Gaps, Process, Proof, Quarantine, State, Storage
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_instant
from persistence.repositories import SQLiteQuarantineRepository

#: What no message may hold.
ACCOUNT, SYMBOL, AMOUNT, PASSWORD = "acct-of-a-client", "XRPETH", "123456.789", "hunter2"


@pytest.fixture
def file(tmp_path):
    return tmp_path / NAME


@pytest.fixture
def sent(tmp_path):
    return tmp_path / "sent.ndjson"


@pytest.fixture
def hook(sent):
    return CommandHook(f"sh -c 'cat >> {sent}'")


def test_an_alarm_is_told_when_it_begins_while_it_lasts_and_when_it_is_over(file, sent, hook):
    staged = Staged(file, hook)
    staged.wait(60)
    assert told_in(sent) == []
    staged.parts = away(staged.now)
    staged.wait(30)
    staged.wait(31 * 60)
    staged.parts = {}
    staged.wait(60)
    name = "JarvisBrokerAway"
    assert told_in(sent) == [("raised", [("raised", name)]), ("still", [("still", name)]), ("over", [("over", name)])]
    first, _, last = messages_in(sent)
    assert {*first} == {"version", "host", "folder", "kind", "alarms", "title", "text"}
    assert (first["version"], first["host"], first["folder"]) == ("1.2.3", "db1", "/var/lib/jarvis")
    [alarm] = first["alarms"]
    assert {*alarm} == {"kind", "name", "severity", "subject", "says", "remedy", "since", "lasted_seconds"}
    assert (alarm["severity"], alarm["subject"], alarm["since"]) == ("critical", "localhost:6379", "2026-11-25T11:59:00.000000Z")
    assert alarm["says"] == "localhost:6379 cannot be used: Connection refused"
    assert last["alarms"][0]["lasted_seconds"] == pytest.approx(120 + 32 * 60, abs=60)


def test_the_alarms_of_one_look_make_one_message(file, sent, hook):
    staged = Staged(file, hook)
    staged.parts = {**away(staged.now), "gaps": Gaps(missing=3, producers=1, first_noticed_at=NOON), "processes": ()}
    staged.wait(60)
    [(kind, alarms)] = told_in(sent)
    assert kind == "raised"
    assert [name for _, name in alarms] == ["JarvisBrokerAway", "JarvisNoWorker", "JarvisNoScheduler", "JarvisGaps"]


def test_a_restart_neither_repeats_nor_forgets(file, sent, hook):
    staged = Staged(file, hook)
    staged.parts = {**away(staged.now), "notes": 3, "gaps": Gaps(missing=3, producers=1, first_noticed_at=NOON)}
    staged.wait(60)
    staged.stop()
    assert len(told_in(sent)) == 1
    staged.start()
    staged.wait(120)
    assert len(told_in(sent)) == 1, "nothing new"
    staged.stop()
    staged.parts = away(NOON)
    staged.now += 5 * MINUTE
    staged.start()
    staged.wait(60)
    assert told_in(sent)[1:] == [("over", [("over", "JarvisGaps")])], "it went away between two processes"
    assert messages_in(sent)[-1]["alarms"][0]["says"] == "3 sequence numbers of 1 producer never arrived"


def test_a_file_of_what_was_told_that_cannot_be_read_costs_a_repetition(file, sent, hook):
    for damage in (b"{", b"[]", b"\xff", b'{"standing": [{"alarm": 3}]}'):
        file.write_bytes(damage)
        sent.unlink(missing_ok=True)
        staged = Staged(file, hook)
        staged.parts = away(staged.now)
        staged.wait(45)
        assert told_in(sent) == [("raised", [("raised", "JarvisBrokerAway")])]
        staged.stop()
    assert file.stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_kept_alarms_are_told_all_the_same(tmp_path, sent, hook):
    staged = Staged(tmp_path / "no such folder" / NAME, hook)
    staged.parts = away(staged.now)
    staged.wait(300)
    assert told_in(sent) == [("raised", [("raised", "JarvisBrokerAway")])]


def test_a_status_that_cannot_be_taken_is_told_and_ends_no_other_alarm(file, sent, hook, capsys):
    staged = Staged(file, hook)
    staged.parts = away(staged.now)
    staged.wait(60)
    taken, staged.take = staged.take, lambda: 1 / 0
    staged.wait(600)
    assert capsys.readouterr().out.count("ZeroDivisionError") == 1, "one line for one error"
    staged.take = taken
    staged.wait(60)
    unknown = "JarvisStatusUnknown"
    assert told_in(sent)[1:] == [("raised", [("raised", unknown)]), ("over", [("over", unknown)])]
    assert "division" not in sent.read_text()


def test_books_that_cannot_be_read_end_no_alarm_about_what_is_in_them(file, sent, hook):
    staged = Staged(file, hook)
    staged.parts = {"quarantine": Quarantine(held=3, by_reason={"conflict": 3}, oldest_at=NOON, newest_at=NOON)}
    staged.wait(60)
    staged.parts = {"quarantine": None, "records": None, "unread": {"records": "database disk image is malformed", "quarantine": "the same"}}
    staged.wait(60)
    assert told_in(sent)[1:] == [("raised", [("raised", "JarvisBooksUnreadable")])]


def test_a_look_that_hangs_is_told_and_does_not_hang_who_tells(file, sent, hook):
    released = threading.Event()
    staged = Staged(file, hook, take=lambda: (released.wait(60), a_status())[1], hangs_after=0.2)
    staged.steady += 15
    # Nobody waits for the look here, as nobody does in the scheduler.
    wait_until(lambda: (staged.notifier.turn(), told_in(sent))[1], "it is told")
    assert told_in(sent) == [("raised", [("raised", "JarvisStatusUnknown")])]
    assert messages_in(sent)[0]["alarms"][0]["says"] == "looking at how the daemon stands hangs"
    released.set()
    staged.wait(60)
    assert told_in(sent)[1:] == [("over", [("over", "JarvisStatusUnknown")])]


# -- channels ----------------------------------------------------------------------------------------------------------------


def test_a_channel_that_hangs_is_ended_with_all_it_started_and_holds_up_no_other(file, sent, hook, tmp_path):
    started = tmp_path / "started"
    hanging = CommandHook(f"sh -c 'sleep 60 & echo $! >> {started}; wait'", seconds=0.5)
    hanging.name = "hanging"
    staged = Staged(file, hanging, hook)
    staged.parts = away(staged.now)
    staged.wait(60)
    assert told_in(sent)[0] == ("raised", [("raised", "JarvisBrokerAway")])
    for pid in map(int, started.read_text().split()):
        wait_until(lambda pid=pid: not is_running(pid), "what the hook started has ended")
    staged.wait(120)
    assert ("raised", [("raised", "JarvisAlertsUndelivered")]) in told_in(sent), "the other channel tells of it"


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_was_not_delivered_is_tried_again_at_growing_pauses_and_then_says_how_things_stand(file, sent, tmp_path):
    works, tries = tmp_path / "works", tmp_path / "tries"
    staged = Staged(file, CommandHook(f"sh -c 'echo >> {tries}; test -e {works} && cat >> {sent}'"))
    begun = staged.steady
    staged.parts = {**away(staged.now), "gaps": Gaps(missing=3, producers=1, first_noticed_at=NOON)}
    tried = []
    while staged.steady < begun + 3_600:
        staged.wait(15)
        count = len(tries.read_text().splitlines()) if tries.exists() else 0
        tried += [staged.steady] * (count - len(tried))
    pauses = [round(after - before) for before, after in pairwise(tried)]
    assert pauses[:5] == [30, 60, 120, 240, 480]
    assert {*pauses[5:]} == {600}, "no longer than ten minutes, so that an outage that is over is known of"
    staged.parts = {"gaps": Gaps(missing=4, producers=1, first_noticed_at=NOON)}
    staged.wait(60)
    works.touch()
    staged.wait(900)
    assert told_in(sent) == [("raised", [("raised", "JarvisGaps")])], "the broker is back meanwhile, so of it there is nothing to tell"
    assert messages_in(sent)[0]["alarms"][0]["says"].startswith("4 sequence numbers")


def test_a_channel_that_did_not_deliver_is_tried_at_once_after_a_restart_and_is_not_over_by_it(file, sent, hook):
    failing = CommandHook("false")
    failing.name = "failing"
    staged = Staged(file, failing, hook)
    staged.parts = away(staged.now)
    staged.wait(1_200)
    undelivered = [("raised", [("raised", "JarvisAlertsUndelivered")])]
    assert told_in(sent)[1:] == undelivered
    staged.stop()
    staged.start()
    staged.wait(120)
    assert told_in(sent)[1:] == undelivered
    assert staged.notifier._couriers[0].failing.failures > 5
    staged.stop()
    staged.channels[0]._words = ["true"]
    staged.start()
    staged.wait(60)
    assert told_in(sent)[2:] == [("over", [("over", "JarvisAlertsUndelivered")])]


def test_a_system_that_grants_no_thread_for_a_moment_ends_nothing(file, sent, hook, monkeypatch):
    staged = Staged(file, hook)
    staged.parts = away(staged.now)
    staged.wait(30)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: exec('raise RuntimeError("can\'t start new thread")'))
        staged.now, staged.steady = staged.now + HOUR, staged.steady + 3_600
        for _ in range(3):
            with pytest.raises(RuntimeError):
                staged.notifier.turn()
    staged.wait(60)
    assert told_in(sent)[-1] == ("still", [("still", "JarvisBrokerAway")])


def test_an_error_of_the_judgement_is_told_like_one_of_the_look(file, sent, hook):
    staged = Staged(file, hook)
    staged.parts = {"copies": (None,)}
    staged.wait(60)
    assert told_in(sent) == [("raised", [("raised", "JarvisStatusUnknown")])]


def test_a_command_is_read_without_a_shell_and_nothing_of_the_message_is_on_its_command_line(file, tmp_path):
    program = tmp_path / "hook.py"
    program.write_text("import sys; open(sys.argv[1], 'w').write(open('/proc/self/cmdline').read() + sys.stdin.read())")
    told = tmp_path / "told with a blank"
    staged = Staged(file, CommandHook(f"{sys.executable} {program} {shlex.quote(str(told))} '$HOME;ls'"))
    staged.parts = away(staged.now)
    staged.wait(30)
    command_line, _, message = told.read_text().partition("{")
    assert command_line.split("\0") == [sys.executable, str(program), str(told), "$HOME;ls", ""]
    assert "JarvisBrokerAway" in message


def test_a_command_that_cannot_be_run_or_fails_says_why(tmp_path):
    message = told_by(tmp_path)
    for command, said in (
        ("/no/such/program", "alerts.command could not be run: .*No such file.*start the scheduler again"),
        ("sh -c 'echo no route >&2; exit 7'", "alerts.command ended with 7: no route"),
    ):
        with pytest.raises(Unavailable, match=said):
            CommandHook(command).deliver(message)


def told_by(folder):
    """A message of an alarm, as a channel gets it."""
    got = []

    class Kept:
        name = "kept"

        def deliver(self, message) -> None:
            got.append(message)

    staged = Staged(folder / "other.json", Kept())
    staged.parts = away(staged.now)
    staged.wait(30)
    return got[0]


def test_a_notification_url_gets_title_and_text(tmp_path):
    message = told_by(tmp_path)
    with Server() as server:
        NotificationUrl(f"json://{server.address}/notify").deliver(message)
        [(path, body)] = server.got
    assert path == "/notify"
    for part in ("jarvis on db1: localhost:6379", "to do: start it", '"failure"'):
        assert part in body


def test_a_notification_url_that_fails_shows_nothing_of_itself(tmp_path):
    message, secret = told_by(tmp_path), "T0KENT0KEN"
    with Server(code=403) as server:
        for url in (f"json://{server.address}/{secret}", f"json://user:{secret}@{server.address}", f"nonsense://{secret}", f"tgram://{secret}"):
            with pytest.raises(Unavailable) as refused:
                NotificationUrl(url).deliver(message)
            assert secret not in str(refused.value)
            assert "T0KEN" not in str(refused.value)


def test_what_a_library_says_is_shown_without_any_part_of_the_url():
    url = "tgram://110201543:AAHdqTcvCH1v/-1001234?format=markdown"
    said = "POST https://api.example/bot110201543:AAHdqTcvCH1v/send: chat -1001234 not found (format=markdown)"
    assert without_secrets(said, url) == "POST https://api.example/bot***:***/send: chat *** not found (***=***)"


def test_a_notification_url_that_never_answers_is_ended(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable, match=r"Apprise, for json, took longer than 2 s and was ended"):
        NotificationUrl(f"json://127.0.0.1:{silent.getsockname()[1]}/?rto=60", seconds=2).deliver(told_by(tmp_path))


# -- what never leaves -------------------------------------------------------------------------------------------------------


def test_no_message_holds_anything_of_a_record(file, sent, hook, database, ledger):
    fact = deposit(1, account_id=ACCOUNT, amount=AMOUNT, currency=SYMBOL)
    ledger.post([fact])
    [outcome] = ledger.post([deposit(1, account_id=ACCOUNT, amount="2", currency=SYMBOL)])
    assert outcome.status == "quarantined"
    quarantine = SQLiteQuarantineRepository(database)
    secret = f"{ACCOUNT} {SYMBOL} {AMOUNT} redis://u:{PASSWORD}@h"
    staged = Staged(file, hook, summary_at="12:01")
    staged.wait(15)
    staged.parts = {
        "quarantine": Quarantine(held=1, by_reason=quarantine.held_by_reason(), oldest_at=NOON, newest_at=NOON),
        "processes": (Process(name="worker", kind="worker", state=State.NOT_READY, problem=secret, not_ready_since=NOON - HOUR),),
        "jobs": (a_job(failed=True, result=f"Conflict: {secret}", last_ended_at=NOON, next_try_at=NOON), a_job("seal", late_since=NOON - HOUR)),
        "proof": Proof(verified_at=NOON, findings=2, found=f"balances: {secret}", drilled_at=NOON - 30 * DAY),
        "copies": (Copies(place="/backups", second=False, count=0, bytes=0, newest_at=None),),
        "storage": Storage(
            path="/books.db", database_bytes=1, log_bytes=10**9, free_bytes_inside=0, disks=(Disk(folders=("/",), free_bytes=1, total_bytes=10**12),)
        ),
        "records": None,
        "unread": {"records": secret},
    }
    staged.wait(120)
    staged.stop()
    told, kept = sent.read_text(), file.read_text()
    names = {name for _, alarms in told_in(sent) for _, name in alarms}
    assert names >= {"JarvisQuarantineHeld", "JarvisWorkerNotReady", "JarvisJobFailed", "JarvisVerificationFindings", "JarvisBooksUnreadable", "JarvisDiskLow"}
    assert "quarantine holds 1: 1 conflict" in told
    assert [message["kind"] for message in messages_in(sent)].count("summary") == 1
    for word in (ACCOUNT, SYMBOL, AMOUNT, PASSWORD):
        assert word not in told
        assert word not in kept


# -- the summary -------------------------------------------------------------------------------------------------------------


def at(hour: int, minute: int = 0, *, day: int = 25) -> int:
    return to_instant(datetime(2026, 11, day, hour, minute, tzinfo=UTC))


def test_a_summary_is_sent_at_its_time_with_the_records_since_the_one_before(file, sent, hook):
    staged = Staged(file, hook, summary_at="13:30", zone="Europe/Berlin")
    staged.wait(900)
    assert told_in(sent) == [], "there was one at 12:30, before there was anybody to send it"
    staged.now = at(12, 29) + DAY
    staged.wait(300)
    staged.now += DAY - 10 * MINUTE
    staged.take = lambda: a_status(
        staged.now, records=a_status(staged.now).records.__class__(total=20_345, begun_at=NOON, last_minute=0, last_hour=0, last_commit_at=staged.now)
    )
    staged.wait(1_200)
    first, second = messages_in(sent)
    assert (first["kind"], first["alarms"], first["title"]) == ("summary", [], "jarvis on db1: 26 November 2026: all is well")
    lines = second["text"].splitlines()
    assert len(lines) <= 12
    assert lines[1].startswith("records: 8,000 since 2026-11-26 12:30:")
    for line in (
        "alarms: none", "jobs: 1 job, all as planned", "quarantine: none", "gaps: none; notes: none", "processes: worker running, scheduler running",
        "disk: the database has 244 MB; 120 GB of 200 GB free for /var/lib/jarvis",
    ):  # fmt: skip
        assert line in lines


def test_a_summary_has_the_date_of_the_place_where_it_is_read(file, sent, hook):
    staged = Staged(file, hook, summary_at="08:00", zone="Asia/Tokyo")
    staged.now = at(22, 58)
    staged.wait(300)
    assert messages_in(sent)[0]["title"] == "jarvis on db1: 26 November 2026: all is well"


#: How long after its time the scheduler was away, and whether the summary that it missed is sent at the start.
MISSED = {"a while": (3 * HOUR, True), "a whole day": (13 * HOUR, False)}


@pytest.mark.parametrize("case", MISSED)
def test_a_summary_that_was_missed_for(case, file, sent, hook):
    late, is_sent = MISSED[case]
    staged = Staged(file, hook, summary_at="13:00")
    staged.wait(60)
    staged.stop()
    staged.now = at(13) + late
    staged.start()
    staged.wait(120)
    assert [kind for kind, _ in told_in(sent)] == ["summary"] * is_sent
    staged.wait(3_600)
    assert len(told_in(sent)) == is_sent, "once"


def test_a_clock_that_was_ahead_for_a_year_does_not_end_the_summaries(file, sent, hook):
    staged = Staged(file, hook, summary_at="12:10")
    staged.wait(60)
    staged.now += 365 * DAY + HOUR
    staged.wait(60)
    staged.now = at(12, 2)
    staged.wait(60)
    before = len(told_in(sent))
    staged.wait(600)
    assert [kind for kind, _ in told_in(sent)[before:]] == ["summary"]


# -- the dead man's switch ---------------------------------------------------------------------------------------------------


def test_the_switch_is_pinged_while_somebody_looks_and_is_heard(file, hook):
    with Server() as server:
        staged = Staged(file, hook, ping=Ping(f"http://{server.address}/p", 300))
        staged.parts = away(staged.now)
        staged.wait(1_500)
        assert 4 <= len(server.got) <= 6, "also while an alarm stands: that is what the other channels are for"
        staged.take = lambda: 1 / 0
        staged.wait(30)
        count = len(server.got)
        staged.wait(1_500)
        assert len(server.got) == count, "nobody sees how things stand"
        staged.take = a_status
        staged.wait(60)
        assert len(server.got) == count + 1
    deaf = Server()
    with deaf:
        staged = Staged(file, CommandHook("false"), ping=Ping(f"http://{deaf.address}/p", 300))
        staged.parts = away(staged.now)
        staged.wait(3_600)
        assert len(deaf.got) <= 2, "what is found reaches nobody"


def test_a_switch_that_does_not_answer_is_logged_once(file, capsys):
    with Server(code=500) as server:
        staged = Staged(file, ping=Ping(f"http://{server.address}/S3CRETS3CRET", 60))
        staged.wait(600)
        server.code = 200
        staged.wait(120)
        assert len(server.got) > 8
    said = capsys.readouterr().out.splitlines()
    assert sum("was not reached" in line for line in said) == 1
    assert sum("is reached again" in line for line in said) == 1
    assert not any("S3CRET" in line for line in said)


# -- the thread --------------------------------------------------------------------------------------------------------------


def test_the_thread_of_a_scheduler_tells_and_ends_well(file, sent, hook):
    staged = Staged(file, hook, look_seconds=0.05)
    staged.notifier._clock, staged.notifier._steady = lambda: NOON, time.monotonic
    staged.notifier._next_look = 0.0
    staged.parts = away()
    with staged.notifier:
        wait_until(lambda: told_in(sent), "it is told")
    assert told_in(sent) == [("raised", [("raised", "JarvisBrokerAway")])]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("alerts")]
