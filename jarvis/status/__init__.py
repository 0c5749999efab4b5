"""How the daemon stands: what `jarvis status`, `/metrics`, the alarms and the pages say alike.

    model.py        what there is to say, as values; every instant is an integer of microseconds UTC
    alarms.py       what is wrong by it: one catalogue for the screen, the messages, Prometheus' rules and the runbook
    words.py        a status in words, part by part, for the screen and the page
    gathering.py    a status from all its sources: `Watcher` looks again and again, `gather` once
    processes.py    who runs, by locks and by what workers say; broker.py, queues.py: what the broker tells
    books.py        what was recorded, waits, is missing; jobs.py, copies.py, storage.py; patience.py for what may never answer

Everything is read and nothing written. Where a source does not answer, its part is None and `unread` says why: a status that waits
for what is down would be of no use.
"""
