"""Jobs that can be asked for: their names, and a request as it is filed in the table of runs."""

from __future__ import annotations

import json
from datetime import date as Date
from typing import Any, NamedTuple

from jarvis_client.contract.errors import Invalid, MalformedRecord
from jarvis_client.contract.form import REQUIRED, Field, listed, problems_of
from jarvis_client.contract.values import LONGEST_ID, OneOf, day, flag, identity, sequence

#: What the scheduler can be asked to run, by hand or by a message.
JOB_NAMES = ("rollup", "checkpoint", "seal", "statistics", "backup", "verification", "restore_drill", "export", "clean_up")

JOB_SAYS = "A run of a job, filed in the table of runs for the scheduler. The dates and the account are for the rollup alone."
JOB_FIELDS = (
    Field("job", OneOf(*JOB_NAMES).read, "what to run", REQUIRED),
    Field("request_id", identity, "the same id again is the same run; default: the message's id"),
    Field("account_id", identity, "only this account"),
    Field("date", day, "read this day anew"),
    Field("from", day, "read everything from this day on anew"),
    Field("to", day, "up to this day"),
    Field("rebuild", flag, "derive everything anew from the recorded facts", False),
    Field("producer", identity, "who asks, for noticing gaps"),
    Field("sequence", sequence, "+1 per record of that producer"),
)
#: The arguments of a rollup, by the name of the field, as they are filed.
_ARGUMENTS = {"account_id": "account_id", "date": "date", "from": "start", "to": "end", "rebuild": "rebuild"}


class JobRequest(NamedTuple):
    """A run somebody asked for. Its id keeps it from being filed twice; `arguments` is a JSON object."""

    request_id: str
    job: str
    arguments: str
    producer: str | None = None
    sequence: int | None = None


def job_of(record: Any, message_id: str) -> JobRequest:
    """The run that a decoded job record asks for. Raises `MalformedRecord`, also where the id of its message cannot stand in for a missing one."""
    if type(record) is not dict:
        raise MalformedRecord(f"a job must be a JSON object, not {type(record).__name__}")
    known = [field.name for field in JOB_FIELDS]
    problems = [problem for field in JOB_FIELDS for problem in problems_of(field, record)]
    problems += [(f"{name!s:.60}", f"is no field of it; there are {', '.join(known)}") for name in record if name not in known]
    if problems:
        raise MalformedRecord(f"job: {'; '.join(listed(problems))}")
    values = {field.name: field.default if record.get(field.name) is None else field.check(record[field.name]) for field in JOB_FIELDS}
    try:
        return _request(values, message_id)
    except Invalid as error:
        raise MalformedRecord(f"job: {error}") from None


def _request(values: dict[str, Any], message_id: str) -> JobRequest:
    arguments = {filed: value.isoformat() if isinstance(value, Date) else value for name, filed in _ARGUMENTS.items() if (value := values[name])}
    if values["job"] != "rollup" and arguments:
        raise Invalid(f"{values['job']} takes no arguments; account_id, date, from, to and rebuild are for rollup")
    request_id = values["request_id"] or message_id
    if values["request_id"] is None and not (1 <= len(message_id) <= LONGEST_ID and message_id.isprintable() and message_id == message_id.strip()):
        raise Invalid(
            f"the message's id is {message_id!r:.60} ({len(message_id):,} characters), and there is no request_id; "
            f"give a request_id of 1 to {LONGEST_ID} printable characters"
        )
    return JobRequest(request_id, values["job"], json.dumps(arguments, sort_keys=True), values["producer"], values["sequence"])
