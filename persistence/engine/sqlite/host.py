"""What is refused before the books are opened: a SQLite that can lose rows, a file system that cannot keep them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from persistence.domain.errors import WrongDatabase

#: SQLite 3.7.0 to 3.51.2 can lose committed rows when one connection writes while another checkpoints; these lines got the fix.
FIXED_SQLITE = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
#: File systems of other machines and, of a virtual machine or a container, of its host: the WAL needs memory that all processes
#: share, and locks that hold. Bind mounts over virtiofs ruin a WAL within minutes.
NETWORK_FILE_SYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "coda", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "wekafs", "ncpfs", "ocfs2", "gfs2",
    "orangefs", "pvfs2", "davfs",
    "9p", "drvfs", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "osxfs", "fakeowner", "fuse.grpcfuse", "fuse.osxfs", "fuse.vmhgfs-fuse", "fuse.prl_fsd",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.davfs2", "fuse.juicefs",
    "fuse.mountpoint-s3", "fuse.blobfuse", "fuse.blobfuse2", "fuse.goofys", "fuse.geesefs", "fuse.curlftpfs", "fuse.smbnetfs", "fuse.fuse-nfs",
    "fuse.mfs", "fuse.lizardfs", "fuse.seaweedfs", "fuse.quobyte", "fuse.cvmfs2", "fuse.hdfs", "fuse.alluxio-fuse", "fuse.gvfsd-fuse", "fuse.onedriver",
    "fuse.google-drive-ocamlfuse", "fuse.s3backer",
})  # fmt: skip
#: Programs that hand through to a disk of this machine; what other programs do behind FUSE nobody knows.
LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.bindfs", "fuse.gocryptfs", "fuse.encfs", "fuse.ntfs-3g", "fuse.lxcfs"})

#: What is said of a folder, its file system and where that is mounted.
DEPENDS_ON_A_PROGRAM = (
    "%s lies on %s (mounted at %s): whether its locks and its shared memory keep a database whole depends on that program; "
    "name a folder on a local disk in database.path if it leads to another machine"
)

log = logging.getLogger("books")
_warned: set[str] = set()


def refuse_unsafe_sqlite(version: str) -> None:
    """Raises `WrongDatabase` for a SQLite that can lose committed rows (the WAL-reset bug, 3.7.0 to 3.51.2)."""
    parts = tuple(int(p) for p in version.split(".")[:3])
    fixed = any(parts[:2] == f[:2] and parts >= f for f in FIXED_SQLITE) or parts >= FIXED_SQLITE[-1]
    if not fixed:
        raise WrongDatabase(f"SQLite {version} can lose committed rows (WAL-reset bug, fixed in 3.51.3); install a current `apsw`")


class FileSystem(NamedTuple):
    """What a folder lies on: the kind of the file system, empty where the system does not tell, and where that is mounted."""

    kind: str = ""
    point: str = ""

    @property
    def is_of_another_machine(self) -> bool:
        return self.kind in NETWORK_FILE_SYSTEMS

    @property
    def depends_on_a_program(self) -> bool:
        return self.kind.startswith("fuse.") and self.kind not in LOCAL_FUSE


def file_system_of(folder: Path, mounts: str | None = None) -> FileSystem:
    """`mounts` is what Linux says in /proc/self/mountinfo; other systems are not asked."""
    where = folder.absolute().resolve()
    found, depth = FileSystem(), -1
    for point, kind in _mounted(mounts):
        # Of two mounts over one place the later one is seen.
        if where.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = FileSystem(kind, str(point)), len(point.parts)
    return found


def refuse_network_file_system(folder: Path, mounts: str | None = None) -> None:
    """Raises `WrongDatabase` where a folder lies on another machine's disk, and warns where that depends on a program. `mounts` as above."""
    found = file_system_of(folder, mounts)
    if found.is_of_another_machine:
        raise WrongDatabase(
            f"{folder} lies on {found.kind}, a network file system or a share of another machine (mounted at {found.point}): its locks and its shared memory "
            "cannot keep a database whole; name a folder on a local disk in database.path, and copy backups to the other machine instead "
            "(database.backup.second)"
        )
    if found.depends_on_a_program and found.point not in _warned:
        _warned.add(found.point)
        log.warning(DEPENDS_ON_A_PROGRAM, folder, found.kind, found.point)


def disk_not_mounted(folder: Path, table: str | None = None, mounts: str | None = None) -> Path | None:
    """Where /etc/fstab (`table`) says that a disk belongs under this folder, and none is mounted. `mounts` as above."""
    where = folder.absolute().resolve()
    mounted = {point for point, _ in _mounted(mounts)}
    for line in (_read("/etc/fstab") if table is None else table).splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#") or not fields[1].startswith("/") or not mounted:
            continue
        point = _unescaped(fields[1])
        if point != Path("/") and where.is_relative_to(point) and point not in mounted:
            return point
    return None


def _mounted(mounts: str | None) -> Iterator[tuple[Path, str]]:
    """Every mount and the kind of its file system, in the order in which they were made."""
    for line in (_read("/proc/self/mountinfo") if mounts is None else mounts).splitlines():
        head, _, tail = line.partition(" - ")
        fields = head.split(" ")
        if len(fields) >= 5 and tail:
            yield _unescaped(fields[4]), tail.split(" ")[0]


def _unescaped(path: str) -> Path:
    return Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), path))


def _read(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text("utf-8", "replace")
    return ""
