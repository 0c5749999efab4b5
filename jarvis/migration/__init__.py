"""Migration: what an engine kept in JSON files, brought into the books.

    values.py    one field of an old entity, however it was written: money, time, word
    layout.py    a folder of JSON files, read as entities: accounts, balances, transactions, orders, metrics
    entities.py  an entity as the facts that it states
    plan.py      the whole folder as facts and accounts, with what the source says of itself
    figures.py   what the source says against what books hold, figure by figure
    moving.py    rehearse in books in memory, record, read back

Nothing is recorded that the rehearsal could not explain, and recording it again changes nothing: identities come from the old ids.
"""
