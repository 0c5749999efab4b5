"""`jarvis doctor`: is everything around the books right? It looks, and changes nothing: no file, no schema, no key of the broker.

rounds.py        every section in turn; one that cannot be looked at stops none of the others
case.py          what is known before anything is looked at: the settings or what is wrong with them, the time, where the system's files lie
diagnosis.py     one line of the answer: what was looked at, its value, and the rule and the remedy where it is not well
environment.py   Python, the system, the dependencies, SQLite   settings_read.py  what was read of the settings, and what was not
books_file.py    the database and whose it is                   folders.py        folders, owners, file systems, room
limits.py        what the system grants                         clock.py          the machine's clock
broker.py        the broker, its set-up and its rights          certificates.py   how long its certificates hold
failover.py      whether another server can take over
secrets.py       who can read the passwords                     running.py        the processes that run
units.py         systemd's units against those of this version  unit_files.py     reading them

The rules themselves stand where they are enforced: a section asks them, and adds the words. `jarvis status` tells how what runs is doing.
"""
