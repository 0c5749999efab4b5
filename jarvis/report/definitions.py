"""What the figures of a report mean: one sentence each, shown beside the figure and listed at the end of the page."""

from __future__ import annotations

from typing import NamedTuple


class Definition(NamedTuple):
    """A figure as people call it, and what it says."""

    label: str
    says: str


DEFINITIONS = {
    "value": Definition("Closing value", "What the account was worth at its last snapshot of the day or, without snapshots, by its books at that day's rates."),
    "opening": Definition("Opening value", "The close before the period; without one, what the account began with: nothing, if its first record is a deposit."),
    "profit": Definition("Profit", "Closing value - opening value - deposits + withdrawals, after fees. Capital that came or left is no profit."),
    "return": Definition("Return", "The daily returns linked, Π(1 + r) - 1: time-weighted, so deposits and withdrawals neither add to it nor take from it."),
    "cagr": Definition("CAGR", "The return as yearly growth, (1 + return)^(365 / days) - 1; only where a year or more is covered."),
    "volatility": Definition("Volatility", "The sample standard deviation of the daily returns, times the square root of the observations of a year."),
    "sharpe": Definition(
        "Sharpe", "Mean daily return above the risk-free rate, over the sample deviation of the daily returns, scaled to a year. Below 30 days it says little."
    ),
    "sortino": Definition("Sortino", "As Sharpe, but over the deviation of what fell short of the risk-free rate, counted over all days."),
    "calmar": Definition("Calmar", "CAGR over the deepest drawdown."),
    "drawdown": Definition("Drawdown", "How far the linked returns lie below their highest point so far; the start of the period counts as the first peak."),
    "deposits": Definition("Deposits", "Capital that came into the account, transfers included, in USD at the rate of its instant."),
    "withdrawals": Definition("Withdrawals", "Capital that left the account, transfers included, in USD at the rate of its instant."),
    "trade": Definition("Trade", "A round trip of one instrument: from no position to no position again, dated by the fill that closes it."),
    "average_win": Definition("Average win", "The profits of the winning trades over their number, after fees."),
    "average_loss": Definition("Average loss", "The losses of the losing trades over their number, after fees."),
    "win_rate": Definition("Win rate", "Closed trades with a profit after fees, over all closed trades; one that breaks even is no win."),
    "profit_factor": Definition("Profit factor", "The profits of the winning trades over the losses of the losing ones; none without a loss."),
    "holding": Definition("Holding time", "From the fill that opened a trade to the fill that closed it."),
    "fees": Definition("Fees", "Fees of fills in USD at the rates of their instants, rebates taken off; a fee recorded apart from its fill is not in it."),
    "fees_of_trades": Definition(
        "Fees of trades", "Fees of the trades closed in the period, in USD, whenever their fills were; those of trades still open are not in it."
    ),
    "exposure": Definition("Exposure", "What was held of each currency or contract, less what was borrowed, in USD at the rates of the day's close."),
    "lot": Definition("Lot", "What is held of an asset, by what brought it; averaged into one, unless the cost basis is fifo. Its cost is without fees."),
    "position": Definition("Position", "What the account's own fills hold of an instrument, or owe where it is below zero."),
    "revalued": Definition("Change of valuation", "What lies between the books and the first snapshot on the day from which snapshots count. It is no profit."),
    "missing": Definition("Days missing", "Days without a figure, because no snapshot came. The next return spans them: nothing is invented."),
    "correlation": Definition("Correlation", "How far the daily returns of both go together: 1 as one, 0 without regard to each other, -1 against."),
    "estimated": Definition("Estimated rates", "Amounts in USD by the latest rate known before them, because their own record carries none."),
    "revisions": Definition("Revisions", "Times that a stored day changed because a record came late, was voided, or options changed."),
    "note": Definition("Open notes", "What is recorded of the account and is odd, as it stands now; `jarvis notes accept` settles one."),
    "quarantine": Definition("Held in quarantine", "Records of the account that could not be applied, so no figure has them; `jarvis quarantine` lists them."),
    "gaps": Definition(
        "Numbers that never arrived", "Sequence numbers that engines skipped, of all accounts: what they stood for is in no figure; see `jarvis gaps`."
    ),
}
