"""What a broker's errors mean: which pass by themselves, which do not, and what to do. The one catalogue of all who speak to it.

An error is known by the name of its class and by its text, so that nothing here loads a client. Redis's own words are kept; the
remedy stands beside them.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from jarvis_client.contract.address import Address, read_address
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import hide_passwords

#: A failover is over within seconds, and so is a hiccup of the name service; what lasts longer stands in the settings.
FAILOVER_SECONDS = 60.0


#: Of a command in a pipeline the client repeats everything that was sent; its name and its key are enough.
_OF_A_PIPELINE = re.compile(r"^Command # \d+ \((\S+(?: \S+)?)(?: .*?)?\) of pipeline caused error: ", re.DOTALL)


class Fault(NamedTuple):
    """What is wrong with a broker, as its log lines say it behind "broker", and what to do."""

    predicate: str
    remedy: str
    #: For so long it may pass by itself; 0: it never does.
    patience: float = 0.0

    @property
    def clause(self) -> str:
        """The rest of a sentence that begins "the broker"."""
        return self.predicate.replace("not reachable", "is not reachable")

    def event(self, grave: bool) -> str:
        """What a worker's log says of it; grave: it does not pass by itself."""
        return f"broker {self.predicate}" + ("" if grave else ", trying again")

    def sentence(self, error: BaseException) -> str:
        """What people are told of an error of this kind."""
        return f"the broker {self.clause}: {words_of(error).rstrip('.')}; {self.remedy}"


NOT_REACHABLE = Fault("not reachable", "is it running, and is broker.url the right one?", math.inf)
REFUSED = Fault("refuses", "its documentation says what this answer means", math.inf)
UNREADABLE_FILE = Fault("needs a file that cannot be read", "")
CLOSED_SOCKET = Fault("has a socket that this user may not open", "put the user into the socket's group, or set unixsocketperm to 770 for it")
WRONG_TYPE = Fault("holds a key of the wrong type", "find it (redis-cli TYPE of the keys of the queues below broker.namespace), rename or delete it")
REPLICA = Fault("is a replica, which takes no writes", "a failover passes; otherwise name the primary in broker.url", FAILOVER_SECONDS)
NO_DISK = Fault("cannot write to its disk", "free space or mend the disk under its folder; its own log says what failed")
NO_PRIMARY = "no primary is found"
SLOT_MOVES = "the slot of our namespace is moving"
WITHOUT_PRIMARY = Fault(
    "has no primary now",
    "a failover passes; otherwise see that those run which broker.url names, and that they know this primary (jarvis doctor asks each of them)", math.inf,
)  # fmt: skip
MOVING = Fault("moves our namespace to another node", "nothing: it passes", FAILOVER_SECONDS)
TOO_FEW_REPLICAS = Fault("has too few replicas", "start the replicas that its min-replicas-to-write asks for", math.inf)
LOADING = Fault("is loading its file", "nothing: it answers once its records are read", math.inf)
LOST_PRIMARY = Fault("has lost its primary", "start the primary again, or finish the failover", math.inf)
LOST_PART = Fault("has lost a part of its cluster", "bring the cluster back (redis-cli --cluster check)", math.inf)
TOO_OLD = Fault("is too old", "install Redis 6.2 or newer, or any Valkey")

#: (part of the class's name or of the text, in lower case; what it means). The first that fits counts.
CATALOGUE: tuple[tuple[tuple[str, ...], Fault], ...] = (
    ((NO_PRIMARY,), WITHOUT_PRIMARY),
    ((SLOT_MOVES,), MOVING),
    (("busyloadingerror", "loading redis is", "loading valkey is"), LOADING),
    (("readonlyerror", "read only replica", "previous master is now a slave"), REPLICA),
    (("masterdownerror", "masterdown"), LOST_PRIMARY),
    (("noreplicas",), TOO_FEW_REPLICAS),
    (("clusterdownerror", "clusterdown", "tryagainerror"), LOST_PART),
    (("crossslot", "movederror", "askerror", "moved ", "hash to the same slot", "not allowed in cluster mode"), Fault(
        "is a cluster",
        "write redis+cluster:// in broker.url, and broker.namespace as a name in braces, such as '{jarvis}', for workers and engines alike")),
    (("authenticationerror", "authenticationwrongnumber", "wrongpass", "noauth", "invalid password", "without any password configured"), Fault(
        "refuses user or password", "correct user and password in broker.url, or the user in Redis (ACL LIST)")),
    (("nopermissionerror", "authorizationerror", "noperm", "no permissions"), Fault(
        "grants too few rights", "grant the command or the key that it names: deploy/redis/users.acl has all that workers and engines need, for the keys of "
        "one namespace")),
    (("denied redis", "denied valkey", "protected mode"), Fault(
        "is in protected mode", "set a password (requirepass) or a user there, and name it in broker.url")),
    (("outofmemoryerror", "oom command", "> 'maxmemory'"), Fault("is full", "let the workers catch up, or raise its maxmemory")),
    (("misconf",), NO_DISK),
    (("wrongtype",), WRONG_TYPE),
    (("busy redis is", "busy valkey is", "busy running a script"), Fault("is busy with a script", "wait, or end the script (SCRIPT KILL)", math.inf)),
    (("max number of clients", "too many connections", "maxconnectionserror"), Fault(
        "takes no more connections", "raise its maxclients, or look who holds them (CLIENT LIST)", math.inf)),
    (("db index is out of range", "invalid db index"), Fault("has no such database", "correct the number behind the host in broker.url")),
    (("unknown command", "unknown redis command"), TOO_OLD),
    (("invalidresponse", "protocol error"), Fault("is no Redis", "something else answers there: correct host and port in broker.url")),
    (("certificate", "[ssl", "[x509", "sslerror", "ssl:"), Fault(
        "cannot be spoken to by TLS", "look at its certificate, its host name and the ssl_ options of broker.url; redis:// is without TLS")),
    (("name or service not known", "nodename nor servname", "temporary failure in name", "no address associated"), Fault(
        "has a host that is not known", "correct the host in broker.url, or mend the name service", FAILOVER_SECONDS)),
)  # fmt: skip


def words_of(error: BaseException) -> str:
    """What the broker or the client said, without the record that it was said of."""
    said = _OF_A_PIPELINE.sub(r"\1: ", str(error), count=1)
    return hide_passwords(said) or type(error).__name__


def fault_of(error: BaseException, url: str = "") -> Fault:
    """What an error of the broker at a URL means."""
    text = f"{type(error).__name__} {error}".lower()
    for signs, fault in CATALOGUE:
        if any(sign in text for sign in signs):
            return _with_file(url) or fault if "certificate" in signs else fault
    if "error 13 " in text or "error 2 " in text or "error 21 " in text:
        found = _with_file(url)
        if found is not None:
            return found
        if "error 13 " in text and url.startswith("unix://"):
            return CLOSED_SOCKET
    answered = {"ResponseError", "DataError"} & {kind.__name__ for kind in type(error).__mro__}
    return REFUSED if answered else NOT_REACHABLE


def passes_with_a_failover(error: BaseException, url: str = "") -> bool:
    """Whether another server may take over what this error is of, so that it is worth while to wait for it."""
    return fault_of(error, url) in (NOT_REACHABLE, WITHOUT_PRIMARY, REPLICA, MOVING, TOO_FEW_REPLICAS, LOADING, LOST_PRIMARY, LOST_PART)


def _with_file(url: str) -> Fault | None:
    """The fault of a file that the URL names for TLS and that cannot be read; the client's own error does not say which it is."""
    problem = address.unreadable_file() if (address := _address(url)) is not None else None
    return None if problem is None else UNREADABLE_FILE._replace(remedy=problem)


def _address(url: str) -> Address | None:
    try:
        return read_address(url)
    except Invalid:
        return None
