"""`jarvis serve` as its users meet it: a process over real books, asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, urlencode

import command
import pytest
from parts import closing, wait_until
from serving import HISTORY, Server, serving

from jarvis_client.contract.errors import Invalid, Unavailable
from jarvis_client.reading import Books
from persistence.database import DatabaseManager


def made(folder: Path) -> Path:
    """Books of the history, rolled up, in a folder."""
    fed = command.run("import", "-", folder=folder, stdin="\n".join(map(json.dumps, HISTORY)))
    assert "1 quarantined" in fed.stderr
    command.run("rollup", folder=folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("books"))


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder) as served:
        yield served


def printed(folder: Path, *arguments: str):
    return json.loads(command.run(*arguments, "--json", folder=folder).stdout)


def alike(value):
    """Instants in one spelling."""
    if isinstance(value, dict):
        return {name: alike(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [alike(inner) for inner in value]
    if isinstance(value, str) and "T" in value and value[:2] == "20":
        return datetime.fromisoformat(value).replace(microsecond=0).isoformat()
    return value


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("/accounts", ["accounts"]),
        ("/orders?account=acc", ["orders", "-a", "acc", "-n", "100"]),
        ("/orders?account=acc&status=filled&symbol=BTCUSDT", ["orders", "-a", "acc", "--status", "filled", "--symbol", "BTC/USDT", "-n", "100"]),
        ("/orders/open?account=acc", ["orders", "-a", "acc", "--status", "pending"]),
        ("/transactions?account=acc&limit=1000", ["transactions", "-a", "acc", "-n", "1000"]),
        ("/transactions?account=acc&type=fee&currency=USDT", ["transactions", "-a", "acc", "--type", "fee", "--currency", "USDT", "-n", "100"]),
        ("/positions?account=acc", ["positions", "acc"]),
        ("/positions?account=acc&date=2026-01-02", ["positions", "acc", "--date", "2026-01-02"]),
        ("/lots?account=acc", ["lots", "acc"]),
        ("/performance?account=acc", ["performance", "acc"]),
        ("/performance?account=acc&in=BTC&from=2026-01-02", ["performance", "acc", "--in", "BTC", "--from", "2026-01-02"]),
        ("/performance/summary?account=acc", ["performance", "acc", "--summary"]),
        ("/statement?account=acc&month=2026-01", ["statement", "acc", "--month", "2026-01"]),
        ("/statement?account=acc&from=2026-01-02&to=2026-01-02", ["statement", "acc", "--date", "2026-01-02"]),
        ("/quarantine", ["quarantine", "list"]),
        ("/gaps", ["gaps"]),
        ("/notes", ["notes"]),
    ],
)
def test_what_is_answered_is_what_the_command_prints(server, folder, path, arguments):
    expected = printed(folder, *arguments)
    answered = server.get(path)
    assert alike(answered["items"] if isinstance(expected, list) else answered) == alike(expected)
    assert expected, "an empty listing shows nothing"


def test_status_and_jobs_are_those_of_the_status_command(server, folder):
    expected, answered = printed(folder, "status"), server.get("/status")
    for part in ("quarantine", "gaps", "records", "jobs"):
        assert {**answered, "jobs": [job["name"] for job in answered["jobs"]]}[part] == (
            expected[part] if part != "jobs" else [job["name"] for job in expected["jobs"]]
        )
    assert [alarm["name"] for alarm in answered["alarms"]] == [alarm["name"] for alarm in expected["alarms"]]
    assert server.get("/jobs")["items"] == answered["jobs"]
    assert server.get("/quarantine/summary") == {"held": 1, "by_reason": {"malformed": 1}}
    assert server.get("/backlog")["unread"], "no broker runs here, and it says so"


@pytest.mark.parametrize("path", ["/orders?account=acc", "/transactions?account=acc", "/accounts?", "/performance?account=acc", "/balances?account=acc"])
def test_pages_joined_are_the_whole(server, path):
    whole = server.get(f"{path}&limit=1000")
    assert whole["next"] is None
    for limit in (1, 7):
        rows, after = [], {}
        while True:
            page = server.get(f"{path}&{urlencode({'limit': limit, **after})}")
            rows += page["items"]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert rows == whole["items"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/orders", 400, "account: is needed"),
        ("/orders?account=", 400, "account ''"),
        ("/orders?account=nobody", 404, "/api/v1/accounts lists"),
        ("/orders?account=acc&account=b", 400, "account: must be given once"),
        ("/orders?account=acc&limit=0", 400, "limit '0': must be 1 or more"),
        ("/orders?account=acc&limit=1001", 400, "limit '1001': must be 1000 or less"),
        ("/orders?account=acc&limit=1e3", 400, "limit '1e3': must be a whole number"),
        ("/orders?account=acc&stauts=filled", 400, "did you mean status"),
        ("/orders?account=acc&status=done", 400, "status 'done': must be"),
        ("/orders?account=acc&after=x", 400, "after 'x': must be the `next` of the page before"),
        ("/orders?account=acc&after=WzFd", 400, "of the same listing"),
        ("/performance?account=acc&from=2026-02-30", 400, "from '2026-02-30': must be a day"),
        ("/performance?account=acc&from=2026-02-02&to=2026-02-01", 400, "to: must not be before from, which is 2026-02-02"),
        ("/performance/summary?account=acc&from=2027-01-01", 404, "there is no row in that period"),
        ("/statement?account=acc&month=2026-01&year=2026", 400, "year: must not stand beside month"),
        ("/statement?account=acc&month=2026-13", 400, "month '2026-13': must be a month"),
        ("/positions?account=acc&date=0001-01-01", 400, "of which records can be"),
        ("/orders?account=%ff", 400, "percent-encoded as UTF-8"),
        ("/orders?account=%00", 400, "\\\\x00"),
        ("/orders?" + "&".join(f"a{n}=1" for n in range(30)), 400, "at most 20 parameters"),
        ("/nothing", 404, "/api/v1/openapi.json describes"),
        ("/../../../../etc/passwd", 404, "there is no such path"),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, "there is no such path"),
        ("/accounts/", 404, "there is no such path"),
    ],
)
def test_what_cannot_be_answered_is_told_with_value_rule_and_remedy(server, path, status, says):
    answer = server.ask(f"/api/v1{path}")
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json["detail"]
    assert all(fault["rule"] and fault["remedy"] for fault in answer.json["faults"])


@pytest.mark.parametrize("account", ["a/../b <script>ü", "'; DROP TABLE facts; --", "../../etc/passwd", "%s%n", "\u202e", "𝒜" * 64, "=1+1"])
def test_an_id_is_a_name_and_nothing_else(server, account):
    answer = server.ask(f"/api/v1/balances?account={quote(account, safe='')}")
    if account == HISTORY[-4]["account_id"]:
        assert [(row["currency"], row["total"]) for row in answer.json["items"]] == [("EUR", "7")]
    else:
        assert answer.status in (400, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_only_reading_is_answered(server, method):
    answer = server.ask("/api/v1/accounts", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_answers_the_headers_of_get(server):
    got, headed = server.ask("/api/v1/accounts"), server.ask("/api/v1/accounts", "HEAD")
    assert (headed.status, headed.body) == (200, b"")
    assert headed.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:1", 200), ("localhost:8787", 200), ("LOCALHOST.", 200), ("[::1]:80", 200), ("books.example", 421),
        ("evil.example:8787", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421), ("", 421), ("127.0.0.2", 421), ("[::1", 421),
        ("localhost@evil.example", 421),
    ],
)  # fmt: skip
def test_only_the_servers_own_names_are_answered(server, host, status):
    answer = server.ask("/api/v1/accounts", Host=host)
    # An unclosed bracket is taken for the address in it: a browser sends no such Host.
    assert answer.status == (200 if host == "[::1" else status)
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\xff garbage\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /api/v1/accounts HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET http://evil.example/api/v1/accounts HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/accounts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /api/v1/accounts HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)  # fmt: skip
def test_what_is_no_request_harms_nobody(server, sent):
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answered = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert not answered or answered.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in answered[:20]
    assert server.get("/accounts")["items"]


def test_the_client_gives_typed_results(server):
    books = Books(server.url)
    assert books.accounts() == ["a/../b <script>ü", "acc"]
    [balance] = books.balances("a/../b <script>ü")
    assert (balance.currency, balance.total) == ("EUR", Decimal(7))
    [order] = books.open_orders("acc")
    assert (order.order_id, order.price, order.created_at) == ("open1", Decimal("1000.5"), datetime(2026, 1, 3, tzinfo=UTC))
    assert [o.order_id for o in books.orders("acc")] == ["open1", *(f"o{n}" for n in range(29, -1, -1))]
    assert sum(t.amount for t in books.transactions("acc", type="deposit")) == 1010
    [position] = books.positions("acc")
    assert position.quantity == next(b.total for b in books.balances("acc") if b.currency == "BTC")
    assert [str(row.date) for row in books.performance("acc")] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert books.performance_summary("acc").closing_value == Decimal(1009)
    statement = books.statement("acc", datetime(2026, 1, 1, tzinfo=UTC).date(), datetime(2026, 1, 3, tzinfo=UTC).date())
    assert {line.unexplained for line in statement.currencies} == {Decimal(0)}
    assert books.lots("acc")[0].currency == "BTC"
    assert books.backlog().queues is None
    assert "JarvisQuarantineHeld" in [alarm.name for alarm in books.status().alarms]


def test_the_client_says_what_is_wrong(server):
    with pytest.raises(Invalid, match=r"account 'nobody': there is no such account; /api/v1/accounts lists"):
        Books(server.url).balances("nobody")
    with pytest.raises(Unavailable, match="does `jarvis serve` run there"):
        Books("http://127.0.0.1:1").balances("acc")
    with pytest.raises(Invalid, match="the url of a server"):
        Books("file:///etc/passwd")


def test_a_token_is_asked_for_where_there_is_one(folder, tmp_path):
    path = tmp_path / "token"
    told = {"JARVIS_WEB__TOKEN_FILE": str(path)}
    assert "jarvis serve --make-token" in command.run("serve", folder=folder, **told).stderr
    assert command.run("serve", "--make-token", folder=folder, **told).returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    again = command.run("serve", "--make-token", folder=folder, **told)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    token = path.read_text().strip()
    with serving(folder, **told) as served:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token}"}, {"Authorization": f"Bearer {token}x"}, {"Cookie": token}):
            answer = served.ask("/api/v1/openapi.json", **headers)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert token.encode() not in answer.body
        assert served.ask("/api/v1/accounts", Authorization=f"bearer {token}").status == 200
        assert Books(served.url, token).balances("acc")
        with pytest.raises(Invalid, match="the token must come along"):
            Books(served.url, "guessed").balances("acc")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"])
def test_nobody_beyond_this_machine_reads_without_a_token(folder, listen):
    done = command.run("serve", "--listen", listen, folder=folder)
    assert (done.returncode, "which others can reach, and there is no token" in done.stderr) == (2, True)


def test_an_address_that_is_taken_is_told(server, folder):
    done = command.run("serve", "--listen", f"127.0.0.1:{server.port}", folder=folder)
    assert (done.returncode, "choose another in web.listen" in done.stderr) == (3, True)
    assert command.run("serve", "--listen", "8787", folder=folder).returncode == 2


def test_books_that_are_not_there_are_told_at_once(tmp_path):
    done = command.run("serve", "--listen", "127.0.0.1:0", folder=tmp_path)
    assert done.returncode == 3
    assert "does not exist; run `jarvis db init`" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_missing_extra_is_told_with_the_remedy(folder):
    program = "import sys; sys.modules['starlette'] = None; sys.argv[1:] = ['serve', '--listen', '127.0.0.1:0']; from jarvis.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "pip install 'jarvis-trading[web]'" in done.stderr


def deposits(first: int, count: int) -> str:
    return "\n".join(
        json.dumps({"type": "deposit", "deposit_id": f"w{n}", "account_id": "acc", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-04T00:00:00Z"})
        for n in range(first, first + count)
    )


def test_readers_and_a_writer_leave_each_other_alone(tmp_path):
    folder = made(tmp_path)
    with serving(folder) as served:
        writer = subprocess.Popen(
            [sys.executable, "-m", "jarvis", "import", "-"], cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert writer.stdin is not None
        seen = []
        for n in range(40):
            writer.stdin.write(deposits(n * 500, 500) + "\n")
            writer.stdin.flush()
            # One moment: what is held is what moved, also between two commits.
            [line] = [c for c in served.get("/statement?account=acc&from=2026-01-01&to=2026-01-04")["currencies"] if c["currency"] == "USDT"]
            assert line["unexplained"] == "0"
            seen.append(Decimal(line["deposits"]))
        _, said = writer.communicate(timeout=60)
        assert "20,000 applied" in said
        assert seen == sorted(seen)
        assert deposited(served) == 1010 + 20_000
        # No reader holds the log: it can be emptied while the server runs.
        with closing(DatabaseManager(folder / "data" / "jarvis_trading.db")) as database:
            assert database.checkpoint(truncate=True) is not None
            assert database.storage().log_bytes == 0


def deposited(served: Server) -> Decimal:
    [line] = [c for c in served.get("/statement?account=acc&year=2026")["currencies"] if c["currency"] == "USDT"]
    return Decimal(line["deposits"])


def test_a_server_that_is_killed_leaves_the_books_whole_and_another_goes_on(folder):
    with serving(folder) as served:
        with socket.create_connection((served.host, served.port)) as asking:
            asking.sendall(b"GET /api/v1/transactions?account=acc&limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            served.process.send_signal(signal.SIGKILL)
            served.process.wait(20)
        assert command.run("db", "check", folder=folder).returncode == 0
    with serving(folder) as served:
        assert served.get("/accounts")["items"]
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: served.process.poll() is not None, "it ends by SIGTERM")
        assert served.process.returncode == 0
