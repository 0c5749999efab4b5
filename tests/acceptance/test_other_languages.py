"""The publishers of docs/publish/ with their languages' real clients, each ending in real books; the AsyncAPI document by its own parser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from parts import BrokerServer, wait_until

from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository
from persistence.repositories.gaps import SQLiteGapRepository
from workers.app import create_worker

DOCS = Path(__file__).parents[2] / "docs"
PUBLISH = DOCS / "publish"
DEPOSIT = (
    '{"deposit_id": "d-1", "account_id": "main", "currency": "USDT", "amount": "10000", "occurred_at": "2026-11-22T10:15:30Z", "note": "a \\"b\\" \\\\ c"}'
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def ran(*command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}"
    return done.stdout


def held(server: BrokerServer, folder: Path, messages: int) -> dict[str, str]:
    """What the books hold of account main once so many messages are recorded, and nothing was refused or is missing."""
    with create_worker(folder / "books.db", server.url) as worker:
        wait_until(lambda: worker.writer.counts.messages >= messages, "what was published is recorded")
        counts = worker.writer.counts
        assert (counts.applied, counts.quarantined) == (messages, 0)
        assert SQLiteGapRepository(worker.database).find_open() == []
        assert check_books(worker.database) == []
        balance = SQLiteAccountRepository(worker.database).find_by_id("main").balance
        return {str(currency): str(balance.total(currency).amount) for currency in balance.currencies}


@pytest.fixture(scope="module")
def redis_cli(tmp_path_factory) -> str:
    """redis-cli or valkey-cli: the machine's, or out of Debian's package without installing it."""
    for name in ("redis-cli", "valkey-cli"):
        if found := shutil.which(name):
            return found
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("neither redis-cli nor valkey-cli is installed, and there is no apt-get")
    folder = tmp_path_factory.mktemp("redis-tools")
    wanted = ("redis-tools", "libjemalloc2", "liblzf1", "libhiredis0.14", "liblua5.1-0", "libatomic1")
    # Names differ from one Debian to the next; what the program lacks then is seen when it starts.
    for package in wanted:
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, capture_output=True, check=False)
    for package in folder.glob("*.deb"):
        ran("dpkg", "-x", str(package), "root", folder=folder)
    libraries = {str(found.parent) for found in (folder / "root").rglob("*.so*")}
    program = folder / "redis-cli"
    program.write_text(f'#!/bin/sh\nexec env LD_LIBRARY_PATH={":".join(sorted(libraries))} {folder}/root/usr/bin/redis-cli "$@"\n')
    program.chmod(0o755)
    with suppress(OSError):
        if subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:
            return str(program)
    pytest.skip("redis-cli is not installed, and Debian's redis-tools could not be had")


@pytest.fixture(scope="module")
def npm(tmp_path_factory) -> Path:
    """A folder in which npm's redis, TypeScript and AsyncAPI's parser are installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    done = subprocess.run(
        ["npm", "install", "--silent", "redis@6", "typescript", "@types/node", "@asyncapi/parser@3"], cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm could not install redis, typescript and @asyncapi/parser: {done.stderr[-300:]}")
    shutil.copy(PUBLISH / "records.d.ts", folder)
    return folder


def compiled(folder: Path, name: str, source: str) -> subprocess.CompletedProcess[str]:
    (folder / name).write_text(source)
    command = ["npx", "tsc", "--strict", "--module", "nodenext", "--target", "es2022", name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_shell_publishes(redis_cli, broker_server, tmp_path):
    cli = f"{redis_cli} -s {broker_server.socket}"
    published = ran("sh", str(PUBLISH / "publish.sh"), "deposits", "record_deposit", DEPOSIT, folder=tmp_path, REDIS_CLI=cli).strip()
    with broker_server.client() as client:
        payload = json.loads(client.hget("dramatiq:deposits.msgs", published))
        assert payload["args"] == [json.loads(DEPOSIT)], "quotes and backslashes arrive as they were written"
    assert held(broker_server, tmp_path, 1) == {"USDT": "10000"}


def test_the_shell_says_so_where_nothing_was_published(redis_cli, broker_server, tmp_path):
    with broker_server.client() as client:
        client.set("dramatiq:deposits", "no list")
    command = ["sh", str(PUBLISH / "publish.sh"), "deposits", "record_deposit", DEPOSIT]
    done = subprocess.run(command, env={**os.environ, "REDIS_CLI": f"{redis_cli} -s {broker_server.socket}"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, "WRONGTYPE" in done.stderr) == (1, "", True)


def test_typescript_publishes(npm, broker_server, tmp_path):
    done = compiled(npm, "publish.ts", (PUBLISH / "publish.ts").read_text())
    assert done.returncode == 0, done.stdout
    ran("node", "publish.js", folder=npm, REDIS_URL=broker_server.url)
    assert held(broker_server, tmp_path, 2) == {"BTC": "0.015", "USDT": "9040.1425"}


#: What a fill may be in TypeScript beside its other fields, and what the compiler says of what it may not.
TYPED = [
    ("a fill", "Fill", {"side": '"buy"'}, None),
    ("a field of one's own, by name", "Fill & { strategy: string }", {"side": '"buy"', "strategy": '"grid"'}, None),
    ("a misspelt field", "Fill", {"side": '"buy"', "fee_curency": '"BNB"'}, "'fee_curency' does not exist in type 'Fill'"),
    ("a number", "Fill", {"side": '"buy"', "fee": "0.1"}, "Type 'number' is not assignable to type 'string'"),
    ("a time in milliseconds", "Fill", {"side": '"buy"', "executed_at": "Date.now()"}, "Type 'number' is not assignable to type 'string'"),
    ("another word", "Fill", {"side": '"long"'}, 'is not assignable to type \'"buy" | "sell"\''),
]


@pytest.mark.parametrize(("type_", "fields", "said"), [t[1:] for t in TYPED], ids=[t[0] for t in TYPED])
def test_the_types_refuse_what_the_worker_would(type_, fields, said, npm):
    whole = {
        "fill_id": '"1"',
        "account_id": '"a"',
        "symbol": '"BTC/USDT"',
        "quantity": '"1"',
        "price": '"2"',
        "executed_at": '"2026-01-01T00:00:00Z"',
        **fields,
    }
    literal = ", ".join(f"{name}: {value}" for name, value in whole.items())
    done = compiled(npm, "typed.ts", f'import type {{ Fill }} from "./records.js";\nconst fill: {type_} = {{ {literal} }};\nconsole.log(fill);\n')
    assert (done.returncode == 0) == (said is None), done.stdout
    assert said is None or said in done.stdout


def test_the_asyncapi_document_is_valid_by_its_own_parser(npm):
    (npm / "check.mjs").write_text(
        'import { fromFile, Parser } from "@asyncapi/parser";\n'
        "const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();\n"
        "console.log(JSON.stringify([document?.operations().all().length, diagnostics.map((d) => d.message)]));\n"
    )
    assert json.loads(ran("node", "check.mjs", str(DOCS / "asyncapi.yaml"), folder=npm)) == [10, []]


def fetched(*command: str, folder: Path) -> None:
    """Skips the test where a library cannot be had; everything after it has to work."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"`{' '.join(command)}` could not be had: {done.stderr.strip()[-200:]}")


def test_go_publishes(broker_server, tmp_path):
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    shutil.copy(PUBLISH / "publish.go", tmp_path)
    ran("go", "mod", "init", "publish", folder=tmp_path)
    fetched("go", "get", "github.com/redis/go-redis/v9", "github.com/google/uuid", folder=tmp_path)
    ran("go", "run", "publish.go", folder=tmp_path, REDIS_URL=broker_server.url)
    assert held(broker_server, tmp_path, 1) == {"USDT": "10000"}


def test_rust_publishes(broker_server, tmp_path):
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    ran("cargo", "init", "--quiet", "--name", "publish", folder=tmp_path)
    fetched("cargo", "add", "--quiet", "redis@1", "serde_json@1", folder=tmp_path)
    fetched("cargo", "add", "--quiet", "uuid@1", "--features", "v4", folder=tmp_path)
    shutil.copy(PUBLISH / "publish.rs", tmp_path / "src" / "main.rs")
    ran("cargo", "run", "--quiet", folder=tmp_path, REDIS_URL=broker_server.url)
    assert held(broker_server, tmp_path, 1) == {"USDT": "10000"}
