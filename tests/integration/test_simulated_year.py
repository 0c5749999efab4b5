"""Four hundred days by a clock that the test turns: downtime, crashes in the middle of a job, two schedulers, clocks that step,
accounts in zones whose days are 23 and 25 hours long. Every day ends rolled up once, as one rebuild would have it."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from properties.test_rollup_order import derived
from searching import of, searched

from jarvis_client.contract.facts import Deposit, EquitySnapshot, Fill
from jarvis_client.contract.instants import to_instant
from persistence.books.ledger import Ledger
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.daemon import Scheduler
from scheduler.jobs import roll_up_accounts, roll_up_zone
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.timetable import timetable

DAY = 86_400_000_000
HOUR = DAY // 24
START = to_instant(datetime(2025, 9, 1, tzinfo=UTC))
#: Over a change of clocks at least.
DAYS = of(130, 400)
ZONES = {"utc": "UTC", "ny": "America/New_York", "beirut": "Asia/Beirut"}
PLAN = RollupPlan(RollupOptions(), {name: RollupOptions(timezone=zone) for name, zone in ZONES.items() if zone != "UTC"})


class Crash(Exception):
    """The process is gone in the middle of a job."""


def facts_of_day(day: int, chance: random.Random) -> list:
    """What the accounts record within one day; some of it about earlier days."""
    found: list = []
    for account in ZONES:
        at = START + day * DAY
        if day == 0:
            found.append(Deposit(deposit_id="d", account_id=account, currency="USDT", amount=10_000, occurred_at=at))
        for n in range(3):
            late = n > 0 and chance.random() < 0.03
            moment = at + (DAY // 2 if n == 0 else chance.randrange(DAY)) - (chance.randrange(20) * DAY if late and day > 30 else 0)
            found.append(
                EquitySnapshot(account_id=account, observed_at=moment, snapshot_id=f"m{day}.{n}", total_value_usd=10_000 + chance.randrange(-500, 600))
            )
        side = "buy" if day % 3 else "sell"
        found.append(Fill(
            fill_id=f"f{day}", account_id=account, order_id=f"o{day}", symbol="BTC/USDT", side=side, quantity="1" if side == "buy" else "2",
            price=chance.randrange(90, 110), executed_at=at + chance.randrange(DAY), fee="0.1",
        ))  # fmt: skip
    return found


@searched
@pytest.mark.every_engine
def test_a_year_of_downtime_crashes_and_stepping_clocks_ends_as_one_rebuild(another):
    chance = random.Random(20)
    now = [START]
    rolled: Counter[tuple[str, int]] = Counter()

    calm = False

    def flaky(zone):
        inner = roll_up_zone(PLAN, zone, lambda: now[0])
        luck = random.Random(str(zone))  # each job runs in a thread of its own

        def run(database, slot, **arguments):
            if not calm and luck.random() < 0.1:
                # Dies with some accounts committed and others not.
                roll_up_accounts(database, PLAN, now[0], luck.sample(list(ZONES), 1), as_of=slot)
                raise Crash("killed")
            done = inner(database, slot, **arguments)
            rolled[zone or "all", slot] += 1
            return done

        return run

    with another() as database, another() as rebuilt:
        entries = {n: e for n, e in timetable({}, PLAN.zones).items() if n.startswith("rollup")}
        jobs = {n: flaky(None if n == "rollup" else e.zone) for n, e in entries.items()}

        def started() -> Scheduler:
            return Scheduler(database, entries, jobs=jobs, clock=lambda: now[0], catchup_days=30)

        running = [started()]
        facts: list = []
        asleep = 0
        stepped: list[tuple[int, int]] = []
        for day in range(DAYS):
            arrived = facts_of_day(day, chance)
            facts += arrived
            Ledger(database).post(chance.sample(arrived, len(arrived)))
            for hour in sorted(chance.sample(range(24), 4)):
                now[0] = START + day * DAY + hour * HOUR + chance.randrange(HOUR)
                if chance.random() < 0.02:
                    true = now[0]
                    now[0] += chance.choice((-5, 3)) * HOUR  # the clock steps
                    stepped.append((min(true, now[0]), max(true, now[0])))
                if asleep:
                    asleep -= 1
                    continue
                if chance.random() < 0.02:
                    asleep, running = chance.randrange(1, 40), [started()]
                    continue
                if chance.random() < 0.05:
                    running = [started(), started()] if chance.random() < 0.5 else [started()]
                for scheduler in running:
                    scheduler.tick()
                for scheduler in running:
                    for thread, _ in scheduler._running.values():
                        thread.join(60)
        calm = True
        for _ in range(3):
            now[0] += DAY // 2
            final = started()
            final.tick()
            for thread, _ in final._running.values():
                thread.join(60)

        Ledger(rebuilt).post(facts)
        roll_up_accounts(rebuilt, PLAN, now[0])
        roll_up_accounts(database, PLAN, now[0])
        assert derived(database) == derived(rebuilt)

        runs = SQLiteJobRunRepository(database)
        for name in entries:
            history = runs.history(name, 10_000)
            assert {r.state for r in history} == {"succeeded"}, name
            slots = sorted(r.scheduled_for for r in history)
            gaps = {(b - a) // HOUR for a, b in pairwise(slots)}
            assert gaps <= {23, 24, 25}, f"{name}: a day was skipped"
        for (zone, slot), times in rolled.items():
            # What lay ahead once the clock had been set back is done at its time, too.
            assert times == 1 or (times == 2 and any(low < slot <= high for low, high in stepped)), f"{zone} {slot} was done {times} times"
        beirut = {row["date"] for row in database.execute_query("SELECT date FROM performance_metrics WHERE account_id = 'beirut'")}
        first = date(2025, 9, 1)
        assert {(first + timedelta(days=n)).isoformat() for n in range(1, DAYS)} <= beirut
