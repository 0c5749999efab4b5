"""Telling people what is wrong, without Prometheus.

    message.py      what is told, as text and as JSON
    standing.py     which alarms stand: what two looks in a row agree on
    told.py         what one channel was told of them, and when it is told again
    memory.py       both, kept in a file beside the database over restarts
    channels.py     the ways out: a command, a notification URL; each ends within its time
    courier.py      one channel's deliveries: on a thread of its own, tried again
    ping.py         the dead man's switch
    summary.py      how the day was, in ten lines
    look.py         taking the status: what fails or hangs is an alarm itself
    notifier.py     the thread that puts these together, in the scheduler's process
    wiring.py       all of it as the settings say

A message holds names, counts, times and remedies, and nothing of a record: what an error or a finding quotes stays on this machine.
Every channel has a memory of its own. So one that was away for a day is told how things stand now, not what it has missed.
"""
