"""Who else is at work in a namespace: Dramatiq workers of other programs, by the heartbeats and the holdings that Dramatiq keeps in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jarvis_client.contract.errors import HeldElsewhere

#: Workers of any make that are looked at: the last that beat.
MOST_HOLDERS = 500


def holders(client: Any, namespace: str) -> list[bytes]:
    """Every worker that has beaten, of whatever make."""
    names: list[bytes] = client.zrange(f"{namespace}:__heartbeats__", -MOST_HOLDERS, -1)
    return names


def holdings_of(namespace: str, name: bytes, queue: str) -> bytes:
    return f"{namespace}:__acks__.".encode() + name + f".{queue}".encode()


def of_other_makes(names: Iterable[bytes]) -> list[bytes]:
    return [name for name in names if not name.startswith(b"jarvis-")]


def beats_and_queues(client: Any, namespace: str, queues: Sequence[str], names: Iterable[bytes]) -> dict[bytes, tuple[float, list[str]]]:
    """When each of these workers last beat, in milliseconds by its own clock, and of which queues it holds something."""
    names = list(names)
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.zscore(f"{namespace}:__heartbeats__", name)
            for queue in queues:
                pipeline.exists(holdings_of(namespace, name, queue))
        found = iter(pipeline.execute())
    return {name: (next(found) or 0.0, [queue for queue in queues if next(found)]) for name in names}


def refuse_other_programs(client: Any, namespace: str, queues: Sequence[str], silent_seconds: float) -> None:
    """Raises `HeldElsewhere` where a Dramatiq worker of another program, silent for less than that, is at work on one of these queues."""
    seconds, _ = client.time()
    for name, (score, held) in beats_and_queues(client, namespace, queues, of_other_makes(holders(client, namespace))).items():
        if held and abs(seconds - score / 1000) < silent_seconds:
            raise HeldElsewhere(
                f"a Dramatiq worker of another program ({shown_name(name)}) is at work on {', '.join(held)} in the namespace "
                f"{namespace!r} of this broker; give this one another broker.namespace (JARVIS_BROKER__NAMESPACE), and the engines "
                f"that publish to it the same; where that worker was to be replaced, stop it and start again after {silent_seconds:g} s"
            )


def shown_name(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
