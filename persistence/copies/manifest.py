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
_STATED = {
    "file": str, "taken_at": str, "schema_version": int, "bytes": int, "sha256": str, "content_bytes": int, "content_sha256": str, "tables": dict,
    "chain": dict, "book": str, "generation": int, "commit_no": int, "newest_fact_no": int,
}  # fmt: skip


def read_manifest(path: Path) -> dict[str, Any] | None:
    """A backup's manifest; None where it is missing, damaged or another file's."""
    found = read_stated(manifest_path(path))
    return found if found is not None and found["file"] == path.name else None


def read_stated(manifest: Path) -> dict[str, Any] | None:
    """What a manifest states, of whatever file; None where it is missing or damaged."""
    try:
        return stated(json.loads(manifest.read_text("utf-8")))
    except (OSError, ValueError):
        return None


def stated(content: Any) -> dict[str, Any] | None:
    """A manifest without its own digest; None where that does not fit, or something is missing."""
    if not isinstance(content, dict):
        return None
    found = {name: value for name, value in content.items() if name != "manifest_sha256"}
    sound = hashlib.sha256(json.dumps(found, indent=1).encode()).hexdigest() == content.get("manifest_sha256") and found.get("format") == FORMAT
    return found if sound and all(isinstance(found.get(name), kind) for name, kind in _STATED.items()) else None


def manifest_by_content(path: Path) -> dict[str, Any] | None:
    """The manifest in a file's folder that describes its very bytes, whatever the two are called; None where there is none."""
    size, digest = path.stat().st_size, None
    for other in sorted(path.parent.glob("*.manifest.json")):
        found = read_stated(other)
        if found is not None and found["bytes"] == size:
            digest = digest or sha256(path)
            if found["sha256"] == digest:
                return found
    return None


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
