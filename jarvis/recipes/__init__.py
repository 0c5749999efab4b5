"""Recipes of a deployment: the files that a machine, a container or a Redis needs, made to fit, and the steps that remain.

sources.py     the files of deploy/ and config/, from the wheel or the checkout
plan.py        what would become of each file in a folder; writing them
passwords.py   those that exist are kept, the others are made
checks.py      what a path, a name and an address may be in a unit
systemd.py     units, drop-ins, settings, the operator's wrapper
redis.py       redis.conf, its users, and the URL of each
compose.py     a container of the daemon, Valkey, Prometheus and Grafana
"""
