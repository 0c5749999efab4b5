"""The report of an account: one file to look at, to print, to send. It needs no network, runs no script, and says what its figures mean.

figures.py      what a page needs of the books, read in one snapshot
quality.py      how complete that is
beside.py       the same of another account, over the days that both have
series.py       as series: sampled, linked, rolling, spread
lists.py        as tables: months, trades, fees
pictures.py     series in, SVG out: every text escaped, colours by class
drawing.py      the pictures of a report, by name
definitions.py  what each figure means, said once
page.py         figures and pictures put into the templates
"""
