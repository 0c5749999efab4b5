"""A report's page, taken apart as a reader sees it: cards by their labels, tables by their headings."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class ReportPage(HTMLParser):
    """`cards`: (value, remark) of each figure by its label, those of one label in order. `tables`: rows of cells under the heading that
    stands before each; definitions that show on hover are not text of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cards: dict[str, list[tuple[str, str]]] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._heading = ""
        self._open: list[tuple[str, str]] = []
        self._text: dict[str, list[str]] = {}
        self._card: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "br" and self._is_in("td"):
            self._text["td"].append("\n")
        if tag in ("br", "wbr", "meta"):
            return
        self._open.append((tag, dict(attrs).get("class") or ""))
        if tag in ("h1", "h2", "h3", "td", "th", "dt", "dd"):
            self._text[tag] = []
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass
        text = "".join(self._text.get(tag, [])).strip()
        if tag in ("h1", "h2", "h3"):
            self._heading = text
        elif tag in ("td", "th"):
            self.tables[self._heading][-1].append(text)
        elif tag == "dt" and any(style == "figure" for _, style in self._open):
            self._card = [text]
        elif tag == "dd" and self._card:
            self._card.append(text)
        elif tag == "div" and len(self._card) > 1:
            label, value, *remark = self._card
            self.cards.setdefault(label, []).append((value, " ".join(remark)))
            self._card = []

    def handle_data(self, data):
        if any(style == "tip" for _, style in self._open):
            return
        for tag in ("td", "th", "dt", "dd", "h1", "h2", "h3"):
            if self._is_in(tag):
                self._text[tag].append(data)
                return

    def _is_in(self, tag: str) -> bool:
        return any(name == tag for name, _ in self._open)


def number(shown: str) -> float | None:
    """What a figure says: 1,234.50 · -3.20% (as a share); None for a dash or nothing."""
    if shown in ("", "–"):
        return None
    value = float(shown.replace(",", "").rstrip("%"))
    return value / 100 if shown.endswith("%") else value


def seconds(shown: str) -> int:
    """A length of time: `3 h 5 min`."""
    units = {"s": 1, "min": 60, "h": 3_600, "day": 86_400, "days": 86_400}
    return sum(int(count.replace(",", "")) * units[unit] for count, unit in re.findall(r"([\d,]+) (\w+)", shown))


__all__ = ["ReportPage", "number", "seconds"]
