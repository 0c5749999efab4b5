"""A line of figures as a line of text."""

from __future__ import annotations

from collections.abc import Sequence

from jarvis.cli.output import width_of_output

#: Heights, from the least to the greatest.
BARS = "▁▂▃▄▅▆▇█"
#: Where the output is no terminal.
USUAL_WIDTH = 80


def curve(values: Sequence[float], room: int = 0) -> str:
    """The figures as heights, one a column; where they are more than the columns, less `room`, those that are evenly spread. "" for none."""
    if not values:
        return ""
    columns = max(1, (width_of_output() or USUAL_WIDTH) - room)
    count = min(columns, len(values))
    shown = [values[round(n * (len(values) - 1) / max(1, count - 1))] for n in range(count)]
    least, span = min(shown), (max(shown) - min(shown)) or 1.0
    return "".join(BARS[int((value - least) / span * (len(BARS) - 1))] for value in shown)


def labelled(values: Sequence[float], label: str) -> str:
    """The curve with what it is of: beside it, or below it where that leaves it too short."""
    width = width_of_output() or USUAL_WIDTH
    if len(values) + 2 + len(label) <= width:
        return f"{curve(values)}  {label}"
    return f"{curve(values)}\n{label}"
