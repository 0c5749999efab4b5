"""What would become of lines of records, told without a broker and without books."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.outcome import Reason, Refusal
from persistence.domain.entries import AnyFact
from workers.meanings import meaning_of
from workers.messages import item_of_line

APPLIED, DUPLICATE, REFUSED = "applied", "duplicate", "refused"


@dataclass(frozen=True, slots=True)
class Foretold:
    """What would become of one line: `detail` says what it means to the books, or why it is refused; `keeps` names unknown fields."""

    line: int
    outcome: str
    detail: str
    reason: str = ""
    kind: str | None = None
    account_id: str | None = None
    id: str | None = None
    keeps: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        named = " ".join(filter(None, (self.kind, self.id))) + (f" of {self.account_id}" if self.account_id else "")
        kept = f" (keeps {', '.join(self.keeps)})" if self.keeps else ""
        head = f"line {self.line}: {self.outcome}"
        # A refusal of the contract names its kind itself.
        return f"{head}: {named}: {self.detail}{kept}" if named and self.outcome != REFUSED else f"{head}: {self.detail}"


@dataclass(slots=True)
class Preview:
    """Foretells lines in their order, and remembers what came before: identities, and the digest of what they stand for."""

    conventions: Conventions = DEFAULT_CONVENTIONS
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((APPLIED, DUPLICATE, REFUSED), 0))
    _seen: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)

    def of(self, line: bytes, number: int) -> Foretold:
        """What would become of a line, as far as the lines before it and the settings tell; the books may know it already."""
        item = item_of_line(line, number, self.conventions)
        if isinstance(item, Refusal):
            detail = item.detail.removeprefix(f"line {number}: ")
            told = Foretold(number, REFUSED, detail, item.reason, item.kind, item.account_id, item.record_id)
        else:
            told = self._of_fact(item, number)
        self.counts[told.outcome] += 1
        return told

    def _of_fact(self, fact: AnyFact, number: int) -> Foretold:
        identity = hashlib.sha256("\x1f".join(fact.identity).encode()).digest()[:16]
        first, digest = self._seen.setdefault(identity, (number, fact.digest))
        of_record = (fact.kind, fact.account_id or None, fact.record_id)
        if first == number:
            keeps = tuple(json.loads(text)) if (text := getattr(fact, "extra", None)) else ()
            return Foretold(number, APPLIED, meaning_of(fact), "", *of_record, keeps)
        if digest == fact.digest:
            return Foretold(number, DUPLICATE, f"line {first} says the same", "", *of_record)
        said = f"{fact.kind} {fact.record_id} stands in line {first} with other content; publish a void of it, and this record under a new id"
        return Foretold(number, REFUSED, said, str(Reason.CONFLICT), *of_record)
