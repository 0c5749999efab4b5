"""A folder of JSON files, read as the entities that they hold, whatever the form: one file or many, lists or mappings by id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from jarvis.migration.values import plain
from jarvis_client.contract.errors import Invalid

ACCOUNTS, BALANCES, TRANSACTIONS, ORDERS, METRICS = KINDS = ("accounts", "balances", "transactions", "orders", "metrics")
#: What files, folders and the keys of files call each kind of entity.
_CALLED = {
    "account": ACCOUNTS, "accounts": ACCOUNTS, "balance": BALANCES, "balances": BALANCES, "transaction": TRANSACTIONS, "transactions": TRANSACTIONS,
    "order": ORDERS, "orders": ORDERS, "metric": METRICS, "metrics": METRICS, "performance": METRICS, "performancemetrics": METRICS,
}  # fmt: skip
#: What surrounds the name of an account in the name of a file: performance_metrics_acc_001.json.
_NOISE = ("paper", "trading", "history", "daily", "all", "data")
#: A field that tells an entity from a mapping of entities by their ids.
_OWN = {
    ACCOUNTS: ("accountid", "id", "name", "balance", "balances"), BALANCES: ("available", "reserved", "currency", "balance", "balances"),
    TRANSACTIONS: ("transactiontype", "type", "amount"), ORDERS: ("symbol", "side", "orderid", "quantity"), METRICS: ("totalvalueusd", "date", "pnldaily"),
}  # fmt: skip
_ID = {ACCOUNTS: "account_id", TRANSACTIONS: "transaction_id", ORDERS: "order_id"}


@dataclass(slots=True)
class Entity:
    """One old entity: its fields by their plain names, what the file called them, and where it stands."""

    fields: dict[str, Any]
    where: str
    names: dict[str, str] = field(default_factory=dict)
    #: Fields that were asked for.
    used: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, found: dict[str, Any], where: str) -> Entity:
        return cls({plain(name): value for name, value in found.items()}, where, {plain(name): name for name in found})

    def get(self, *names: str) -> Any:
        """The first of these fields that is there and not null."""
        for name in names:
            self.used.add(name)
        return next((self.fields[name] for name in names if self.fields.get(name) is not None), None)

    def rest(self) -> dict[str, Any]:
        """What was not asked for, by its own names."""
        return {self.names.get(name, name): value for name, value in self.fields.items() if name not in self.used and value is not None}


@dataclass(slots=True)
class Folder:
    """What a folder holds: entities by their kind; what could not be read; files whose names say nothing."""

    entities: dict[str, list[Entity]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    files: int = 0
    problems: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def read(folder: Path) -> Folder:
    """Every JSON file of a folder and of the folders in it, in the order of their paths. Raises `Invalid` where there is none."""
    if not folder.is_dir():
        raise Invalid(f"{folder} is no folder; name the one that the engine kept its JSON files in")
    found = Folder()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix not in (".json", ".jsonl", ".ndjson"):
            found.passed_over.append(name)
            continue
        try:
            content = _content(path)
        except (ValueError, RecursionError) as error:
            found.problems.append(f"{name} is no JSON: {error}")
            continue
        try:
            taken = _read_file(found, path.relative_to(folder), content)
        except Invalid as error:
            found.problems.append(str(error))
            continue
        found.files += taken
        if not taken:
            found.passed_over.append(name)
    return found


def _content(path: Path) -> Any:
    text = path.read_text("utf-8-sig")
    # Numbers as they are written: 0.1 is a tenth here.
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal)
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]


def _read_file(found: Folder, path: Path, content: Any) -> bool:
    """Take what a file holds; False where neither its name nor its keys say what that is."""
    kind, account = _named(path)
    if kind is not None:
        content, account = _unwrapped(content, kind, account)
        for entity in _entities(kind, content, str(path), account):
            _take(found, kind, entity)
        return True
    if not isinstance(content, dict):
        return False
    known = {key: _CALLED[plain(key)] for key in content if plain(key) in _CALLED}
    for key, kind in known.items():
        for entity in _entities(kind, content[key], f"{path}: {key}", None):
            _take(found, kind, entity)
    return bool(known)


def _named(path: Path) -> tuple[str | None, str | None]:
    """The kind of entity that a path names, and the account that a file is called after."""
    for depth, part in enumerate((path.stem, *reversed(path.parts[:-1]))):
        words = [w for w in re.split(r"[^0-9A-Za-z]+", part) if w]
        kinds = [_CALLED[w.casefold()] for w in words if w.casefold() in _CALLED]
        if kinds:
            kind = METRICS if METRICS in kinds else kinds[-1] if kinds[0] == ACCOUNTS and len(set(kinds)) > 1 else kinds[0]
            if depth:
                return kind, path.stem
            rest = re.sub(rf"(?i)(^|[_\-. ])({'|'.join((*_CALLED, *_NOISE))})(?=[_\-. ]|$)", "", part).strip("_-. ")
            # accounts/acc_001/orders.json
            in_its_folder = len(path.parts) > 2 and _CALLED.get(path.parts[-3].casefold()) == ACCOUNTS
            return kind, rest or (path.parts[-2] if in_its_folder else None)
    return None, None


def _unwrapped(content: Any, kind: str, account: str | None) -> tuple[Any, str | None]:
    """What lies below the kind's own name, where a file says it once more, and the account that it says beside it."""
    if isinstance(content, dict):
        names = {plain(name): name for name in content}
        inner = next((content[name] for short, name in names.items() if _CALLED.get(short) == kind and isinstance(content[name], list | dict)), None)
        # An entity of its own has the fields of one beside it; a balance has its account.
        own = "accountid" if kind == BALANCES else _OWN[kind][0]
        if inner is not None and own not in names:
            return inner, str(content[names["accountid"]]) if "accountid" in names else account
    return content, account


def _entities(kind: str, content: Any, where: str, account: str | None) -> Iterator[Entity]:
    """Each entity of a value: a list of them, one alone, or a mapping by their ids or by their accounts."""
    if isinstance(content, list):
        for number, element in enumerate(content, 1):
            yield from _one(kind, element, f"{where}, number {number}", {"account_id": account})
        return
    if not isinstance(content, dict):
        raise Invalid(f"{where} holds {content!r:.60}; {kind} are JSON objects")
    if any(plain(name) in _OWN[kind] for name in content):
        yield from _one(kind, content, where, {"account_id": account})
        return
    for key, element in content.items():
        place = f"{where}, {key}"
        if isinstance(element, list) and kind != BALANCES:
            yield from _entities(kind, element, place, str(key))
        elif kind == METRICS and isinstance(element, dict) and not any(plain(name) in _OWN[kind] for name in element):
            yield from _days(element, place, str(key))
        elif kind == METRICS:
            yield from _one(kind, element, place, {"date": str(key), "account_id": account})
        elif kind in _ID:
            yield from _one(kind, element, place, {_ID[kind]: str(key), "account_id": str(key) if kind == ACCOUNTS else account})
        elif account is not None:
            yield from _one(kind, {"balance": content}, where, {"account_id": account})
            return
        else:
            yield from _one(kind, {"balance": element}, place, {"account_id": str(key)})


def _days(content: dict[str, Any], where: str, account: str) -> Iterator[Entity]:
    for day, element in content.items():
        yield from _one(METRICS, element, f"{where}, {day}", {"date": str(day), "account_id": account})


def _one(kind: str, element: Any, where: str, implied: dict[str, Any]) -> Iterator[Entity]:
    if not isinstance(element, dict):
        raise Invalid(f"{where} is {element!r:.60}; it must be a JSON object")
    entity = Entity.of(element, where)
    for name, value in implied.items():
        # An account's or an order's plain `id` is its own.
        if value is not None and entity.fields.get(plain(name)) is None and not (name == _ID.get(kind) and entity.fields.get("id") is not None):
            entity.fields[plain(name)] = value
    yield entity


def _take(found: Folder, kind: str, entity: Entity) -> None:
    """Keep an entity, and those that lie in it."""
    found.entities[kind].append(entity)
    if kind != ACCOUNTS:
        return
    account = entity.get("accountid", "id")
    for name in ("transactions", "transactionhistory", "orders", "metrics", "performance", "performancemetrics"):
        inner = entity.get(name)
        if inner:
            below = _CALLED.get(name, TRANSACTIONS)
            for element in _entities(below, inner, f"{entity.where}, {name}", str(account)):
                _take(found, below, element)
