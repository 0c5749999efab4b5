"""The digest of a daily row that somebody saved by hand."""

from __future__ import annotations

from persistence.domain import texts
from persistence.engine.contract import Connection

#: Stands for the digest of a row that a rollup derived.
DERIVED = "derived"


def row_digest(connection: Connection, account_id: str, date: str) -> str | None:
    """The digest of a row that was saved by hand, `DERIVED` of one that was not; None where there is none."""
    sql = (
        "SELECT source, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor, trades_count "
        "FROM performance_metrics WHERE account_id = ? AND date = ?"
    )
    row = connection.execute(sql, (account_id, date)).get
    if row is None:
        return None
    return DERIVED if row[0] == "rollup" else texts.digest_of(texts.canonical_text([account_id, date, *row[1:]])).hex()
