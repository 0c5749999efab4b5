"""A second place for backups: another folder, encrypted where a recipient is named, with a retention of its own, and a command for what lies beyond.

What is copied there was proved at the first place; here its bytes are read back and compared. An encrypted copy is `….age`: only who
has the private key can open it, this machine does not need to.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyrage

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.copies import backups
from persistence.copies.backups import Backup
from persistence.copies.command import refuse_command, run_for
from persistence.copies.manifest import manifest_by_content, manifest_path, read_manifest, sha256, stated, write_manifest
from persistence.domain.errors import WrongDatabase
from persistence.files import fsync_folder, make_file, make_last_folder, remove

ENCRYPTED = ".age"


@dataclass(frozen=True, slots=True)
class SecondPlace:
    """Where further copies go. `recipient`: an age public key (`age1…`). `command`: run with the copy's path in place of `{file}`."""

    folder: Path | None = None
    recipient: str | None = None
    retention_days: int = 30
    command: str | None = None

    def __post_init__(self) -> None:
        if self.command is not None:
            refuse_command(self.command)
        if self.recipient is not None:
            try:
                pyrage.x25519.Recipient.from_str(self.recipient)
            except pyrage.RecipientError as error:
                raise Invalid(f"{self.recipient!r} is no age public key (age1…): {error}; `age-keygen` makes a pair") from error


def carry(backup: Backup, second: SecondPlace, now: int) -> Path | None:
    """Put a proved backup into the second place and run the command. Returns the copy.

    Raises `Unavailable` where it could not be written or the command failed: the first copy stands, the run is tried again.
    """
    copied = None
    if second.folder is not None:
        copied = _copy(backup, second.folder, second.recipient)
        backups.prune(second.folder, now, second.retention_days, book=backup.book)
    if second.command:
        run_for(second.command, copied or backup.path)
    return copied


def decrypt(path: Path, identity: Path, folder: Path, *, unproved: bool = False) -> Backup:
    """An encrypted copy as a backup in a folder, without its manifest where that cannot be read and `unproved` is given.

    Raises `WrongDatabase` for another key, a damaged file or manifest, `Invalid` for what is no key.
    """
    try:
        lines = identity.read_text("utf-8").splitlines()
        keys = [pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line.startswith("AGE-SECRET-KEY-")]
    except (OSError, pyrage.IdentityError) as error:
        raise Invalid(f"{identity} holds no age secret key: {error}") from error
    if not keys:
        raise Invalid(f"{identity} holds no age secret key (AGE-SECRET-KEY-…)")
    target = folder / path.name.removesuffix(ENCRYPTED)
    try:
        pyrage.decrypt_file(str(path), str(target), keys)
    except (pyrage.DecryptError, OSError) as error:
        raise WrongDatabase(f"{path} cannot be decrypted with {identity}: {error}; it is damaged, or encrypted for another key") from error
    plain = stated((read_manifest(path) or manifest_by_content(path) or {}).get("plain"))
    if plain is None:
        if not unproved:
            raise WrongDatabase(
                f"{path} has no readable manifest beside it, so nothing says what it should hold; with --unproved only what it holds is checked"
            )
        return backups.identified(target)
    write_manifest(target, plain | {"file": target.name})
    return backups.identified(target)


def _copy(backup: Backup, folder: Path, recipient: str | None) -> Path:
    target = folder / f"{backup.path.name}{ENCRYPTED if recipient else ''}"
    partial = folder / f".{target.name}.partial"
    try:
        make_last_folder(folder)
        remove(partial)
        os.close(make_file(partial))
        if recipient:
            pyrage.encrypt_file(str(backup.path), str(partial), [pyrage.x25519.Recipient.from_str(recipient)])
        else:
            shutil.copyfile(backup.path, partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        manifest = dict(backup.manifest or {})
        if recipient:
            plain = json.loads(manifest_path(backup.path).read_text("utf-8"))
            manifest |= {"file": target.name, "bytes": partial.stat().st_size, "sha256": sha256(partial), "plain": plain}
        elif sha256(partial) != manifest.get("sha256"):
            raise Unavailable(f"{target} does not read back as it was written; check the disk of {folder}")
        os.replace(partial, target)
        write_manifest(target, manifest)
        fsync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            remove(partial)
        raise Unavailable(f"could not copy the backup to {folder}: {error.strerror or error}; check the folder and its free space") from error
    return target
