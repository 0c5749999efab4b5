"""A way back where the embedded broker's file cannot be read: a power cut left zeros behind its end, or a disk gave other bytes back.

The server's own checker cuts the file at the first command that it cannot read. What stands behind that place is lost to the broker but
not to us: the messages in it that can be read are written out as records.
"""

from __future__ import annotations

import mmap
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import redis

from jarvis.embedded_broker import EmbeddedBroker, server_binary
from jarvis_client.contract.errors import Invalid, MalformedRecord, Unavailable
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_MESSAGE_BYTES, ROUTES
from persistence.files import replaced, scratch_folder
from workers.envelope import KIND_OF_ACTOR
from workers.wire import decode_json, record_slices

#: How a message stands in the file: its length, then its JSON.
_BULK = re.compile(rb"\$(\d{1,8})\r\n(?=\{)")


@dataclass(frozen=True, slots=True)
class Cut:
    """What was taken off one file: `bytes` from the place `at` on. `empty` where they were nothing but zeros."""

    file: Path
    at: int
    bytes: int
    empty: bool


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of it. `aside` keeps the original, None where nothing was cut; `records` of the cut part lie in `readable`."""

    cuts: list[Cut]
    aside: Path | None
    readable: Path | None
    records: int


def repair(broker: EmbeddedBroker, now: datetime) -> Repaired:
    """Cut what the server cannot read off its incremental files. Raises `HeldElsewhere` while one runs over them."""
    folder = broker.folder / "appendonlydir"
    with broker.alone(), scratch_folder(broker.folder, "checking") as scratch:
        binary = Path(server_binary())
        # The server is its own checker when it is called by this name.
        checker = scratch / binary.name.replace("-server", "-check-aof")
        checker.symlink_to(binary)
        broken = [file for file in _incremental_files(folder) if not _check(checker, file)]
        if not broken:
            return Repaired([], None, None, 0)
        stamp = f"{now:%Y%m%dT%H%M%SZ}"
        aside = broker.folder / f"{folder.name}.before-repair-{stamp}"
        shutil.copytree(folder, aside)
        cuts = [_cut(checker, file, aside / file.name) for file in broken]
        readable = _readable_file(broker, now)
        records = _write_out([(aside / cut.file.name, cut.at) for cut in cuts if not cut.empty], readable)
        return Repaired(cuts, aside, readable if records else None, records)


def write_out_what_can_be_read(broker: EmbeddedBroker, now: datetime) -> tuple[Path, int]:
    """Every record in the incremental files, where the server cannot load what lies beside them. Returns the file and their number."""
    readable = _readable_file(broker, now)
    with broker.alone():
        return readable, _write_out([(file, 0) for file in _incremental_files(broker.folder / "appendonlydir")], readable)


def messages_in(url: str, namespace: str) -> int:
    """How many messages wait in a broker or are held by its workers."""
    queues = sorted({route.queue for route in (*ROUTES.values(), JOBS_ROUTE)})
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.hlen(f"{namespace}:{queue}.msgs")
        return sum(pipeline.execute())


def _incremental_files(folder: Path) -> list[Path]:
    """As the manifest lists them; without a manifest that can be read, as they are numbered."""
    found = {file.name: file for file in folder.glob("*.incr.aof")}
    if not found:
        raise Invalid(f"{folder} holds no incremental file, so there is nothing that this could repair; is it the folder of `database.path`?")
    try:
        listed = re.findall(r"^file (\S+) seq \d+ type i", (folder / "appendonly.aof.manifest").read_text("utf-8", "replace"), re.MULTILINE)
    except FileNotFoundError:
        listed = []
    return [found[name] for name in listed if name in found] or sorted(found.values(), key=lambda file: int(re.sub(r"\D", "", file.name) or 0))


def _check(checker: Path, file: Path) -> bool:
    return subprocess.run([checker, file], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _cut(checker: Path, file: Path, original: Path) -> Cut:
    before = file.stat().st_size
    done = subprocess.run([checker, "--fix", file], input="y\n", capture_output=True, text=True, check=False)
    if done.returncode != 0 or not _check(checker, file):
        raise Unavailable(f"{file} could not be repaired: {done.stdout.strip()[-300:]} {done.stderr.strip()[-300:]}; the original is kept as {original}")
    at = file.stat().st_size
    with open(original, "rb") as whole:
        whole.seek(at)
        empty = not any(piece.strip(b"\0") for piece in iter(lambda: whole.read(1 << 20), b""))
    return Cut(file, at, before - at, empty)


def _readable_file(broker: EmbeddedBroker, now: datetime) -> Path:
    return broker.data_folder / f"from-broker-{now:%Y%m%dT%H%M%SZ}.ndjson"


def _write_out(parts: list[tuple[Path, int]], readable: Path) -> int:
    """Write the records that can be read in each file from a place on, in the form that `jarvis import` takes. Returns their number."""
    lines = (line for file, at in parts for line in _records_behind(file, at))
    first = next(lines, None)
    if first is None:
        return 0
    count = 1
    with replaced(readable) as written:
        written.write(first)
        for line in lines:
            written.write(line)
            count += 1
    return count


def _records_behind(original: Path, at: int) -> Iterator[bytes]:
    if original.stat().st_size == 0:
        return
    with open(original, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for bulk in _BULK.finditer(content, at):
            size = int(bulk[1])
            if size > MAX_MESSAGE_BYTES:
                continue
            payload = content[bulk.end() : bulk.end() + size]
            try:
                envelope = decode_json(payload)
            except MalformedRecord:
                continue
            kind = KIND_OF_ACTOR.get(str(envelope.get("actor_name"))) if type(envelope) is dict else None
            if kind is None or kind == "job":
                continue
            for record in record_slices(payload):
                fields = record[1:].strip().replace(b"\n", b" ")
                if record.startswith(b"{") and record != payload and fields != b"}":
                    yield b'{"type": "%s", %s\n' % (kind.encode(), fields)
