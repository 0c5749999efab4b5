"""The thread that looks how the daemon stands and tells people. It raises nothing into the scheduler and holds up none of its ticks:
looking, delivering and pinging are on threads of their own, one each at most, and each has its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import structlog

from jarvis.alerts.channels import Channel
from jarvis.alerts.courier import FAILURES_TOLD, Courier
from jarvis.alerts.look import HANGS_AFTER_SECONDS, Look, Seen
from jarvis.alerts.memory import KeptAlarm, KeptChannel, Memory, load, save
from jarvis.alerts.message import Message, Origin
from jarvis.alerts.ping import Ping
from jarvis.alerts.standing import LOOKS, Holding, Standing
from jarvis.alerts.summary import LATEST_MICROSECONDS, counted_at, newest_slot, summary_of
from jarvis.alerts.told import Told
from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import ALARMS, Raised, raised, unknown
from jarvis.status.model import Status
from jarvis_client.contract import instants
from jarvis_client.contract.instants import is_ahead, to_datetime

log = structlog.get_logger("alerts")

#: How often it sees to what is due; what ends wakes it at once.
TURN_SECONDS = 1.0
#: A delivery under way may end within this when the scheduler stops, which then has most of its own time left.
FINISH_SECONDS = 5.0
#: A defect is said once in so many seconds.
SAY_AGAIN_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When it looks and tells: `alerts` of the settings."""

    look_seconds: float = 15.0
    repeat_seconds: float = 1_800.0
    summary_at: str | None = None
    zone: str = "UTC"
    thresholds: Thresholds = field(default_factory=Thresholds)
    hangs_after: float = HANGS_AFTER_SECONDS


class Notifier:
    """Tells every channel. `clock` is the one on the wall (microseconds UTC), `steady` gives seconds and only goes forward."""

    def __init__(
        self,
        take: Callable[[], Status],
        channels: Sequence[Channel],
        origin: Origin,
        file: Path,
        plan: Plan,
        *,
        ping: Ping | None = None,
        clock: Callable[[], int] = instants.now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin, self._file, self._plan, self._ping = origin, file, plan, ping
        self._clock, self._steady = clock, steady
        self._stopped, self._woken = threading.Event(), threading.Event()
        kept = load(file) or Memory()
        self._standing = Standing(Holding(one.alarm, one.since, seen=LOOKS) for one in kept.standing)
        self._counted = kept.counted
        self._couriers = [self._courier(channel, kept.channels.get(channel.name, KeptChannel())) for channel in channels]
        self._take = take
        self._look = Look(self._see_and_judge, self._woken.set, plan.hangs_after)
        self._next_look = steady() + plan.look_seconds
        self._status: Status | None = None
        self._saved: Memory | None = None
        self._cannot_save = False
        self._said_defect = -SAY_AGAIN_SECONDS
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def _courier(self, channel: Channel, kept: KeptChannel) -> Courier:
        told = Told(self._plan.repeat_seconds, kept.told, now=self._clock(), steady=self._steady())
        return Courier(channel, told, kept, ended=self._woken.set)

    def __enter__(self) -> Self:
        self._thread.start()
        log.info("alarms are told", channels=", ".join(courier.channel.name for courier in self._couriers) or "none", ping=self._ping is not None)
        return self

    def __exit__(self, *_: object) -> None:
        """No further messages; what is being delivered may end, and what was told is kept."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(FINISH_SECONDS)
        deadline = self._steady() + FINISH_SECONDS
        for courier in self._couriers:
            courier.finish(max(0.0, deadline - self._steady()), self._clock(), self._steady())
        self._saved = None  # so that the time of it is written as well
        self._save(self._clock())

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait(TURN_SECONDS)
            self._woken.clear()
            try:
                self.turn()
            except Exception:
                if self._steady() - self._said_defect >= SAY_AGAIN_SECONDS:
                    self._said_defect = self._steady()
                    log.exception("a defect: alarms are perhaps not told")

    def turn(self) -> None:
        """See to what is due: a look, deliveries, the summary, the ping."""
        now, steady = self._clock(), self._steady()
        changed = self._see(now)
        if not self._look.under_way and steady >= self._next_look:
            self._next_look = steady + self._plan.look_seconds
            self._look.begin()
        summary = self._summary(now)
        for courier in self._couriers:
            changed |= courier.turn(self._origin, self._standing.alarms, summary, now, steady)
        if self._ping is not None:
            self._ping.turn(self._is_watching, steady)
        if changed:
            self._save(now)

    def _see(self, now: int) -> bool:
        """Take in what a look has found. Returns whether one has ended."""
        found = self._look.take()
        if found is None:
            return False
        undelivered = [alarm for courier in self._couriers if (alarm := courier.alarm) is not None]
        if isinstance(found, Raised):
            self._status = None
            self._standing.look([found, *undelivered], {alarm.name for alarm in ALARMS}, now)
        else:
            self._status = found.status
            self._standing.look([*found.alarms, *undelivered], unknown(found.status), now)
        return True

    def _see_and_judge(self) -> Seen:
        status = self._take()
        return Seen(status, raised(status, self._plan.thresholds))

    @property
    def _is_watching(self) -> bool:
        """Whether somebody looks, and what is found goes out: what the dead man's switch is there for."""
        goes_out = not self._couriers or any(c.failing is None or c.failing.failures < FAILURES_TOLD for c in self._couriers)
        return self._status is not None and goes_out

    def _summary(self, now: int) -> tuple[int, Message] | None:
        if self._plan.summary_at is None:
            return None
        slot = newest_slot(self._plan.summary_at, self._plan.zone, now)
        for courier in self._couriers:
            # Whoever is new here has missed nothing, and what a clock that was ahead has sent counts for nothing.
            if courier.summary_done is None or is_ahead(courier.summary_done, now):
                courier.summary_done = slot
        if self._status is None or now - slot > LATEST_MICROSECONDS or all(slot <= (courier.summary_done or 0) for courier in self._couriers):
            return None
        if self._status.records is not None and self._status.records.total is not None:
            self._counted = counted_at(slot, self._status.records.total, now, self._counted)
        standing = [holding.alarm for holding in self._standing.alarms.values()]
        day = to_datetime(slot).astimezone(ZoneInfo(self._plan.zone)).date()
        return slot, summary_of(self._origin, self._status, standing, self._counted, day)

    def _save(self, now: int) -> None:
        memory = Memory(
            now,
            [KeptAlarm(holding.alarm, holding.since) for holding in self._standing.alarms.values()],
            {courier.channel.name: courier.kept for courier in self._couriers},
            self._counted,
        )
        if self._saved is not None and (memory.standing, memory.channels, memory.counted) == (
            self._saved.standing,
            self._saved.channels,
            self._saved.counted,
        ):
            return
        try:
            save(self._file, memory)
            self._saved, self._cannot_save = memory, False
        except OSError as error:
            if not self._cannot_save:
                log.warning("what was told of alarms cannot be kept, so a restart tells them again", file=str(self._file), error=str(error))
            self._cannot_save = True
