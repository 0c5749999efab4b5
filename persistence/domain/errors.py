"""What can go wrong in the books, in families that tell a caller what to do.

`Invalid` and its kin are wrong for ever: the same input fails again, so it is quarantined or shown to whoever sent it.
`Unavailable` and its kin are wrong for now: the same call may succeed later, so it is kept and tried again.
"""

from __future__ import annotations

from jarvis_client.contract.errors import BooksError, Invalid, Unavailable


class CurrencyMismatch(Invalid):
    """Two currencies met in one calculation."""


class InsufficientFunds(Invalid):
    """An entity was asked to give more than it has available."""


class Conflict(Invalid):
    """An identity is recorded already with other content, or by another account."""


class RuleBroken(Invalid):
    """Rows that break a rule of the store itself, which no earlier check knows."""


class AccountDeleted(Invalid):
    """A message names an account that was deleted; only an explicit save reopens it."""


class Immutable(BooksError):
    """Recorded facts do not change or vanish; a void corrects them."""


class WrongDatabase(BooksError):
    """The file is not ours, newer than this program, or damaged beyond opening. Never written to."""


class BooksGone(WrongDatabase):
    """There is no file where something says that there were books. New ones are not put in their place unasked."""


class OtherBooks(WrongDatabase):
    """Another id of the books than the one that was opened here, or that this place belongs to."""


class DatabaseDeleted(WrongDatabase):
    """The file was deleted while it was open. What it held was written to a copy; the message says where that is."""


class LostCommits(WrongDatabase):
    """The books hold fewer commits than were made durable; the message has the missing range and the way back."""


class Damaged(WrongDatabase):
    """A page of the file is not what was written to it."""


class WrongFolder(Unavailable):
    """A folder is not the one that was used so far, or nothing is where it should be made: perhaps a disk is not mounted."""


class TookTooLong(Unavailable):
    """A reader asked for more than can be read in the time that it may hold a snapshot."""


class Overtaken(Unavailable):
    """Another commit was faster, so that nothing of this one was recorded. The same call may succeed at once."""


class CommitUnknown(Unavailable):
    """COMMIT failed, so the commit may or may not be on disk. Reopen, and let identities settle what was applied."""
