"""The doctor over real folders, real books and a real Valkey: what makes each check speak, what silences it, and that nothing is changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from books import deposit
from command import run
from parts import BrokerServer, closing, wait_until

from jarvis.doctor import books_file, broker, certificates, clock, folders, running, secrets
from jarvis.doctor.case import Case, case_of
from jarvis.doctor.diagnosis import Diagnosis, Level
from jarvis.doctor.rounds import SECTIONS
from jarvis.embedded_broker import EmbeddedBroker, server_binary
from jarvis.settings import Settings
from jarvis_client.contract import instants
from jarvis_client.contract.address import read_address
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_instant
from persistence.books.book import book_id
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.engine.sqlite.peek import peeked
from persistence.files import locked_file
from persistence.holders import note_holder
from workers.heartbeat import home_of
from workers.ownership import NamespaceBooks
from workers.rights import NOT_TRIED, TRIED

USERS = Path(__file__).parents[2] / "deploy" / "redis" / "users.acl"


def settings_of(folder: Path, *, broker: dict[str, object] | None = None, **backup: object) -> Settings:
    return Settings(database={"path": folder / "b.db", "backup": {"path": folder / "backups", **backup}}, broker=broker or {})


def case(folder: Path, **files: str) -> Case:
    """A machine whose system files are these; by default it has none."""
    root = folder / "root"
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Case(folder / "config", named=False, now=instants.now(), root=root)


def loud(found: Iterator[Diagnosis], *subjects: str) -> list[str]:
    """What is a warning or a problem, the values alone; each must come with its remedy."""
    bad = [d for d in found if d.level in (Level.WARNING, Level.PROBLEM) and (not subjects or d.subject in subjects)]
    assert all(d.remedy for d in bad), bad
    return [d.value for d in bad]


def of(subject: str, found: Iterator[Diagnosis]) -> Diagnosis:
    [one] = [d for d in found if d.subject == subject]
    return one


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A folder with books in it that hold a record."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    with closing(DatabaseManager(folder / "b.db", durable=False)) as database:
        Ledger(database).record([deposit("d1")])
    return folder


# -- the command -------------------------------------------------------------------------------------------------------------


def listing(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns, p.lstat().st_mode, p.read_bytes() if p.is_file() else b"") for p in folder.rglob("*")}


def test_an_empty_folder_is_well_and_stays_empty(tmp_path):
    done = run("doctor", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^  ok +database +data/jarvis_trading.db is not there yet", done.stdout, re.MULTILINE)
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_changed_of_books_that_are_there(books):
    before = listing(books)
    done = run("doctor", folder=books, JARVIS_DATABASE__PATH="b.db", JARVIS_DATABASE__BACKUP__PATH="backups")
    assert "schema 1, books " in done.stdout
    assert listing(books) == before


def test_wrong_settings_end_with_a_problem_and_not_with_wrong_usage(tmp_path):
    done = run("doctor", folder=tmp_path, JARVIS_WORKER__THREADS="many")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2][1].split()[:2] == ["problem", "settings"]
    assert "Traceback" not in done.stdout + done.stderr


def test_warnings_count_only_where_it_is_strict(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "compose.yml").touch()
    assert run("doctor", folder=tmp_path).returncode == 0
    assert run("doctor", "--strict", folder=tmp_path).returncode == 1


def test_json_has_every_line_in_full(tmp_path):
    found = json.loads(run("doctor", "--json", folder=tmp_path).stdout)
    assert all({*line} == {"section", "subject", "level", "value", "rule", "remedy"} for line in found)
    assert {line["section"] for line in found} == {section.title for section in SECTIONS}


@pytest.mark.parametrize("columns", [80, 120])
def test_it_is_as_wide_as_it_is_told(tmp_path, columns):
    shown = run("doctor", folder=tmp_path, COLUMNS=str(columns)).stdout.splitlines()
    words = [line for line in shown if " " in line.strip()]
    assert max(map(len, words)) <= columns
    assert not any(line.endswith(" ") for line in shown)


def test_a_control_character_from_outside_is_written_out(tmp_path):
    done = run("doctor", folder=tmp_path, JARVIS_DATABASE__PATH=f"{tmp_path}/\x1b[31m/b.db")
    assert "\\x1b[31m" in done.stdout
    assert "\x1b" not in done.stdout


# -- the books ---------------------------------------------------------------------------------------------------------------


def test_books_are_read_while_they_are_open_and_after_they_were_left(tmp_path):
    with closing(DatabaseManager(tmp_path / "b.db", durable=False)) as database:
        Ledger(database).record([deposit("d1")])
        with database.get_connection() as connection:
            ours = book_id(connection)
        program = "import sys; from persistence.engine.sqlite.peek import peeked; from persistence.books.book import book_id\n"
        program += "with peeked(sys.argv[1]) as c: print(book_id(c), c.execute('SELECT count(*) FROM facts').get)"
        looked = subprocess.run([sys.executable, "-c", program, str(tmp_path / "b.db")], capture_output=True, text=True, check=True)
        assert looked.stdout.split() == [ours, "1"]
    before = listing(tmp_path)
    with peeked(tmp_path / "b.db") as connection:
        assert book_id(connection) == ours
    assert listing(tmp_path) == before


def test_books_with_a_rollback_journal_are_read_beside_their_writer(tmp_path):
    with closing(DatabaseManager(tmp_path / "b.db", wal_mode=False, durable=False)) as database:
        Ledger(database).record([deposit("d1")])
        with database.transaction() as connection:
            connection.execute("INSERT INTO backup_folders (path, first_used_at) VALUES ('x', 1)")
            before = [*listing(tmp_path)]
            with peeked(tmp_path / "b.db") as reading:
                assert reading.execute("SELECT count(*) FROM facts").get == 1
                assert reading.execute("SELECT count(*) FROM backup_folders").get == 0
            assert [*listing(tmp_path)] == before


def test_a_log_without_an_index_is_left_alone(tmp_path):
    (tmp_path / "there").mkdir()
    with closing(DatabaseManager(tmp_path / "b.db", durable=False)) as database:
        Ledger(database).record([deposit("d1")])
        for name in ("b.db", "b.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / "there" / name)
    before = listing(tmp_path / "there")
    found = of("database", books_file.look(case(tmp_path), settings_of(tmp_path / "there")))
    assert (found.level, found.remedy) == (Level.NOT_CHECKED, "the next start makes it")
    assert "without an index" in found.value
    assert listing(tmp_path / "there") == before


def test_books_that_are_well(tmp_path, books):
    found = [*books_file.look(case(tmp_path), settings_of(books))]
    assert loud(iter(found)) == []
    assert f"{books / 'b.db'}, schema 1, books " in of("database", iter(found)).value


def test_books_that_are_gone_are_a_problem(tmp_path, books):
    (books / "b.db").unlink()
    assert "but there were books here" in of("database", books_file.look(case(tmp_path), settings_of(books))).value


@pytest.mark.parametrize(("content", "said"), [(b"no database" * 500, "the file is no SQLite database"), (None, "SQLite database of another program")])
def test_a_file_that_is_not_ours_is_a_problem(tmp_path, content, said):
    path = tmp_path / "b.db"
    if content is None:
        subprocess.run([sys.executable, "-c", f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('CREATE TABLE t (x)'); c.commit()"], check=True)
    else:
        path.write_bytes(content)
    assert said in loud(books_file.look(case(tmp_path), settings_of(tmp_path)))[0]


def test_a_folder_that_is_not_the_one_of_these_books_is_a_problem(tmp_path, books):
    with closing(DatabaseManager(books / "b.db", durable=False)) as database:
        (tmp_path / "backups").mkdir()
        backups.create(database, tmp_path / "backups", instants.now())
    settings = Settings(database={"path": books / "b.db", "backup": {"path": tmp_path / "backups"}})
    assert loud(books_file.look(case(tmp_path), settings)) == []
    shutil.rmtree(tmp_path / "backups")
    (tmp_path / "backups").mkdir()
    assert "is not the folder that keeps the backups of these books" in loud(books_file.look(case(tmp_path), settings), "backup folder")[0]


def test_a_log_that_nobody_can_empty_is_a_warning(tmp_path, books, monkeypatch):
    (books / "b.db-wal").write_bytes(b"x" * 9_000)
    assert loud(books_file.look(case(tmp_path), settings_of(books)), "write-ahead log") == []
    monkeypatch.setattr(books_file, "LONG_WAL_BYTES", 4_000)
    assert loud(books_file.look(case(tmp_path), settings_of(books)), "write-ahead log") == ["9 kB"]


def test_records_from_the_future_are_a_problem(tmp_path, books):
    settings = settings_of(books)
    here = case(tmp_path)
    assert loud(clock.look_at_books(here, settings)) == []
    before = Case(here.config, named=False, now=here.now - 3_600_000_000, root=here.root)
    assert loud(clock.look_at_books(before, settings))[0].startswith("recorded at ")


# -- folders -----------------------------------------------------------------------------------------------------------------


def test_folders_that_are_well(tmp_path, books):
    (books / "backups").mkdir(mode=0o700)
    found = [*folders.look(case(tmp_path), settings_of(books))]
    assert loud(iter(found)) == ["none is named"]  # a second place
    assert of("room for a backup", iter(found)).level == Level.OK


def test_a_missing_folder_above_a_path_is_a_problem(tmp_path, books):
    settings = Settings(database={"path": books / "b.db", "backup": {"path": tmp_path / "no" / "such" / "backups"}})
    assert f"{tmp_path / 'no'} does not exist" in loud(folders.look(case(tmp_path), settings), "backups")[0]


def test_a_disk_that_is_not_mounted_is_a_problem(tmp_path, books):
    settings = settings_of(books, second={"path": "/mnt/other/jarvis"})
    table, mounted = "/dev/sdb1 /mnt/other ext4 defaults 0 0\n", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    found = loud(folders.look(case(tmp_path, etc__fstab=table, proc__self__mountinfo=mounted), settings), "second place")
    assert found == ["/mnt/other/jarvis: no disk is mounted at /mnt/other"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [("nfs4", "lies on nfs4, a network file system"), ("fuse.unknown", "lies on fuse.unknown (mounted at "), ("ext4", None)],
)
def test_books_on_another_machine_are_a_problem(tmp_path, books, kind, said):
    mounted = f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {books} rw - {kind} away rw\n"
    found = loud(folders.look(case(tmp_path, proc__self__mountinfo=mounted), settings_of(books)), "data folder")
    assert said in found[0] if said else not found


def test_backups_on_a_share_are_a_warning_and_a_second_place_may_be_one(tmp_path, books):
    for name in ("backups", "second"):
        (books / name).mkdir(mode=0o700)
    mounted = f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / {books}/backups rw - cifs away rw\n3 1 0:9 / {books}/second rw - cifs away rw\n"
    found = [*folders.look(case(tmp_path, proc__self__mountinfo=mounted), settings_of(books, second={"path": books / "second"}))]
    assert loud(iter(found), "backups") == [f"{books}/backups lies on cifs, a share of another machine"]
    assert not any("cifs, a share" in value for value in loud(iter(found), "second place"))


def test_a_second_place_on_the_same_disk_is_none(tmp_path, books):
    settings = settings_of(books, second={"path": books / "second"})
    assert loud(folders.look(case(tmp_path), settings), "second place") == [f"{books}/second is on the same file system as {books}/backups"]


def test_a_second_place_on_another_disk_is_well(tmp_path, books, short_folder):
    other = next((Path(p) for p in ("/dev/shm", "/run", "/var/tmp", "/tmp") if Path(p).stat().st_dev != books.stat().st_dev and os.access(p, os.W_OK)), None)
    if other is None:
        pytest.skip("this machine has one file system only")
    assert loud(folders.look(case(tmp_path), settings_of(books, second={"path": other / "jarvis-second"})), "second place") == []


def test_files_that_others_may_read_are_a_problem(tmp_path, books):
    (books / "broker").mkdir(mode=0o700)
    assert loud(folders.look(case(tmp_path), settings_of(books)), "modes") == []
    (books / "b.db").chmod(0o644)
    (books / "broker").chmod(0o755)
    assert loud(folders.look(case(tmp_path), settings_of(books)), "modes") == [f"{books}/b.db has mode 644", f"{books}/broker has mode 755"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for somebody else")
def test_two_owners_are_a_problem(tmp_path, books):
    os.chown(books, 1234, 1234)
    assert loud(folders.look(case(tmp_path), settings_of(books)), "owners") == [f"{books} of user 1234, {books}/b.db of root"]
    for path in books.iterdir():
        os.chown(path, 1234, 1234)
    assert of("owners", folders.look(case(tmp_path), settings_of(books))).value == "everything is user 1234's"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_told_whose_it_is(short_folder, books):
    program = (
        "import os, sys; from pathlib import Path; from jarvis.doctor import folders, books_file; from jarvis.doctor.case import Case; from jarvis.settings import Settings\n"
        "settings = Settings(database={'path': sys.argv[1] + '/b.db', 'backup': {'path': sys.argv[1] + '/backups'}})\n"
        "os.setgroups([]); os.setgid(1234); os.setuid(1234)\n"
        "for look in (folders.look, books_file.look):\n"
        "    for d in look(Case(Path('config'), False, 0), settings): print(d.level, d.subject, d.value, d.remedy, sep='|')\n"
    )
    short_folder.chmod(0o755)
    books = shutil.copytree(books, short_folder / "data")
    done = subprocess.run([sys.executable, "-c", program, str(books)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"problem|data folder|{books} is closed to user 1234|run this as root" in done.stdout
    assert "warning|owners|everything is root's|run it as that user; for systemd's services: jarvis-ctl doctor" in done.stdout


def test_too_little_room_is_a_problem_for_a_backup_and_for_a_restore(tmp_path, books, monkeypatch):
    (books / "backups").mkdir(mode=0o700)
    with closing(DatabaseManager(books / "b.db", durable=False)) as database:
        backups.create(database, books / "backups", instants.now())
    assert loud(folders.look(case(tmp_path), settings_of(books)), "room for a backup", "room for a restore") == []
    monkeypatch.setattr("persistence.copies.backup_checks.disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    monkeypatch.setattr(folders, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    assert [d[:15] for d in loud(folders.look(case(tmp_path), settings_of(books)), "room for a backup")] == ["1 B are free in"]
    assert loud(folders.look(case(tmp_path), settings_of(books)), "room for a restore") == [f"1 B are free in {books}"]


def test_books_without_backups_are_a_warning(tmp_path, books):
    assert loud(folders.look(case(tmp_path), settings_of(books, enabled=False)), "backups") == ["database.backup.enabled is false"]


# -- the broker --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def evicting(short_folder) -> Iterator[Path]:
    """A server set up as Redis comes: no append-only file; and it evicts."""
    arguments = ["--port", "0", "--unixsocket", f"{short_folder}/s", "--dir", str(short_folder), "--save", "", "--maxmemory-policy", "allkeys-lru"]
    process = subprocess.Popen([server_binary(), *arguments], stdout=subprocess.DEVNULL)
    wait_until((short_folder / "s").exists, "the server listens")
    yield short_folder / "s"
    process.kill()
    process.wait()


def of_broker(folder: Path, url: str, **more: object) -> list[Diagnosis]:
    return [*broker.look(case(folder), settings_of(folder, broker={"url": url, **more}))]


def test_a_broker_that_is_well(broker_server: BrokerServer, books):
    with broker_server.client() as client:
        before = client.dbsize(), client.info("stats")["total_commands_processed"]
        found = of_broker(books, broker_server.url)
        assert (client.dbsize(), client.info("stats")["total_commands_processed"] > before[1]) == (before[0], True)
    assert [d for d in found if d.level != Level.OK] == []
    assert {d.subject for d in found} == {"broker", "version", "set-up", "rights", "other programs", "whose messages"}


def test_a_broker_that_loses_messages_is_a_warning_for_each_reason(evicting, tmp_path):
    assert loud(iter(of_broker(tmp_path, f"unix://{evicting}")), "set-up") == [
        "broker drops messages when it is full (maxmemory-policy allkeys-lru)", "broker keeps no append-only file",
    ]  # fmt: skip


def test_a_replica_is_a_problem(broker_server: BrokerServer, books):
    with broker_server.client() as client:
        client.replicaof("127.0.0.1", "1")
    found = of_broker(books, broker_server.url)
    assert loud(iter(found), "set-up") == ["the broker is a replica, which takes no writes"]


@pytest.mark.parametrize(("status", "said"), [("err", ["the broker cannot write to its disk"]), ("ok", [])])
def test_a_broker_that_cannot_write_is_a_problem(status, said):
    class Telling:
        def info(self, section):
            return {"aof_last_write_status": status, "aof_enabled": 1, "redis_version": "7.2.4", "maxmemory_policy": "noeviction", "role": "master"}

    assert loud(broker._set_up(Telling())) == said


def test_a_broker_that_is_nearly_full_is_a_warning(evicting, tmp_path):
    redis.Redis(unix_socket_path=str(evicting)).config_set("maxmemory", "900kb")
    assert re.fullmatch(r"[\d,.]+ [kM]B of 922 kB are taken", loud(iter(of_broker(tmp_path, f"unix://{evicting}")), "memory")[0])


@pytest.mark.parametrize(
    ("url", "said", "remedy"),
    [
        ("unix:///nowhere/s", "the socket /nowhere/s is not reachable: ", "is it running, and is broker.url the right one?"),
        ("unix://:wrong@{}", "refuses user or password", "correct user and password"),
        ("redis://localhost:1/0", "not reachable", "is it running, and is broker.url the right one?"),
    ],
)
def test_a_broker_that_cannot_be_used_is_a_problem(broker_server: BrokerServer, tmp_path, url, said, remedy):
    with broker_server.client() as client:
        client.config_set("requirepass", "right")
    [found] = of_broker(tmp_path, url.format(broker_server.socket))
    assert (found.level, found.subject) == (Level.PROBLEM, "broker")
    assert said in found.value
    assert found.remedy.startswith(remedy)
    assert "wrong" not in found.value


def test_a_server_that_is_too_old_is_a_problem(broker_server: BrokerServer, tmp_path, monkeypatch):
    monkeypatch.setattr("workers.broker_server.OLDEST", (99, 0))
    assert "names a Redis " in loud(iter(of_broker(tmp_path, broker_server.url)), "version")[0]


def test_the_embedded_broker_is_found_while_it_runs(short_folder):
    (short_folder / "data").mkdir(mode=0o700)
    with EmbeddedBroker(short_folder / "data").running():
        done = run("doctor", folder=short_folder, COLUMNS="200")
    assert re.search(r"^  ok +broker +the socket .*/data/broker/valkey\.sock answers in", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^  ok +process +the embedded broker's launcher, process \d+, jarvis ", done.stdout, re.MULTILINE)


def test_without_a_broker_nothing_is_checked_and_said_how_to_start_one(tmp_path):
    [found] = broker.look(case(tmp_path), settings_of(tmp_path))
    assert found.level == Level.NOT_CHECKED
    assert found.remedy.startswith("start `jarvis up`")


def test_a_tls_file_that_is_missing_is_named(tmp_path):
    [found] = of_broker(tmp_path, "rediss://localhost:1/0?ssl_ca_certs=/no/such/ca.crt")
    assert found.level == Level.PROBLEM
    assert "/no/such/ca.crt" in found.value


@pytest.fixture
def guarded(broker_server: BrokerServer) -> BrokerServer:
    """A server with the users that are shipped."""
    with broker_server.client() as client:
        for line in USERS.read_text().splitlines()[1:]:
            client.execute_command("ACL", "SETUSER", *re.sub(r"#\{\w+\}", ">secret", line).split()[1:])
    return broker_server


def test_the_rights_that_are_shipped_suffice_for_the_doctor(guarded: BrokerServer, books):
    found = of_broker(books, guarded.url.replace("unix://", "unix://worker:secret@"))
    assert [d for d in found if d.level != Level.OK] == []


def test_what_is_tried_is_what_a_worker_is_granted():
    worker = next(line for line in USERS.read_text().splitlines() if line.startswith("user worker"))
    assert {*TRIED, *NOT_TRIED} == {word[1:] for word in worker.split() if word.startswith("+")}
    assert not {*TRIED} & {*NOT_TRIED}


@pytest.mark.parametrize("command", TRIED)
def test_each_right_that_is_missing_is_found(guarded: BrokerServer, command):
    with guarded.client() as admin:
        admin.execute_command("ACL", "SETUSER", "worker", f"-{command}")
        with redis.Redis(unix_socket_path=str(guarded.socket), username="worker", password="secret") as client:
            assert [*broker.refused_rights(client, "dramatiq")] == [command]
        assert admin.dbsize() == 0


def test_another_namespace_than_the_one_that_is_granted_is_a_problem(guarded: BrokerServer, books):
    found = of_broker(books, guarded.url.replace("unix://", "unix://worker:secret@"), namespace="other")
    assert loud(iter(found), "rights")[0].endswith("in the namespace 'other'")


def test_messages_that_go_to_other_books_are_a_problem(broker_server: BrokerServer, books):
    with broker_server.client() as client:
        NamespaceBooks(client, "dramatiq", "there:/data").claim("theirs")
    assert "go to the books theirs (at there:/data)" in loud(iter(of_broker(books, broker_server.url)), "whose messages")[0]
    with broker_server.client() as client, peeked(books / "b.db") as connection:
        NamespaceBooks(client, "dramatiq", "here:/data").take_over(book_id(connection))
    assert of("whose messages", iter(of_broker(books, broker_server.url))).value == "those of 'dramatiq' go to these books"


def test_a_worker_of_another_program_is_a_problem(broker_server: BrokerServer, books):
    with broker_server.client() as client:
        client.zadd("dramatiq:__heartbeats__", {"other-make": client.time()[0] * 1000})
        client.sadd("dramatiq:__acks__.other-make.fills", "x")
    assert "another program (other-make) is at work on fills" in loud(iter(of_broker(books, broker_server.url)), "other programs")[0]


def test_a_worker_of_this_name_elsewhere_is_a_problem(broker_server: BrokerServer, books):
    home = home_of(books)
    with broker_server.client() as client:
        client.set("dramatiq:__alive__.jarvis-worker", home)
        assert loud(iter(of_broker(books, broker_server.url)), "worker's name") == []
        client.set("dramatiq:__alive__.jarvis-worker", "somebody there:/data")
    assert loud(iter(of_broker(books, broker_server.url)), "worker's name") == ["a worker named 'worker' is at work on this broker from there:/data"]


def test_a_slow_way_and_a_wrong_clock_are_warnings(broker_server: BrokerServer, books, monkeypatch):
    monkeypatch.setattr(broker, "SLOW_MS", 0.0)
    assert re.search(r"answers in [\d.]+ ms$", loud(iter(of_broker(books, broker_server.url)), "broker")[0])
    real = instants.now
    monkeypatch.setattr(instants, "now", lambda: real() - 300_000_000)
    assert loud(iter(of_broker(books, broker_server.url)), "broker's clock") == ["300 s ahead of this machine's"]


# -- certificates ------------------------------------------------------------------------------------------------------------


def certified(folder: Path, days: int) -> tuple[Path, Path]:
    """A certificate of its own authority and its key."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", str(days), "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@contextmanager
def speaking_tls(certificate: Path, key: Path) -> Iterator[int]:
    """A port of this machine that shows a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("localhost", 0)) as listening:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with suppress(OSError), context.wrap_socket(connection, server_side=True):
                        pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@needs_openssl
@pytest.mark.parametrize(("later", "level"), [(0, Level.OK), (350, Level.WARNING), (400, Level.PROBLEM)])
def test_certificates_that_end_soon_are_told_before_they_do(tmp_path, later, level):
    certificate, key = certified(tmp_path, 365)
    now = to_instant(datetime.now(UTC) + timedelta(days=later))
    with speaking_tls(certificate, key) as port:
        found = [*certificates.look(read_address(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"), now)]
    assert [d.level for d in found] == [level, level]
    assert [d.value.split(" ")[0] for d in found] == ["the", str(certificate)]


def test_a_server_that_shows_no_certificate_is_not_checked():
    [found] = certificates.look(read_address("rediss://localhost:1/0"), instants.now())
    assert found.level == Level.NOT_CHECKED


@needs_openssl
def test_the_end_of_a_certificate_is_what_openssl_says(tmp_path):
    for days in (1, 365, 20_000):  # the last one is written with four digits of the year
        certificate, _ = certified(tmp_path, days)
        said = subprocess.run(["openssl", "x509", "-enddate", "-noout", "-in", certificate], capture_output=True, text=True, check=True).stdout
        end = datetime.strptime(said.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        assert certificates.end_of(ssl.PEM_cert_to_DER_cert(certificate.read_text())) == end


# -- secrets -----------------------------------------------------------------------------------------------------------------


def of_secrets(folder: Path) -> list[str]:
    found = case_of(folder, instants.now(), named=True, root=folder / "root")
    assert found.settings is not None, found.problems
    return loud(secrets.look(found, found.settings), "password", "private key")


def test_a_file_with_a_password_that_others_can_read_is_a_problem(tmp_path):
    (tmp_path / "workers.yaml").write_text("broker: {url: 'unix://:hunter2@/run/s'}\n")
    (tmp_path / "workers.yaml").chmod(0o644)
    assert of_secrets(tmp_path) == [f"{tmp_path / 'workers.yaml'} holds a password and can be read by others"]
    (tmp_path / "workers.yaml").chmod(0o600)
    assert of_secrets(tmp_path) == []


def test_a_password_in_the_environment_is_a_warning_unless_the_wrapper_put_it_there(tmp_path, monkeypatch):
    monkeypatch.setenv("JARVIS_BROKER__URL", "unix://:hunter2@/run/s")
    assert of_secrets(tmp_path) == ["it stands in the variable JARVIS_BROKER__URL"]
    units = tmp_path / "root" / "etc" / "systemd" / "system"
    (units / "jarvis-worker.service.d").mkdir(parents=True)
    (units / "jarvis-worker.service").write_text("[Service]\nExecStart=/opt/jarvis/bin/jarvis worker run\n")
    (units / "jarvis-worker.service.d" / "50-redis.conf").write_text("[Service]\nLoadCredential=broker-url:/etc/jarvis/broker-url\n")
    assert of_secrets(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:x@redis.example.com/0", True), ("redis://:x@127.0.0.1/0", False), ("redis://redis.example.com/0", False),
        ("rediss://:x@redis.example.com/0", False),
    ],
)  # fmt: skip
def test_a_password_that_travels_in_the_clear_is_a_warning(tmp_path, url, told):
    (tmp_path / "url").write_text(url)
    (tmp_path / "url").chmod(0o600)
    (tmp_path / "workers.yaml").write_text(f"broker: {{url_file: {tmp_path / 'url'}}}\n")
    assert of_secrets(tmp_path) == (["it goes to redis.example.com without TLS"] if told else [])


def test_a_private_key_that_all_can_read_is_a_problem(tmp_path):
    for name in ("c.crt", "c.key"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "url").write_text(f"rediss://redis.example.com/0?ssl_certfile={tmp_path}/c.crt&ssl_keyfile={tmp_path}/c.key")
    (tmp_path / "url").chmod(0o600)
    (tmp_path / "workers.yaml").write_text(f"broker: {{url_file: {tmp_path / 'url'}}}\n")
    assert of_secrets(tmp_path) == []
    (tmp_path / "c.key").chmod(0o644)
    assert of_secrets(tmp_path) == [f"{tmp_path}/c.key has mode 644"]


# -- processes ---------------------------------------------------------------------------------------------------------------


def test_a_process_of_an_older_version_is_to_be_restarted(books, monkeypatch):
    settings = settings_of(books)
    assert of("processes", running.look(case(books), settings)).value == f"none runs over {books}"
    with locked_file(books / "scheduler.lock", "scheduler"):
        assert loud(running.look(case(books), settings)) == []
        monkeypatch.setattr("persistence.holders.program_version", lambda: "0.0.9")
        descriptor = os.open(books / "scheduler.lock", os.O_RDWR)
        note_holder(descriptor, "scheduler")
        os.close(descriptor)
        assert loud(running.look(case(books), settings)) == [f"scheduler, process {os.getpid()} is jarvis 0.0.9"]
        (books / "scheduler.lock").write_text("{}")
        assert of("process", running.look(case(books), settings)).level == Level.NOT_CHECKED


def test_books_that_are_not_there_are_said_to_be_missing(tmp_path):
    with pytest.raises(Unavailable, match="does not exist"), peeked(tmp_path / "b.db"):
        pass
