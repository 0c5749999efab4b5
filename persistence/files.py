"""Names, owners and locks in folders: what makes a rename durable, whom a new file belongs to, what lets one process in at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO

from jarvis_client.contract.errors import HeldElsewhere
from persistence.domain.errors import WrongFolder
from persistence.holders import holder_of, in_lock_table, note_holder, noted_holder, sees_locks


def fsync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable: a rename is not until then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


#: Below the working directory everything of a fresh installation lies in here; so this one is made with what it holds.
OWN_FOLDER = Path("data")


def same_owner(made: str | Path | int, beside: str | Path) -> None:
    """Give what root has made (a path, or an open file) the owner of what it lies beside. A command that root runs over the books of
    another user must not lock that user out."""
    if os.geteuid() == 0:
        status = os.stat(beside)
        if isinstance(made, int):
            os.fchown(made, status.st_uid, status.st_gid)
        else:
            os.chown(made, status.st_uid, status.st_gid, follow_symlinks=False)


def make_last_folder(folder: str | Path) -> None:
    """Make a folder that is missing, for its owner alone, but none of those above it: where they are missing, a disk may be. It belongs to
    whom the one above belongs to.

    Raises `WrongFolder`, naming the first one that is not there.
    """
    path = Path(folder)
    if path.parent == OWN_FOLDER:
        _make(OWN_FOLDER.absolute())
    try:
        _make(path.absolute())
    except FileNotFoundError:
        raise _cannot_be_made(path) from None


def refuse_to_make(folder: str | Path) -> None:
    """Raises `WrongFolder` where `make_last_folder` would; makes nothing."""
    path = Path(folder)
    if path.parent != OWN_FOLDER and not path.absolute().parent.is_dir():
        raise _cannot_be_made(path)


def _cannot_be_made(path: Path) -> WrongFolder:
    above = nearest_folder(path)
    missing = above / path.absolute().relative_to(above).parts[0]
    return WrongFolder(
        f"{path} cannot be made: {missing} does not exist. Is its disk mounted, and is the path right? Only the last folder of a path is ever made; "
        f"if it is right, make those above it yourself: mkdir -p {path.absolute().parent}"
    )


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        same_owner(path, path.parent)


def nearest_folder(path: str | Path) -> Path:
    """The first folder above a path that is there."""
    return next(folder for folder in Path(path).absolute().parents if folder.is_dir())


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
    make_last_folder(Path(path).parent)
    descriptor = open_or_make(path, beside=beside)
    try:
        if not try_lock(descriptor):
            raise HeldElsewhere(f"{path} is held by {holder_of(path)}; stop it first, or use another folder or name", lock=Path(path))
        note_holder(descriptor, holder)
        yield
        # Who let go is not taken for the next holder before that one has noted itself.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock on an open file, unless somebody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: str | Path) -> bool:
    """Whether somebody holds this lock at the moment."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def is_seen_locked(path: str | Path) -> bool:
    """The same, told without taking the lock, so that who looks every few seconds is in nobody's way. It is tried only where who noted itself
    in its file cannot be seen from here: in another pid namespace, or from a service that is shown no table of locks."""
    if in_lock_table(path):
        return True
    noted = noted_holder(path)
    if noted is None:
        return False
    return noted.process is not None if noted.here and sees_locks() else is_locked(path)


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

    Readable by its owner alone, whom its folder belongs to; `of_the_caller`: who runs this. A link is replaced, not followed. Where several
    replace one file at a time, the last one to end wins.
    """
    target = Path(path)
    for left in target.parent.glob(f".{escape(target.name)}.*{_PARTIAL}"):
        _remove_partial(left)
    descriptor, partial = _partial_of(target)
    try:
        with open(descriptor, "wb") as file:
            if of_the_caller and os.geteuid() == 0:
                os.fchown(descriptor, 0, os.getegid())
            yield file
            file.flush()
            os.fsync(descriptor)
            os.replace(partial, target)
    except BaseException:
        remove(partial)
        raise
    fsync_folder(target.absolute().parent)


#: What the name of a file ends with that is still being written, locked by whoever writes it.
_PARTIAL = ".partial"


def _partial_of(target: Path) -> tuple[int, Path]:
    while True:
        partial = target.with_name(f".{target.name}.{os.urandom(4).hex()}{_PARTIAL}")
        descriptor = make_file(partial)
        # Between its making and its locking another process may take it for abandoned, and we make another.
        if _is_ours(descriptor, partial):
            return descriptor, partial
        os.close(descriptor)


def _remove_partial(left: Path) -> None:
    """Remove what a process that was killed has left of a file, unless somebody is at it."""
    with suppress(OSError):
        descriptor = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if try_lock(descriptor):
                remove(left)
        finally:
            os.close(descriptor)


def remove(path: str | Path) -> None:
    """Remove a file that may not be there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


@contextmanager
def scratch_folder(parent: str | Path, what: str) -> Iterator[Path]:
    """A folder for the length of a block. Those of processes that were killed are removed first: they may hold whole copies."""
    for left in Path(parent).glob(f".{what}-*"):
        _remove_abandoned(left)
    while True:
        folder = tempfile.mkdtemp(dir=parent, prefix=f".{what}-")
        # Of a process that root started and that was killed, the daemon's user clears it away.
        same_owner(folder, parent)
        lock = os.path.join(folder, _SCRATCH_LOCK)
        # Between its making and its locking another process may take it for abandoned, and we make another.
        try:
            descriptor = make_file(lock)
        except FileNotFoundError:
            continue
        try:
            if _is_ours(descriptor, lock):
                yield Path(folder)
                return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


#: In every scratch folder: locked for as long as its owner lives, whatever number that has, in whichever container.
_SCRATCH_LOCK = ".lock"


def _is_ours(descriptor: int, path: str | Path) -> bool:
    try:
        return try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # a file system without locks: nobody takes it for abandoned there


def _remove_abandoned(folder: Path) -> None:
    """Remove a scratch folder whose lock nobody holds. The lock's file goes last, so that whoever is killed here leaves the same to the next."""
    try:
        # A link of this name, which anybody may make in a shared folder, is not followed.
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with suppress(OSError):
            descriptor = os.open(_SCRATCH_LOCK, os.O_RDWR | os.O_NOFOLLOW, dir_fd=inside)
            try:
                if not try_lock(descriptor):
                    return
                for name in os.listdir(inside):
                    if name != _SCRATCH_LOCK:
                        _remove_all(name, inside)
                os.unlink(_SCRATCH_LOCK, dir_fd=inside)
            finally:
                os.close(descriptor)
        with suppress(OSError):  # only an empty one goes: its owner may be about to make the lock's file
            os.rmdir(folder)
    finally:
        os.close(inside)


def _remove_all(name: str, inside: int) -> None:
    try:
        os.unlink(name, dir_fd=inside)
    except OSError:  # a folder
        shutil.rmtree(name, dir_fd=inside)
