"""A backup's manifest: what the backup must hold, with a digest of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from persistence.files import replaced

FORMAT = 1
#: Bytes read at a time.
CHUNK = 1 << 20


def manifest_path(path: Path) -> Path:
    return path.with_name(path.name + ".manifest.json")


#: Without these a manifest states nothing.
_STATED = {"bytes": int, "sha256": str, "content_bytes": int, "content_sha256": str, "tables": dict}


def read_manifest(path: Path) -> dict[str, Any] | None:
    """A backup's manifest; None where it is missing, damaged or another file's."""
    try:
        found = json.loads(manifest_path(path).read_text("utf-8"))
        stated = found.pop("manifest_sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    text = json.dumps(found, indent=1)
    sound = hashlib.sha256(text.encode()).hexdigest() == stated and found.get("file") == path.name and found.get("format") == FORMAT
    return found if sound and all(isinstance(found.get(name), kind) for name, kind in _STATED.items()) else None


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Put a manifest beside a backup, with its own digest, so that a damaged manifest is told from a damaged backup."""
    text = json.dumps(manifest, indent=1)
    with replaced(manifest_path(path)) as file:
        file.write(json.dumps({**manifest, "manifest_sha256": hashlib.sha256(text.encode()).hexdigest()}, indent=1).encode())


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
