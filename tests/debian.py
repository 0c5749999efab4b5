"""Programs of Debian for tests, unpacked into a folder where they are not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

#: Debian 12's Redis with the libraries that it needs.
REDIS = ("redis-server", "redis-tools", "libatomic1", "libhiredis0.14", "libjemalloc2", "liblua5.1-0", "liblzf1")


def program(name: str, folder: Path, *packages: str) -> Path:
    """A program by its name: as installed, else from Debian's packages that hold it and its libraries. Skips where there are none to be had."""
    if found := shutil.which(name):
        return Path(found)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip(f"{name} is not installed, and this is no Debian")
    folder.mkdir(exist_ok=True)
    fetched = subprocess.run(["apt-get", "-q", "download", *packages], cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    if fetched.returncode:
        pytest.skip(f"{name} is not installed, and its package cannot be had: {fetched.stderr.strip()[-200:]}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
    libraries = ":".join(sorted({str(path.parent) for path in (folder / "root").rglob("*.so.*")}))
    [binary] = [path for path in (folder / "root").rglob(name) if path.is_file() and path.parent.name in ("bin", "sbin")]
    runs = folder / name
    runs.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {binary} "$@"\n')
    runs.chmod(0o755)
    return runs
