"""What is told, as text for people and as JSON for programs. docs/operating.md has the fields; they keep their names and meanings."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from jarvis.status.alarms import Raised
from jarvis_client.contract.instants import to_text
from persistence.domain.showing import count_of, lasting, moment

#: What a message tells of; more is only counted. A page of a phone holds fewer.
MOST_ALARMS = 30
#: A subject of mail, or the first line of a notification.
TITLE_LETTERS = 150


class Kind(StrEnum):
    """Of one alarm, and of a message: that of its most pressing alarm. `again` is the kind of an alarm only."""

    RAISED = "raised"
    AGAIN = "again"
    """Told as over not long ago, and back."""
    STILL = "still"
    OVER = "over"
    SUMMARY = "summary"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: `folder` is that of the database."""

    version: str
    host: str
    folder: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of one alarm. `until` is now, or when it was found to be over."""

    kind: Kind
    alarm: Raised
    since: int
    until: int

    @property
    def lasted_seconds(self) -> int:
        return max(0, (self.until - self.since) // 1_000_000)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel: about alarms, or (`lines`) a summary or a test with its `title`."""

    origin: Origin
    kind: Kind
    alarms: tuple[Said, ...] = ()
    headline: str = ""
    lines: tuple[str, ...] = ()

    @classmethod
    def about(cls, origin: Origin, said: list[Said]) -> Message:
        """Of alarms, the most pressing first."""
        order = list(Kind)
        alarms = tuple(sorted(said, key=lambda one: order.index(one.kind)))
        # What is back is as pressing as what is new: whoever sorts messages by their kind wants to be woken all the same.
        return cls(origin, Kind.RAISED if alarms[0].kind is Kind.AGAIN else alarms[0].kind, alarms)

    @property
    def title(self) -> str:
        """One line."""
        if len(self.alarms) == 1:
            [one] = self.alarms
            before = "" if one.kind is Kind.RAISED else f"{one.kind}: "
            told = f"{before}{one.alarm.says}"
        elif self.alarms:
            counts = Counter(one.kind for one in self.alarms)
            told = f"{count_of('alarm', len(self.alarms))}: {', '.join(f'{count:,} {_COUNTED[kind]}' for kind, count in counts.items())}"
        else:
            told = self.headline
        line = " ".join(f"jarvis on {self.origin.host}: {told}".split())
        return line if len(line) <= TITLE_LETTERS else f"{line[: TITLE_LETTERS - 1]}…"

    @property
    def text(self) -> str:
        """Everything, for a person who was asleep a minute ago."""
        paragraphs = [_paragraph(one) for one in self.alarms[:MOST_ALARMS]]
        if (more := len(self.alarms) - MOST_ALARMS) > 0:
            paragraphs.append(f"and {more:,} more: `jarvis alerts list`")
        if self.lines:
            paragraphs.append("\n".join(self.lines))
        paragraphs.append(f"jarvis {self.origin.version} on {self.origin.host}, {self.origin.folder}")
        return "\n\n".join(paragraphs)

    @property
    def as_json(self) -> str:
        return json.dumps(
            {
                "version": self.origin.version,
                "host": self.origin.host,
                "folder": self.origin.folder,
                "kind": self.kind,
                "alarms": [
                    {
                        "kind": one.kind, "name": one.alarm.name, "severity": one.alarm.severity, "subject": one.alarm.subject, "says": one.alarm.says,
                        "remedy": one.alarm.remedy, "since": to_text(one.since), "lasted_seconds": one.lasted_seconds,
                    }
                    for one in self.alarms
                ],
                "title": self.title,
                "text": self.text,
            },
            ensure_ascii=False,
        )  # fmt: skip


#: How several of a kind are counted.
_COUNTED = {Kind.RAISED: "new", Kind.AGAIN: "back", Kind.STILL: "lasting", Kind.OVER: "over"}


def _paragraph(one: Said) -> str:
    lasted = lasting(one.lasted_seconds)
    if one.kind is Kind.OVER:
        return f"OVER after {lasted}: {one.alarm.says}  ({one.alarm.name})"
    severity = one.alarm.severity.upper()
    head = {Kind.RAISED: severity, Kind.AGAIN: f"AGAIN {severity}", Kind.STILL: f"STILL {severity}, for {lasted}"}[one.kind]
    return f"{head}: {one.alarm.says}\nsince {moment(one.since)}  ({one.alarm.name})\nto do: {one.alarm.remedy}"
