"""The names that settings and the command know exports by are those that there are."""

from __future__ import annotations

from persistence.columns import COMPUTED, OF_NO_ACCOUNT, READ, kind_of
from persistence.exports import TABLES
from scheduler.rollup import tables


def test_every_export_has_its_name_and_every_name_its_export():
    assert tuple(TABLES) == READ
    assert tuple(tables.COMPUTED) == COMPUTED
    assert {name for name, table in TABLES.items() if table.account_column is None} == set(OF_NO_ACCOUNT)


#: Columns that are words, ids or JSON. A new column belongs here or among the kinds of persistence/columns.py.
TEXTS = """
account_id base brought_by cash_currency category closing_fill_id currency description direction extra fact_id fact_kind fee_currency fill_id flow_id
instrument kind liquidity more_fees order_id order_type position producer quote record_id record_kind reference reported reserved_currency settle side
snapshot_id source status symbol taken_as transaction_id type valuation warnings
"""


def test_nobody_forgets_to_say_what_a_column_holds():
    columns = {column for table in TABLES.values() for column in table.columns} | {c for table in tables.COMPUTED.values() for c in table.columns}
    assert {column for column in columns if kind_of(column) == "text"} == {*TEXTS.split()} & columns
