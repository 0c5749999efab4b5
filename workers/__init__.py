"""What arrives: from a message in Redis to facts in the ledger.

    messages.py   the wire contract: a pydantic model per record, and the facts they state
    publisher.py  what a Python trading engine imports
    actors.py     record_fill, record_deposit, …: what a program that has Dramatiq sends with
    broker.py     delivery from Redis: fetch, hold, acknowledge after the commit
    envelope.py   which record a message carries, and what else it asks for
    intake.py     what becomes of a message: its records checked and handed to the writer
    batching.py   BatchWriter: gather, commit once, answer each
    app.py        create_worker(...): the only wiring of the worker process

A message is acknowledged only after the commit that holds its facts. Whatever dies in between, it is delivered again, and
the identity of each fact makes the second time a duplicate.
"""
