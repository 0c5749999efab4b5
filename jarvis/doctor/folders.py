"""The folders that settings name: there or makeable, whose they are, who may look in, what they lie on, and whether there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, me, not_checked, problem, refused, user_name, warning, well
from jarvis.opening import open_database
from jarvis.settings import Settings
from jarvis_client.contract.errors import BooksError, Unavailable
from persistence.copies import backups
from persistence.copies.backup_checks import files_are_private, there_is_room
from persistence.domain.showing import size
from persistence.engine.sqlite.host import DEPENDS_ON_A_PROGRAM, disk_not_mounted, file_system_of, refuse_network_file_system
from persistence.files import nearest_folder, refuse_to_make

BROKER = "broker's folder"


class Used(NamedTuple):
    """A folder of ours. `keeps_a_database`: locks and shared memory have to work there."""

    name: str
    path: Path
    keeps_a_database: bool = False


def used(settings: Settings) -> list[Used]:
    backup = settings.database.backup
    found = [Used("data folder", settings.data_folder, keeps_a_database=True)]
    if backup.enabled:
        found.append(Used("backups", backup.path))
    if backup.second.path is not None:
        found.append(Used("second place", backup.second.path))
    if settings.broker.url is None:
        found.append(Used(BROKER, settings.data_folder / "broker"))
    return found


def look(case: Case, settings: Settings) -> Iterator[Diagnosis]:
    folders = used(settings)
    looks = [(folder.name, _look_at(case, folder)) for folder in folders]
    looks += [("owners", _owners(settings, folders)), ("modes", _modes(settings, folders)), ("room", _room(settings)), ("second place", _two_places(settings))]
    for subject, found in looks:
        try:
            yield from found
        except (OSError, Unavailable) as error:
            said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error).partition(";")[0]
            yield not_checked(subject, said, "run this as the user whom the books belong to, or as root")


def _look_at(case: Case, folder: Used) -> Iterator[Diagnosis]:
    path = folder.path
    if (point := disk_not_mounted(path, case.disks, case.mounts)) is not None:
        yield problem(folder.name, f"{path}: no disk is mounted at {point}", "/etc/fstab says that one belongs there", f"mount {point}")
        return
    if not path.exists():
        try:
            # The broker's is made together with the one that it lies in.
            refuse_to_make(path.parent if folder.name == BROKER else path)
            yield well(folder.name, f"{path} is not there yet; it is made when it is needed")
        except BooksError as error:
            yield refused(folder.name, error)
        return
    if not path.is_dir():
        yield problem(folder.name, f"{path} is a file", "a folder is needed", "correct the path in the settings, or move the file away")
        return
    where = file_system_of(path, case.mounts)
    if folder.keeps_a_database:
        try:
            refuse_network_file_system(path, case.mounts)
        except BooksError as error:
            yield refused(folder.name, error)
            return
        if where.depends_on_a_program:
            value, _, rest = (DEPENDS_ON_A_PROGRAM % (path, where.kind, where.point)).partition(": ")
            yield warning(folder.name, value, *rest.split("; ", 1))
    elif where.is_of_another_machine and folder.name != "second place":
        rule = "what is lost with the network is lost when it is needed"
        yield warning(
            folder.name, f"{path} lies on {where.kind}, a share of another machine", rule, "name a local folder, and the share in database.backup.second"
        )
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
        remedy = "mount it writable" if read_only else f"run this as {user_name(path.stat().st_uid)}, or `chown` it"
        yield problem(folder.name, f"{path} is {'read-only' if read_only else f'closed to {me()}'}", "we have to write there", remedy)
        return
    yield well(folder.name, f"{path} on {where.kind or 'an unknown file system'}, {size(disk_usage(path).free)} free")


def _owners(settings: Settings, folders: list[Used]) -> Iterator[Diagnosis]:
    """One user owns everything, and it is the one who asks, or root, who gives what it makes to that user."""
    paths = [folder.path for folder in folders] + [Path(f"{settings.database.path}{end}") for end in ("", "-wal", "-shm", "-mark")]
    owners: dict[int, Path] = {}
    for path in paths:
        with suppress(OSError):
            owners.setdefault(path.stat().st_uid, path)
    if not owners:
        return
    first, *others = owners
    if others:
        value = ", ".join(f"{path} of {user_name(owner)}" for owner, path in owners.items())
        yield problem(
            "owners", value, "one user owns everything, and runs everything", f"chown -R {user_name(first)} {settings.data_folder} and the folders of backups"
        )
    elif os.geteuid() not in (0, first):
        rule = f"{me()} sees other folders and rights than the services do"
        yield warning("owners", f"everything is {user_name(first)}'s", rule, "run it as that user; for systemd's services: jarvis-ctl doctor")
    else:
        yield well("owners", f"everything is {user_name(first)}'s")


def _modes(settings: Settings, folders: list[Used]) -> Iterator[Diagnosis]:
    broker = [folder.path for folder in folders if folder.name == BROKER and folder.path.is_dir()]
    open_to_others = False
    for finding in files_are_private(open_database(settings, looking=True), settings.database.backup.path):
        open_to_others = True
        yield problem("modes", f"{finding.where} has {finding.found}", f"{finding.check}: {finding.expected}", finding.look)
    for path in broker:
        if (mode := path.stat().st_mode & 0o777) & 0o077:
            open_to_others = True
            yield problem("modes", f"{path} has mode {mode:o}", "whoever enters it can publish, and reads what waits: mode 700", f"chmod 700 {path}")
    if not open_to_others:
        yield well("modes", "nobody else may read the books, the backups or the embedded broker")


def _room(settings: Settings) -> Iterator[Diagnosis]:
    """For the next backup, and for bringing the newest one back beside the books that are there."""
    database, folder = open_database(settings, looking=True), settings.database.backup.path
    needed = backups.room_needed(database)
    if settings.database.backup.enabled and folder.is_dir():
        for finding in there_is_room(database, folder):
            remedy = f"free some space ({finding.look}), or name another folder in database.backup.path"
            yield problem("room for a backup", f"{finding.found} in {folder}", f"a backup and its proof need {finding.expected}", remedy)
            break
        else:
            yield well("room for a backup", f"{size(needed)} needed, {size(disk_usage(folder).free)} free")
    newest = next((backup for backup in backups.present(folder) if backup.manifest is not None), None) if folder.is_dir() else None
    if newest is None or newest.manifest is None:
        return
    content, place = int(newest.manifest["content_bytes"]), nearest_folder(settings.data_folder / "x")
    free = disk_usage(place).free
    if free < content:
        rule = f"the newest backup holds {size(content)}, and the present database is kept beside it"
        yield problem(
            "room for a restore",
            f"{size(free)} are free in {place}",
            rule,
            "free some space; `jarvis backup list --kept-aside` lists what restores have left",
        )
    else:
        yield well("room for a restore", f"{size(content)} needed, {size(free)} free")


def _two_places(settings: Settings) -> Iterator[Diagnosis]:
    backup = settings.database.backup
    if not backup.enabled:
        rule = "without backups a broken disk takes the books along"
        yield warning("backups", "database.backup.enabled is false", rule, "set it to true")
        return
    if backup.second.path is None:
        if backup.second.command is None:
            rule = "a broken disk takes books and backups along where both lie on it"
            yield warning("second place", "none is named", rule, 'name one in database.backup.second: docs/operating.md, "A second place"')
        return
    with suppress(StopIteration, OSError):
        there = [path if path.is_dir() else nearest_folder(path) for path in (backup.path, backup.second.path)]
        if there[0].stat().st_dev == there[1].stat().st_dev:
            rule = "a second place is another disk: this one goes with the first"
            yield warning("second place", f"{backup.second.path} is on the same file system as {backup.path}", rule, "name a folder on another disk")
