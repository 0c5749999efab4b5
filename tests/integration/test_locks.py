"""Who holds a lock is found by the lock: no signal goes to a number that a file names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from parts import wait_until

from jarvis.embedded_broker import EmbeddedBroker, server_binary
from jarvis.predecessors import wait_for_predecessor
from jarvis.restoring import stop_holders
from jarvis_client.contract.errors import HeldElsewhere
from persistence.files import is_locked, locked_file, scratch_folder
from persistence.holders import Process, holder_of, holders_of, note_going

#: Holds a lock of ours until a line or a SIGTERM comes.
HOLD = "import sys; from persistence.files import locked_file\nwith locked_file(sys.argv[1], sys.argv[2]): print('held', flush=True); sys.stdin.readline()"

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode != 0,
    reason="this user may not make a pid namespace",
)


@contextmanager
def process(*command: str, **options):
    """A process that is there once it has said a line; ended at the end."""
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    try:
        assert running.stdout.readline()
        yield running
    finally:
        running.kill()
        running.communicate()


def holding(lock: Path, what: str = "scheduler", **variables: str):
    return process(sys.executable, "-c", HOLD, str(lock), what, env={**os.environ, **variables})


@pytest.fixture
def stranger():
    """A process that has nothing to do with us."""
    with process("sh", "-c", "echo up; exec sleep 60") as running:
        yield running


CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--uts", "--kill-child")


def test_the_holder_is_found_by_its_lock_whatever_number_the_file_names(tmp_path, stranger):
    lock = tmp_path / "scheduler.lock"
    with holding(lock) as holder:
        noted = json.loads(lock.read_text())
        lock.write_text(json.dumps({**noted, "pid": stranger.pid}))
        assert holder_of(lock).process.pid == holder.pid
        stop_holders(tmp_path)
        assert holder.wait(10) == -signal.SIGTERM
        assert stranger.poll() is None


def test_an_empty_file_names_its_holder_all_the_same(tmp_path):
    """What a full disk leaves."""
    lock = tmp_path / "scheduler.lock"
    with holding(lock) as holder:
        lock.write_text("")
        assert holder_of(lock).process.pid == holder.pid


def test_a_lock_that_nobody_holds_has_no_holder(tmp_path, stranger):
    lock = tmp_path / "scheduler.lock"
    with holding(lock):
        noted = json.loads(lock.read_text())
    lock.write_text(json.dumps({**noted, "pid": stranger.pid, "started": 1}))
    assert not is_locked(lock)
    assert (holder_of(lock).process, holders_of(lock)) == (None, [])


@needs_namespaces
def test_a_holder_in_another_container_is_named_and_nobody_is_signalled(short_folder):
    """Where the lock says process 2, and our process 2 is somebody else."""
    lock = short_folder / "scheduler.lock"
    asking = (
        "import subprocess, sys; from pathlib import Path; from jarvis.restoring import stop_holders\n"
        "others = [subprocess.Popen(['sleep', '60']) for _ in range(8)]\n"
        "try: stop_holders(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print([o.poll() for o in others])\n"
        "[o.kill() for o in others]"
    )
    holds = HOLD.replace("sys.stdin.readline()", "import time; time.sleep(60)")
    with process(*CONTAINER, "sh", "-c", 'hostname box; "$@" & wait', "sh", sys.executable, "-c", holds, str(lock), "scheduler") as holder:
        assert json.loads(lock.read_text())["pid"] < 20
        began = time.monotonic()
        done = subprocess.run([*CONTAINER, sys.executable, "-c", asking, str(short_folder)], capture_output=True, text=True, check=False, timeout=30)
        assert "HeldElsewhere" in done.stdout, done.stderr
        assert "on host box, in another container or pid namespace, which --stop cannot ask from here" in done.stdout
        assert str([None] * 8) in done.stdout
        assert time.monotonic() - began < 20
        assert is_locked(lock)
        # From outside, the holder is seen and proved, and then it is asked.
        stop_holders(short_folder)
        assert not is_locked(lock)
        holder.kill()


def test_who_belongs_to_another_user_is_named_instead_of_waited_for(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError

    with holding(tmp_path / "scheduler.lock") as holder:
        monkeypatch.setattr(Process, "signal", refused)
        with pytest.raises(HeldElsewhere, match=f"scheduler, process {holder.pid}, which belongs to another user"):
            stop_holders(tmp_path)


#: Its first thread ends at once, as that of a server may before the others; the second one ends it.
OUTLIVED_BY_A_THREAD = """
import ctypes, os, platform, sys, threading
threading.Thread(target=lambda: (sys.stdin.readline(), os._exit(0))).start()
print(flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""


def test_a_process_whose_first_thread_has_ended_is_alive_until_all_have():
    with subprocess.Popen([sys.executable, "-c", OUTLIVED_BY_A_THREAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        process = Process.of(child.pid)
        child.stdout.readline()
        wait_until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "its first thread has ended")
        assert process.alive
        child.stdin.close()
        wait_until(lambda: not process.alive, "the others have, too")


def test_a_zombie_is_not_alive():
    child = subprocess.Popen(["sh", "-c", "read line"], stdin=subprocess.PIPE)
    process = Process.of(child.pid)
    assert process.alive
    child.stdin.close()
    wait_until(lambda: os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG), "it has ended, unburied")
    os.kill(child.pid, 0)
    assert not process.alive
    assert Process.of(child.pid) is None
    child.wait()


def test_a_later_process_of_the_same_number_is_another(stranger):
    true = Process.of(stranger.pid)
    earlier = Process(stranger.pid, true.started - 1)
    assert not earlier.alive
    earlier.signal(signal.SIGKILL)
    assert stranger.poll() is None


def test_a_start_waits_for_one_that_drains_and_refuses_beside_one_that_stays(tmp_path):
    lock = tmp_path / "scheduler.lock"
    looks = []

    def stopped(_seconds):
        looks.append(1)
        if len(looks) == 3:
            holder.communicate(b"\n")
        return False

    with holding(lock) as holder:
        with pytest.raises(HeldElsewhere, match=f"held by scheduler, process {holder.pid}; stop it first"):
            wait_for_predecessor([lock], stopped)
        noted = json.loads(lock.read_text())
        lock.write_text(json.dumps({**noted, "going": True}))
        wait_for_predecessor([lock], stopped)
    assert len(looks) == 3


def test_one_whose_supervisor_was_killed_is_waited_for_before_it_has_noticed(tmp_path):
    lock = tmp_path / "scheduler.lock"
    with holding(lock, JARVIS_SUPERVISOR=str(os.getpid())), pytest.raises(HeldElsewhere, match="stop it first"):
        wait_for_predecessor([lock], lambda _: False)
    with holding(lock, JARVIS_SUPERVISOR="99999999"):
        assert not wait_for_predecessor([lock], lambda _: True), "it waits until it is stopped itself"
    assert wait_for_predecessor([lock], lambda _: True)


def test_one_that_does_not_end_in_time_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("jarvis.predecessors.PATIENCE_SECONDS", 0.2)
    told = pytest.raises(HeldElsewhere, match=r"process \d+, which has been told to end and has not in .* end it by `kill -9`")
    with holding(tmp_path / "scheduler.lock", JARVIS_SUPERVISOR="99999999"), told:
        wait_for_predecessor([tmp_path / "scheduler.lock"], lambda _: time.sleep(0.05))


def test_only_the_holder_notes_that_it_is_going(tmp_path):
    lock = tmp_path / "scheduler.lock"
    with holding(lock):
        note_going(lock)
        assert not holder_of(lock).going
    with locked_file(lock, "this one"):
        note_going(lock)
        assert holder_of(lock).going
    with locked_file(lock, "the next"):
        assert not holder_of(lock).going


def test_a_scratch_folder_lives_as_long_as_its_owner_whatever_its_number(tmp_path):
    owner = "import sys; from persistence.files import scratch_folder\nwith scratch_folder(sys.argv[1], 'copy') as f: (f / 'copy.db').write_text('x'); print(f, flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", owner, str(tmp_path)]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    theirs = Path(running.stdout.readline().strip())
    with scratch_folder(tmp_path, "copy") as ours:
        assert (theirs / "copy.db").exists()
        assert ours != theirs
    running.kill()
    running.communicate()
    assert (theirs / "copy.db").exists()
    with scratch_folder(tmp_path, "copy"):
        assert not theirs.exists(), "what a killed owner left is removed"
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_half_removed_goes_too_and_a_link_is_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    for folder in (kept, tmp_path / ".copy-half"):
        folder.mkdir(exist_ok=True)
        (folder / ".lock").touch()
        (folder / "inner").mkdir()
        (folder / "inner" / "file").touch()
    (tmp_path / ".copy-empty").mkdir()
    (tmp_path / ".copy-link").symlink_to(kept)
    with scratch_folder(tmp_path, "copy"):
        assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".copy-")} == {"kept"}
        assert not (tmp_path / ".copy-half").exists()
        assert not (tmp_path / ".copy-empty").exists()
    assert (kept / "inner" / "file").exists()


# -- the embedded broker ---------------------------------------------------------------------------------------------------


LAUNCH = "import sys; from pathlib import Path; from jarvis.embedded_broker import EmbeddedBroker\nb = EmbeddedBroker(Path(sys.argv[1]))\nwith b.running(): print(b.pid, flush=True); sys.stdin.readline()"


@pytest.fixture
def orphan(short_folder: Path):
    """A server over the folder whose starter was killed."""
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCH, str(short_folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    server = Process.of(int(launcher.stdout.readline()))
    launcher.kill()
    launcher.communicate()
    yield server
    server.signal(signal.SIGKILL)


def writers(folder: Path) -> list[int]:
    """Processes that have the append-only file open."""
    [file] = (folder / "broker" / "appendonlydir").glob("*.incr.aof")
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if any(os.path.realpath(f"/proc/{pid}/fd/{n}") == str(file.resolve()) for n in os.listdir(f"/proc/{pid}/fd")):
                found.append(int(pid))
        except OSError:
            continue
    return found


def test_a_server_that_lost_its_starter_is_gone_on_with(short_folder, orphan):
    broker = EmbeddedBroker(short_folder)
    with broker.running():
        assert broker.pid == orphan.pid
        assert broker.runs
    assert not orphan.alive
    assert not is_locked(broker.lock)


def test_a_silent_server_that_lost_its_starter_is_found_without_ps_and_never_doubled(short_folder, orphan, monkeypatch):
    orphan.signal(signal.SIGSTOP)
    monkeypatch.setenv("PATH", str(short_folder))
    monkeypatch.setattr("jarvis.embedded_broker.END_SECONDS", 0.3)
    broker = EmbeddedBroker(short_folder)
    with broker.running():
        assert not orphan.alive
        assert broker.pid != orphan.pid
        assert writers(short_folder) == [broker.pid]


def test_the_server_of_another_folder_is_left_alone_whatever_number_stands_here(short_folder, tmp_path):
    others = EmbeddedBroker(short_folder / "b")
    with others.running():
        mine = short_folder / "a"
        (mine / "broker").mkdir(parents=True)
        shutil.copy(others.lock, mine / "broker" / "server.lock")
        (mine / "broker.json").write_text(json.dumps({"url": f"unix://{mine}/broker/valkey.sock", "pid": others.pid}))
        with EmbeddedBroker(mine).running():
            pass
        assert others.runs
        assert others.alive


def test_a_server_of_another_make_over_our_socket_is_not_doubled(short_folder):
    broker = EmbeddedBroker(short_folder)
    with broker.running():
        pass
    stray = subprocess.Popen(
        [server_binary(), "--port", "0", "--unixsocket", str(broker.socket), "--dir", str(broker.folder), "--appendonly", "yes"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: broker.alive, "it answers")
        with pytest.raises(HeldElsewhere, match="a server that we did not start"), broker.running():
            pass
        assert stray.poll() is None
        assert writers(short_folder) == [stray.pid]
    finally:
        stray.kill()
        stray.wait()


def test_a_second_launcher_is_told_who_is_the_first(short_folder):
    first, second = EmbeddedBroker(short_folder), EmbeddedBroker(short_folder)
    told = pytest.raises(HeldElsewhere, match=f"the embedded broker's launcher, process {os.getpid()}")
    with first.running(), told, second.running():
        pass


def test_everything_of_the_broker_is_private_whatever_the_umask(short_folder):
    folder = short_folder / "data"
    before = os.umask(0)
    try:
        with EmbeddedBroker(folder).running() as url:
            redis.Redis.from_url(url).set("x", 1)
    finally:
        os.umask(before)
    open_to_others = [str(p) for p in [folder, *folder.rglob("*")] if p.stat().st_mode & 0o077]
    assert open_to_others == []
    assert (folder / "broker" / "valkey.log").stat().st_mode & 0o777 == 0o600
