"""Who holds a lock, found by the lock itself. A number that somebody wrote down may mean another process by now, and in another
container it always does; so no signal goes to one that is not proved to be the holder at that very moment."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from persistence.program import program_version


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it is numbered here, told from a later one of the same number by when it started."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """None where it has ended, or where there is no /proc to tell."""
        stat = _stat(pid)
        return cls(pid, stat[2]) if stat else None

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that ended and waits to be reaped does not."""
        stat = _stat(self.pid)
        return stat is not None and stat[2] == self.started

    @property
    def since(self) -> int | None:
        """The instant of its start, to the second; None where there is no /proc to tell."""
        with suppress(OSError, ValueError, StopIteration):
            booted = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
            return (booted + self.started // os.sysconf("SC_CLK_TCK")) * 1_000_000
        return None

    @property
    def parent(self) -> int | None:
        stat = _stat(self.pid)
        return stat[1] if stat and stat[2] == self.started else None

    @property
    def here(self) -> bool:
        """Whether it numbers processes as we do: one in a container does not, though it is seen from outside."""
        return _namespace(self.pid) == _namespace()

    def variable(self, name: str) -> str | None:
        """A variable of the environment it was started with; None also where we may not look."""
        with suppress(OSError):
            for pair in Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0"):
                key, _, value = pair.partition(b"=")
                if key == name.encode():
                    return value.decode(errors="replace")
        return None

    def signal(self, number: int) -> None:
        """Nothing happens where it has ended. Raises `PermissionError` where it is another user's."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. `process` is set only where it is proved; `going` where it has said that it is about to end."""

    says: str
    process: Process | None = None
    going: bool = False
    #: The version of the program that took it, as it noted; None where it did not.
    version: str | None = None

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, slots=True)
class Noted:
    """What the holder of a lock wrote into its file, for people."""

    holder: str
    pid: int | None
    started: int | None
    host: str | None
    version: str | None
    going: bool
    here: bool
    """Whether it numbers processes as we do."""

    @property
    def process(self) -> Process | None:
        """The process of that number that started when it says; None where that one has ended, or cannot be seen from here."""
        process = Process.of(self.pid) if self.here and self.pid is not None else None
        return process if process is not None and process.started == self.started else None


def noted_holder(path: str | Path) -> Noted | None:
    """What is noted in a lock's file, whether or not somebody holds it: who lets go wipes it, who is killed leaves it. Touches no lock."""
    noted = _noted(path)
    if not isinstance(noted.get("holder"), str):
        return None
    whole = {name: value if isinstance(value := noted.get(name), int) else None for name in ("pid", "started")}
    texts = {name: value if isinstance(value := noted.get(name), str) else None for name in ("host", "version")}
    return Noted(
        noted["holder"], whole["pid"], whole["started"], texts["host"], texts["version"], bool(noted.get("going")), noted.get("namespace") == _namespace()
    )


def sees_locks() -> bool:
    """Whether the kernel's table of locks can be read here; ProcSubset=pid of a hardened service hides it."""
    return os.access("/proc/locks", os.R_OK)


def in_lock_table(path: str | Path) -> bool:
    """Whether the kernel's table has a lock on this file. It shows those of our own pid namespace; False where there is no table."""
    try:
        wanted, table = os.stat(path), Path("/proc/locks").read_text()
    except OSError:
        return False
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK":
            major, minor, inode = fields[5].split(":")
            if (os.makedev(int(major, 16), int(minor, 16)), int(inode)) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def holder_of(path: str | Path) -> Holder:
    """Who holds this lock, for a lock that was found to be held."""
    noted = _noted(path)
    name, pid = noted.get("holder") or "another process", noted.get("pid")
    ours = noted.get("namespace") == _namespace()
    found = _by_descriptor(path)
    process = next((p for p in found if ours and p.pid == pid), found[0] if found else None)
    if process is None and ours and isinstance(pid, int):
        # Whose descriptors we may not read is still known by what it noted, as long as it started when it says.
        process = next((p for p in [Process.of(pid)] if p and p.started == noted.get("started")), None)
    if process is not None:
        says = f"{name}, process {process.pid}"
    elif pid is None:
        says = name
    elif ours:
        says = f"{name}, by its own word process {pid}"
    else:
        says = f"{name}, process {pid} on host {noted.get('host')}, in another container or pid namespace"
    version = noted.get("version")
    return Holder(says, process, bool(noted.get("going")), version if isinstance(version, str) else None)


def holders_of(path: str | Path) -> list[Process]:
    """Every process that has this lock by an inherited descriptor or its own, the eldest first; as far as we may look."""
    return _by_descriptor(path)


def note_holder(descriptor: int, holder: str, *, pid: int | None = None, going: bool = False) -> None:
    """Write into a lock's file who holds it, for people and for `holder_of`. On a full disk they go without."""
    pid = pid or os.getpid()
    process = Process.of(pid)
    noted = {"holder": holder, "pid": pid, "started": process.started if process else None, "namespace": _namespace(), "host": platform.node()}
    noted["version"] = program_version()
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({**noted, "going": True} if going else noted).encode(), 0)


def note_going(path: str | Path) -> None:
    """Note in the file of a lock which this process holds that it will be free soon, so that a successor waits for it."""
    noted = _noted(path)
    if noted.get("pid") != os.getpid() or noted.get("namespace") != _namespace():
        return
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            note_holder(descriptor, str(noted.get("holder")), going=True)
        finally:
            os.close(descriptor)


def _noted(path: str | Path) -> dict[str, Any]:
    try:
        noted = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _by_descriptor(path: str | Path) -> list[Process]:
    try:
        wanted = os.stat(path)
    except OSError:
        return []
    found = []
    for name in _names("/proc"):
        if name.isdecimal() and any(_locks(name, number, wanted) for number in _names(f"/proc/{name}/fd")):
            process = Process.of(int(name))
            if process is not None:
                found.append(process)
    return sorted(found, key=lambda p: (p.started, p.pid))


def _locks(pid: str, number: str, wanted: os.stat_result) -> bool:
    """Whether a lock on this file is held through this descriptor; the kernel lists it there."""
    try:
        if "FLOCK" not in Path(f"/proc/{pid}/fdinfo/{number}").read_text():
            return False
        # Asked of few descriptors only: one on a network that is gone would hang.
        file = os.stat(f"/proc/{pid}/fd/{number}")
    except OSError:
        return False
    return (file.st_dev, file.st_ino) == (wanted.st_dev, wanted.st_ino)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _namespace(pid: int | str = "self") -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int, int] | None:
    """(state, parent, when it started) of a process that has not ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name before the bracket may hold anything, brackets too.
    fields = text.rpartition(")")[2].split()
    # Of a process of several threads the first may have ended while another one still holds its files and its locks.
    has_ended = fields[0] in "ZX" and int(fields[17]) < 2
    return None if has_ended else (fields[0], int(fields[1]), int(fields[19]))
