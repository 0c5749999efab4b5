"""Which notes there are: the list of checks, looked at as an operator's options say."""

from __future__ import annotations

from persistence.engine.contract import Database
from persistence.proof.balance_notes import BALANCE_NOTES
from persistence.proof.note_checks import RECORD_NOTES
from persistence.proof.notes import Looked, NoteCheck, Terms, look
from persistence.proof.order_notes import ORDER_NOTES
from persistence.proof.rollup_notes import ROLLUP_NOTES
from persistence.proof.stray_notes import STRAY_NOTES
from scheduler.rollup.options import RollupPlan

#: Every check of what is odd, in the order in which notes are told.
NOTE_CHECKS: tuple[NoteCheck, ...] = (*BALANCE_NOTES, *ORDER_NOTES, *RECORD_NOTES, *ROLLUP_NOTES, *STRAY_NOTES)


def look_for_notes(database: Database, plan: RollupPlan, now: int, *, anew: bool = False, known: bool = False) -> Looked:
    """Every open note. `anew` reads all facts again, not only those that are new; `known` none of those."""
    terms = Terms(lambda account_id: plan.of(account_id).usd_like, lambda account_id: plan.of(account_id).dust_notional_usd)
    return look(database, NOTE_CHECKS, terms, now, anew=anew, known=known)


__all__ = ["NOTE_CHECKS", "look_for_notes"]
