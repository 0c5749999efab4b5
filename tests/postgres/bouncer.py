"""A real PgBouncer in front of a server, in transaction mode: each commit may run on another connection of the server."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
from debian import program
from parts import wait_until

from postgres.server import ANOTHER_USER

PACKAGES = ("pgbouncer", "libc-ares2", "libevent-2.1-7")


@contextmanager
def bouncer_before(url: str, folder: Path, connections: int) -> Iterator[str]:
    """The URL of a PgBouncer with so many connections to the server of another URL, which names a socket. Skips where there is none to be had."""
    binary = program("pgbouncer", folder / "packages", *PACKAGES)
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = parts.path.lstrip("/")
    (folder / "users").write_text(f'"{parts.username}" ""\n')
    (folder / "ini").write_text(
        f"[databases]\n{database} = host={asked['host'][0]} port={asked['port'][0]} dbname={database} user={parts.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n"
        f"default_pool_size = {connections}\nunix_socket_dir =\nserver_round_robin = 1\n"
    )
    whose = {}
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, ANOTHER_USER)
        whose = {"user": ANOTHER_USER, "group": pwd.getpwnam(ANOTHER_USER).pw_gid, "extra_groups": []}
    with open(folder / "bouncer.log", "w") as log:
        process = subprocess.Popen([binary, folder / "ini"], stdout=log, stderr=log, **whose)
    through = f"postgresql://{parts.username}@127.0.0.1:{port}/{database}"
    try:
        wait_until(lambda: _answers(through) or process.poll() is not None, "PgBouncer answers")
        assert process.poll() is None, (folder / "bouncer.log").read_text()
        yield through
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
