"""`jarvis web` as its users meet it: a process that says where its pages are, and answers programs as well."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection

import command
import pytest
from pages import Page
from serving import HISTORY, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("books")
    command.run("import", "-", folder=made, stdin="\n".join(map(json.dumps, HISTORY)))
    return made


def test_one_server_answers_people_and_programs(folder):
    with serving(folder, command="web") as server:
        page = server.ask("/quarantine")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "jarvis quarantine replay 1" in Page.read(page.body.decode()).commands
        assert [account["account_id"] for account in server.get("/accounts")["items"]] == ["a/../b <script>ü", "acc"]
        assert server.ask("/quarantine", "HEAD").body == b""
        assert "server" not in page.headers


def test_who_starts_it_in_a_terminal_is_told_where_to_look(folder):
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "jarvis", "web", "--listen", "127.0.0.1:0"], cwd=folder, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while not (found := re.search(rb"open http://127\.0\.0\.1:(\d+) in a browser; Ctrl-C ends it", said)):
            said += os.read(ours, 4096)
        connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
    os.close(ours)
    assert process.returncode in (0, 130)


def test_nobody_beyond_this_machine_sees_the_pages_without_a_token(folder):
    done = command.run("web", "--listen", "0.0.0.0:0", folder=folder)
    assert (done.returncode, "which others can reach, and there is no token" in done.stderr) == (2, True)


def test_the_missing_extra_is_told_with_the_remedy(folder):
    program = "import sys; sys.modules['starlette'] = None; sys.argv[1:] = ['web', '--listen', '127.0.0.1:0']; from jarvis.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "`jarvis web` needs starlette" in done.stderr) == (3, True)
