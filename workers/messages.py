"""From a line of the NDJSON form to a fact, or why there is none; and what of a refused record can be told."""

from __future__ import annotations

from typing import Any

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.facts import StatedFact
from jarvis_client.contract.forms import FORMS, fact_of
from jarvis_client.contract.outcome import Reason, Refusal
from jarvis_client.contract.routes import MAX_MESSAGE_BYTES
from workers.wire import decode_json


def item_of_line(line: bytes, number: int, conventions: Conventions = DEFAULT_CONVENTIONS) -> StatedFact | Refusal:
    """What one line of the NDJSON form states: a fact, or why it cannot be applied (with the number of its line)."""
    record: Any = None
    kind = ""
    try:
        kind, record = kind_and_record(line)
        return fact_of(kind, record, conventions)
    except MalformedRecord as error:
        return refusal(line, kind, record, f"line {number}: {error}")


def kind_and_record(line: bytes) -> tuple[str, dict[str, Any]]:
    """The type and the record of an NDJSON line, unchecked. Raises `MalformedRecord` where it is none."""
    if len(line) > MAX_MESSAGE_BYTES:
        raise MalformedRecord(f"a line of {len(line)} bytes; at most {MAX_MESSAGE_BYTES} are taken")
    record = decode_json(line)
    if type(record) is not dict or type(record.get("type")) is not str:
        raise MalformedRecord(f'not a record: a line is a JSON object with a "type", one of {", ".join(FORMS)}')
    return record.pop("type"), record


def refusal(raw: bytes, kind: str, record: Any, detail: str) -> Refusal:
    """A refused record with whatever can be read of its identity, for filters."""
    fields = record if type(record) is dict else {}
    id_field = FORMS[kind].id_field if kind in FORMS else ""

    def text(name: str) -> str | None:
        value = fields.get(name)
        return value if type(value) is str and 1 <= len(value) <= 128 and value.isprintable() else None

    sequence = fields.get("sequence")
    number = sequence if type(sequence) is int and 0 <= sequence < 2**63 else None
    known_kind = kind if kind and kind.isprintable() and len(kind) <= 64 else None
    reason = Reason.UNKNOWN_KIND if known_kind and kind not in FORMS and kind != "job" else Reason.MALFORMED
    return Refusal(raw, str(reason), detail, known_kind, text("account_id"), text(id_field), text("producer"), number)
