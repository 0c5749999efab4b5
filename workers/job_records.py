"""Requests for jobs, as they arrive."""

from __future__ import annotations

import json
from datetime import date as Date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.jobs import JobRequest
from workers.conditions import JOB
from workers.fields import Day, Id

#: As of every other id.
LONGEST_ID = 128


class JobRecord(BaseModel):
    """A run of a job, filed in the table of runs for the scheduler. The dates and the account are for the rollup alone."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra=JOB)

    job: Annotated[
        Literal["rollup", "checkpoint", "seal", "statistics", "backup", "verification", "restore_drill", "clean_up"], Field(description="what to run")
    ]
    request_id: Annotated[Id | None, Field(description="the same id again is the same run; default: the message's id")] = None
    account_id: Annotated[Id | None, Field(description="only this account")] = None
    date: Annotated[Day | None, Field(description="read this day anew")] = None
    start: Annotated[Day | None, Field(alias="from", description="read everything from this day on anew")] = None
    end: Annotated[Day | None, Field(alias="to", description="up to this day")] = None
    rebuild: Annotated[StrictBool, Field(description="derive everything anew from the recorded facts")] = False
    producer: Annotated[Id | None, Field(description="who asks, for noticing gaps")] = None
    sequence: Annotated[StrictInt | None, Field(ge=0, le=2**63 - 1, description="+1 per record of that producer")] = None

    @model_validator(mode="after")
    def _only_for_rollups(self) -> Self:
        if self.job != "rollup" and self._arguments():
            raise PydanticCustomError("job", "{job} takes no arguments; account_id, date, from, to and rebuild are for rollup", {"job": self.job})
        return self

    def _arguments(self) -> dict[str, Any]:
        given = {"account_id": self.account_id, "date": self.date, "start": self.start, "end": self.end, "rebuild": self.rebuild}
        return {name: value.isoformat() if isinstance(value, Date) else value for name, value in given.items() if value}

    def request(self, message_id: str) -> JobRequest:
        """The run that is asked for. Raises `Invalid` where the id of its message, which stands in for a missing one, cannot be an id."""
        if self.request_id is None and not (1 <= len(message_id) <= LONGEST_ID and message_id.isprintable() and message_id == message_id.strip()):
            raise Invalid(
                f"the message's id is {message_id!r:.60} ({len(message_id):,} characters), and there is no request_id; "
                f"give a request_id of 1 to {LONGEST_ID} printable characters"
            )
        return JobRequest(self.request_id or message_id, self.job, json.dumps(self._arguments(), sort_keys=True), self.producer, self.sequence)
