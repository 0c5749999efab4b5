"""The report of an account: one file to look at, to print, to send. It needs no network, runs no script, and says what its figures mean.

figures.py      what a page needs of the books, read in one snapshot
series.py       the same as series: sampled, rolling, spread
pictures.py     series in, SVG out: every text escaped, colours by class
definitions.py  what each figure means, said once
page.py         figures and pictures put into the templates
"""
