"""The pages of `jarvis web`: what the API answers, and what `jarvis status` says, for people.

    routes.py    every page: its path, what may be asked, which function, which template
    asking.py    what a page may be asked, checked as the API checks it; what a form leaves blank is not asked
    daemon.py    overview, queues, jobs, backups
    waiting.py   quarantine and one record of it, notes, gaps
    movements.py accounts, transactions, orders
    account.py   one account: the sections of its report, live
    dressing.py  templates (../templates), the files that pages ask for (../static), the policy that keeps a page in
    words.py     texts and instants as a page shows them

A page changes nothing, and can ask nothing of any other place: beside what waits for a decision stands the command that settles it. What
comes from outside is a text, whatever it holds: every template escapes, and the policy runs no script but ours.
"""
