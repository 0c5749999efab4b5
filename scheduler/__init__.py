"""What comes round: jobs at their hours, from a table of runs.

timetable.py  the jobs and their hours, as data
jobs.py       what each job does, callable by hand too
daemon.py     APScheduler ticks; the table of runs decides what is due
"""
