"""The PostgreSQL of the tests: each test has a schema of its own, and nothing is left when the run is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from parts import wait_until
from postgres import books_of_a_test

pytestmark = pytest.mark.slow

A_RUN = "import os, sys, postgres; print(postgres.shared.schemas_of_the_run()._url, flush=True); sys.stdin.read()"


def test_each_test_sees_its_own_tables_alone(postgres_books):
    with books_of_a_test() as others, psycopg.connect(postgres_books.url) as mine, psycopg.connect(others.url) as theirs:
        mine.execute("CREATE TABLE facts (fact_no bigint)")
        theirs.execute("CREATE TABLE facts (another bigint)")
        assert mine.execute("SELECT current_schema()").fetchone() == (postgres_books.schema,)
        assert [column.name for column in mine.execute("SELECT * FROM facts").description] == ["fact_no"]


def test_a_role_of_a_test_is_no_superuser(postgres_books):
    with psycopg.connect(postgres_books.url) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)


def test_a_run_that_is_killed_leaves_neither_a_server_nor_a_file():
    environment = {name: value for name, value in os.environ.items() if name != "TESTS_RUN"}
    code = A_RUN.replace("print", "postgres.belongs_to_this_run(); print")
    run = subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    url = run.stdout.readline().strip()
    assert psycopg.connect(url).execute("SELECT 1").fetchone() == (1,)

    run.send_signal(signal.SIGKILL)
    run.communicate()

    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    wait_until(lambda: not list(folder.glob(f"jt-postgres-{run.pid}*")), "everything of the killed run is gone")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_server_that_lost_its_power_has_what_was_committed(postgres_server):
    with psycopg.connect(postgres_server.url(tcp=True)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url())
    postgres_server.start()

    with psycopg.connect(postgres_server.url()) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
