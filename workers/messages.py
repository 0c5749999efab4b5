"""The wire contract: what a trading engine publishes, checked and turned into facts.

A record that breaks a rule raises `MalformedRecord`, whose message names the field, the value, the rule and the remedy. The envelope
is Dramatiq's own.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import Invalid, MalformedRecord
from jarvis_client.contract.jobs import JobRequest
from jarvis_client.contract.near_misses import refuse_near_misses
from jarvis_client.contract.outcome import Reason, Refusal
from jarvis_client.contract.routes import MAX_MESSAGE_BYTES
from jarvis_client.contract.showing import shown
from persistence.domain.entries import AnyFact
from workers.job_records import JobRecord
from workers.records import RECORDS, ChargeRecord, Record
from workers.wire import decode_json


def fact_of(kind: str, record: Any, conventions: Conventions = DEFAULT_CONVENTIONS) -> AnyFact:
    """The fact that a decoded record states. Raises `MalformedRecord`."""
    model = RECORDS.get(kind)
    if model is None:
        raise MalformedRecord(f"the kind {str(kind)!r:.60} is unknown; there are {', '.join(RECORDS)}")
    if type(record) is not dict:
        raise MalformedRecord(f"a {kind} must be a JSON object, not {type(record).__name__}")
    try:
        return model.__pydantic_validator__.validate_python(record).fact(conventions)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise MalformedRecord(_explain(kind, error) + _meant(model, record)) from None
    except (Invalid, ValueError, OverflowError, RecursionError) as error:
        raise MalformedRecord(f"{kind}: {error}") from None


def _meant(model: type[Record], record: dict[str, Any]) -> str:
    """Why a field that is missing may be there after all, under a name that looks like it."""
    try:
        refuse_near_misses(model.kind, tuple(name for name in record if name not in model.names()), model.names())
    except Invalid as error:
        return f"; {error}"
    return ""


_TEXT_RULES = {
    **dict.fromkeys(("currency", "fee_currency", "base", "quote", "settle"), '1 to 32 printable characters without spaces, such as "USDT"'),
    **dict.fromkeys(("description", "reference", "reason"), "at most 2,000 characters without control characters"),
    "order_type": "1 to 64 printable characters, without blanks at its ends",
}


def _explain(kind: str, error: ValidationError) -> str:
    parts = []
    # Of fees, what is wrong with a list of them counts; that they are not the empty list that stands for null says nothing.
    problems = [p for p in error.errors(include_url=False) if "tuple[]" not in p["loc"]]
    for problem in problems[:5]:
        name = ".".join(str(p) for p in problem["loc"] if p != "list[ChargeRecord]") or kind
        said = problem["msg"]
        match problem["type"]:
            case "missing":
                said = "is missing"
            case "string_pattern_mismatch" | "string_too_long" | "string_too_short" | "string_type" | "string_unicode":
                said = f"is {shown(problem.get('input'))}; it must be {_TEXT_RULES.get(name, '1 to 128 printable characters, without blanks at its ends')}"
            case "extra_forbidden":
                model = JobRecord if kind == "job" else ChargeRecord  # records themselves keep unknown fields
                said = f"is no field of it; there are {', '.join(f.alias or n for n, f in model.model_fields.items())}"
            case "list_type":
                said = f"is {shown(problem.get('input'))}; it must be a list of objects with currency and amount"
            case "too_long":
                said = f"holds {problem['ctx']['actual_length']} fees; at most {problem['ctx']['max_length']} are taken: publish the others as fee records"
            case "literal_error":
                said = f"is {shown(problem.get('input'))}; it must be {problem['ctx']['expected']}"
        parts.append(f"{name}: {said}")
    return f"{kind}: {'; '.join(parts)}"


def job_of(record: Any, message_id: str) -> JobRequest:
    """The run that a decoded job record asks for. Raises `MalformedRecord`."""
    try:
        return JobRecord.model_validate(record, by_alias=True).request(message_id)
    except ValidationError as error:
        raise MalformedRecord(_explain("job", error)) from None
    except Invalid as error:
        raise MalformedRecord(f"job: {error}") from None


def item_of_line(line: bytes, number: int, conventions: Conventions = DEFAULT_CONVENTIONS) -> AnyFact | Refusal:
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
        raise MalformedRecord(f'not a record: a line is a JSON object with a "type", one of {", ".join(RECORDS)}')
    return record.pop("type"), record


def refusal(raw: bytes, kind: str, record: Any, detail: str) -> Refusal:
    """A refused record with whatever can be read of its identity, for filters."""
    fields = record if type(record) is dict else {}
    id_field = RECORDS[kind].id_field if kind in RECORDS else ""

    def text(name: str) -> str | None:
        value = fields.get(name)
        return value if type(value) is str and 1 <= len(value) <= 128 and value.isprintable() else None

    sequence = fields.get("sequence")
    number = sequence if type(sequence) is int and 0 <= sequence < 2**63 else None
    known_kind = kind if kind and kind.isprintable() and len(kind) <= 64 else None
    reason = Reason.UNKNOWN_KIND if known_kind and kind not in RECORDS and kind != "job" else Reason.MALFORMED
    return Refusal(raw, str(reason), detail, known_kind, text("account_id"), text(id_field), text("producer"), number)
