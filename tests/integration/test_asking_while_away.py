"""Who waits for an answer while the broker is away is told so, and is answered once it is back."""

from __future__ import annotations

import asyncio

import pytest

from jarvis_client import AsyncPublisher, NoAnswer, Publisher

TOP_UP = {"deposit_id": "d", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}
AWAY = "the broker is away. The record stays in its queue or in the spool, and is answered once the broker and a worker are back"


def test_a_broker_that_is_away_is_not_taken_for_a_missing_worker(tmp_path):
    with Publisher(f"unix://{tmp_path}/none", answers=True, spool=tmp_path / "s", retries=0) as publisher:
        receipt = publisher.publish_deposit(**TOP_UP)
        with pytest.raises(NoAnswer) as told:
            receipt.wait(0.3)
    assert str(told.value) == f"no answer to message {receipt} within 0.3 s; {AWAY}"


def test_asyncio_is_told_the_same(tmp_path):
    async def engine() -> str:
        async with AsyncPublisher(f"unix://{tmp_path}/none", answers=True, spool=tmp_path / "s", retries=0) as publisher:
            with pytest.raises(NoAnswer) as told:
                await (await publisher.publish_deposit(**TOP_UP)).wait(0.3)
            return str(told.value)

    assert AWAY in asyncio.run(engine())
