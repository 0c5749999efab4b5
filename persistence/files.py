"""Names and locks in folders: what makes a rename durable, and what lets one process in at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from persistence.domain.errors import HeldElsewhere, WrongFolder


def fsync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable: a rename is not until then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


#: Below the working directory everything of a fresh installation lies in here; so this one is made with what it holds.
OWN_FOLDER = Path("data")


def make_last_folder(folder: str | Path) -> None:
    """Make a folder that is missing, but none of those above it: where they are missing, a disk may be.

    Raises `WrongFolder`, naming the first one that is not there.
    """
    path = Path(folder)
    if path.parent == OWN_FOLDER:
        OWN_FOLDER.mkdir(exist_ok=True, mode=0o700)
    try:
        path.absolute().mkdir(exist_ok=True, mode=0o700)
    except FileNotFoundError:
        above = nearest_folder(path)
        missing = above / path.absolute().relative_to(above).parts[0]
        raise WrongFolder(
            f"{path} cannot be made: {missing} does not exist. Is its disk mounted, and is the path right? Only the last folder of a path is ever made; "
            f"if it is right, make those above it yourself: mkdir -p {path.absolute().parent}"
        ) from None


def nearest_folder(path: str | Path) -> Path:
    """The first folder above a path that is there."""
    return next(folder for folder in Path(path).absolute().parents if folder.is_dir())


@contextmanager
def locked_file(path: str | Path, holder: str) -> Iterator[None]:
    """Hold an exclusive lock on a file for the length of a block; the kernel frees it if the process dies.

    Raises `HeldElsewhere`, naming who holds it, where another process does.
    """
    make_last_folder(Path(path).parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
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
def replaced(path: str | Path) -> Iterator[IO[bytes]]:
    """An open file that takes the place of `path` when the block ends, whole and fsynced; if the block raises, nothing has changed.

    Readable by its owner alone. A link is replaced, not followed.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    remove(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
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
        yield Path(folder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
