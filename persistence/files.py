"""Names, owners and locks in folders: what makes a rename durable, whom a new file belongs to, what lets one process in at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from persistence.domain.errors import HeldElsewhere


def fsync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable: a rename is not until then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def same_owner(made: str | Path | int, beside: str | Path) -> None:
    """Give what root has made (a path, or an open file) the owner of what it lies beside. A command that root runs over the books of
    another user must not lock that user out."""
    if os.geteuid() == 0:
        status = os.stat(beside)
        if isinstance(made, int):
            os.fchown(made, status.st_uid, status.st_gid)
        else:
            os.chown(made, status.st_uid, status.st_gid, follow_symlinks=False)


def make_folder(path: str | Path) -> None:
    """A folder for its owner alone, and those above it where they are missing; each belongs to whom the one above belongs to."""
    folder = Path(path).absolute()
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        same_owner(folder, folder.parent)


def make_file(path: str | Path, *, beside: str | Path | None = None) -> int:
    """A new file for its owner alone, open for reading and writing. It belongs to whom its folder belongs to, or what it lies `beside`.

    Raises `FileExistsError` where there is one: what root makes is never something that another user put there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        same_owner(descriptor, beside if beside is not None and os.path.exists(beside) else Path(path).absolute().parent)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_or_make(path: str | Path, *, beside: str | Path | None = None) -> int:
    """The same for a file that may be there already; then it stays whose it is."""
    try:
        return make_file(path, beside=beside)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def locked_file(path: str | Path, holder: str, *, beside: str | Path | None = None) -> Iterator[None]:
    """Hold an exclusive lock on a file for the length of a block; the kernel frees it if the process dies.

    Raises `HeldElsewhere`, naming who holds it, where another process does. A new file belongs to whom what it lies `beside` belongs to,
    without one its folder.
    """
    make_folder(Path(path).absolute().parent)
    descriptor = open_or_make(path, beside=beside)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, _, other = os.read(descriptor, 200).decode(errors="replace").strip().partition(" ")
            known = int(pid) if pid.isdecimal() else None
            who = f"{other}, process {known}" if known is not None else "another process"
            raise HeldElsewhere(f"{path} is held by {who}; stop it first, or use another folder or name", pid=known) from None
        with suppress(OSError):  # who holds it is for people; on a full disk they go without
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {holder}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_folder(folder: Path, doing: str) -> Iterator[None]:
    """Hold an exclusive lock on a folder for the length of a block; without one where the file system knows none for folders.

    Raises `HeldElsewhere`, saying what another process is `doing`.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldElsewhere(f"{folder}: {doing}; try again when it is done") from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def replaced(path: str | Path, *, of_the_caller: bool = False) -> Iterator[IO[bytes]]:
    """An open file that takes the place of `path` when the block ends, whole and fsynced; if the block raises, nothing has changed.

    Readable by its owner alone, whom its folder belongs to; `of_the_caller`: who runs this. A link is replaced, not followed.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    remove(partial)
    descriptor = make_file(partial)
    try:
        if of_the_caller and os.geteuid() == 0:
            os.fchown(descriptor, 0, os.getegid())
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.replace(partial, target)
    except BaseException:
        remove(partial)
        raise
    fsync_folder(target.absolute().parent)


def remove(path: str | Path) -> None:
    """Remove a file that may not be there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


@contextmanager
def scratch_folder(parent: str | Path, what: str) -> Iterator[Path]:
    """A folder for the length of a block. Those of processes that were killed are removed first: they may hold whole copies."""
    for left in Path(parent).glob(f".{what}-*-*"):
        owner = left.name.split("-")[1]
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{what}-{os.getpid()}-") as folder:
        # Of a process that root started and that was killed, the daemon's user clears it away.
        same_owner(folder, parent)
        yield Path(folder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
