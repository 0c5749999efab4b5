"""Mistakes that people make in programs like this one. Each is planted in a process of its own, to prove that the harness would tell."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from faults import machine
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.outcome import APPLIED
from persistence import files
from persistence.books import facts
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.engine.sqlite import copying
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.pool import ConnectionPool


def acknowledge_before_commit() -> None:
    work = machine.Ingestion.work

    def hasty(self: Any, folder: Any, acknowledge: Any) -> None:
        post = Ledger.post
        Ledger.post = lambda ledger, batch, *rest, **options: (acknowledge(int(batch[-1].fill_id[1:])), post(ledger, batch, *rest, **options))[1]  # type: ignore[method-assign]
        work(self, folder, lambda n: None)

    machine.Ingestion.work = hasty  # type: ignore[method-assign]


def synchronous_normal() -> None:
    opened = ConnectionPool._open

    def relaxed(self: ConnectionPool) -> SQLiteConnection:
        connection = opened(self)
        connection.pragma("synchronous", "normal")
        return connection

    ConnectionPool._open = relaxed  # type: ignore[method-assign]


def no_identity_key() -> None:
    prepare = machine.Ingestion.prepare

    def without(self: Any, folder: Any) -> None:
        prepare(self, folder)
        database = DatabaseManager(folder / "b.db")
        database.execute_update("DROP INDEX facts_identity")
        database.close()

    machine.Ingestion.prepare = without  # type: ignore[method-assign]
    facts.INSERT_IDENTITY = facts.INSERT_IDENTITY.partition(" ON CONFLICT")[0]


def swallowed_io_error() -> None:
    post = Ledger.post

    def careless(self: Ledger, batch: Any, *rest: Any, **options: Any) -> Any:
        try:
            return post(self, batch, *rest, **options)
        except Unavailable:
            return [APPLIED] * len(batch)

    Ledger.post = careless  # type: ignore[method-assign]


def failed_commit_is_success() -> None:
    commit = SQLiteDatabase._commit

    def hopeful(self: SQLiteDatabase, connection: SQLiteConnection, mark: Any) -> None:
        try:
            commit(self, connection, mark)
        except Unavailable:
            return

    SQLiteDatabase._commit = hopeful  # type: ignore[method-assign]


def rename_without_fsync() -> None:
    relaxed = SimpleNamespace(**{name: getattr(os, name) for name in dir(os) if not name.startswith("__")})
    relaxed.fsync = lambda descriptor: None
    for module in (backups, files, copying):
        module.os = relaxed  # type: ignore[attr-defined]


def plant(name: str) -> None:
    globals()[name]()
