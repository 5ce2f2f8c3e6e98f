"""The parts of a page: title, standfirst and paragraphs, and the furniture that the page printed
around them, named and listed with its raw offsets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipelines.offsets import OffsetMap
from pipelines.records import Furniture, Passage, RawField, Time
from pipelines.stages.arabic.credits import Credit, agency_of, looks_like_person, read_credit
from pipelines.stages.arabic.dates import read_date
from pipelines.stages.arabic.furniture import (
    CAPTION,
    END_CREDIT,
    LINE_RULES,
    MORE_SUFFIX,
    PREFIX_END,
    SHARE_PREFIX,
)
from pipelines.stages.arabic.layers import display_text, match_key

# Furniture stands before the first and after the last paragraph of prose. Sizes in words, from
# the seed articles and Saudi articles; rough on purpose, since no rule rests on size alone.
_PROSE_WORDS = 25  # a line of so many is prose, however it ends
_SENTENCE_WORDS = 8  # so is a line of so many that ends as a sentence does
_HEAD_LINES = 12
_REPEAT_LINES = 6  # a title is repeated no further down
_TITLE_WORDS = 20
_CREDIT_WORDS = 8
_CREDIT_CHARACTERS = 40  # one agency's name
_CAPTION_WORDS = 30
_STANDFIRST_WORDS = range(12, 101)
_PREFIX_CHARACTERS = 90
_SUFFIX_CHARACTERS = 60
_LABEL_CHARACTERS = 80  # no line rule matches more
_CLOSING = '"”»’)]'


@dataclass(frozen=True, slots=True)
class Parts:
    """What a page was taken apart into. `told` holds what its furniture says: outlet, byline,
    agency, dateline; `date` is the publication time that it prints.
    """

    title: Passage
    standfirst: Passage
    body: Passage
    furniture: tuple[Furniture, ...]
    captions: tuple[str, ...]
    told: Mapping[str, str]
    date: Time | None


def parts(
    title: Passage, text: str, offsets: OffsetMap, *, arabic: bool, author: str = ""
) -> Parts:
    """The parts of a body in the display layer, `offsets` leading to the raw body.

    `title` is the one that the message gave, or empty: then it is looked for in the first lines.
    Furniture rules are for Arabic; in other languages only repeated titles go. `author` is the
    message's: a line or a prefix with it is a byline.
    """
    page = _Page(text, offsets, title.text, author)
    if arabic:
        _take_furniture(page)
    else:
        _find_title(page)
        _take_title_repeats(page)
    if not page.lines and not page.title:  # nothing but furniture: then it is the text
        page = _Page(text, offsets)
    if page.title_line is not None:
        title = _passage(text, offsets, [page.title_line], "", "raw_body")
    standfirst = _take_standfirst(page)
    return Parts(
        title=title,
        standfirst=_passage(text, offsets, standfirst, "", "raw_body"),
        body=_passage(text, offsets, page.lines, "\n\n", "raw_body"),
        furniture=tuple(sorted(page.furniture, key=lambda item: (item.start, item.end))),
        captions=tuple(page.captions),
        told=page.told,
        date=page.date,
    )


def one_line(text: str, offsets: OffsetMap, name: RawField) -> Passage:
    """The lines of a display text joined by spaces: a given title."""
    lines = [_Line(start, end) for start, end in _line_spans(text)]
    return _passage(text, offsets, lines, " ", name)


@dataclass(slots=True)
class _Line:
    """A line of display text, `[start, end)`; `stop` is a full stop kept from behind a cut."""

    start: int
    end: int
    stop: int | None = None


@dataclass(slots=True)
class _Page:
    """A body on its way to its parts: `lines` are those that are still text."""

    text: str
    offsets: OffsetMap
    title: str = ""
    author: str = ""
    title_line: _Line | None = None
    lines: list[_Line] = field(init=False)
    furniture: list[Furniture] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    date: Time | None = None

    def __post_init__(self) -> None:
        self.lines = [_Line(start, end) for start, end in _line_spans(self.text)]

    def of(self, line: _Line) -> str:
        return self.text[line.start : line.end]

    def is_author(self, text: str) -> bool:
        return bool(self.author) and text == display_text(self.author)[0].rstrip(" :")

    def take(self, kind: str, start: int, end: int) -> None:
        self.furniture.append(Furniture(kind, "raw_body", *self.offsets.span(start, end)))

    def tell(self, **facts: str) -> None:
        """Keep what the furniture says: the first to say something is believed."""
        for name, value in facts.items():
            if value:
                self.told.setdefault(name, value)

    def tell_credit(self, credit: Credit) -> None:
        self.tell(
            outlet=credit.outlet,
            byline=credit.byline,
            agency=credit.agency,
            dateline=credit.dateline,
        )


def _line_spans(text: str) -> list[tuple[int, int]]:
    """The lines that are not empty, `[start, end)`."""
    spans = []
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        if line:
            spans.append((start, end))
        start = end + 1
    return spans


def _words(text: str) -> int:
    return text.count(" ") + 1


def _ends_with(text: str, marks: str) -> bool:
    return text.rstrip(_CLOSING).endswith(tuple(marks))


def _is_prose(text: str) -> bool:
    words = _words(text)
    return words >= _PROSE_WORDS or (words >= _SENTENCE_WORDS and _ends_with(text, ".!؟?…"))


def _passage(
    text: str, offsets: OffsetMap, lines: list[_Line], separator: str, name: RawField
) -> Passage:
    """The lines joined; a separator stands for the first raw character between its neighbours."""
    texts: list[str] = []
    maps: list[OffsetMap] = []
    for line in lines:
        if texts and separator:
            _, gap = maps[-1].span(0, len(maps[-1]))
            texts.append(separator)
            maps.append(OffsetMap(np.array([gap] * len(separator), dtype=np.int32)))
        texts.append(text[line.start : line.end])
        maps.append(offsets.slice(line.start, line.end))
        if line.stop is not None:
            texts.append(text[line.stop])
            maps.append(offsets.slice(line.stop, line.stop + 1))
    if not maps:
        return Passage("", name)
    return Passage("".join(texts), name, OffsetMap.joined(maps) if maps[1:] else maps[0])


# --- The parts ----------------------------------------------------------------------------------


def _take_furniture(page: _Page) -> None:
    _take_share_prefix(page)
    _find_title(page)
    _take_title_repeats(page)
    _take_head(page)
    _take_tail(page)
    _take_prefix(page)
    _take_suffix(page)


def _find_title(page: _Page) -> None:
    """The first line that is no furniture, if it reads like a headline and more text follows."""
    if page.title:
        return
    for index, line in enumerate(page.lines[:_HEAD_LINES]):
        text = page.of(line)
        if _line_rule(page, text, "head", told=False) or read_date(text[:_LABEL_CHARACTERS]):
            continue
        rest = sum(other.end - other.start for other in page.lines[index + 1 :])
        if _words(text) <= _TITLE_WORDS and not _ends_with(text, ".،,؛;:") and rest > len(text):
            page.title, page.title_line = text, page.lines.pop(index)
        return


def _take_title_repeats(page: _Page) -> None:
    title = page.title
    if not any(_is_prose(page.of(line)) for line in page.lines):
        return  # a poem is called by its first verse
    for line in page.lines[:_REPEAT_LINES]:
        text = page.of(line)
        if len(text) <= 2 * len(title) and (text == title or match_key(text) == match_key(title)):
            page.take("title-repeat", line.start, line.end)
            page.lines.remove(line)


def _take_head(page: _Page) -> None:
    head: list[_Line] = []
    for line in page.lines[:_HEAD_LINES]:
        if _is_prose(page.of(line)):
            break
        head.append(line)
    more = len(head) < len(page.lines)
    kinds = [_head_kind(page, page.of(line), more) for line in head]
    for index, line in enumerate(head):
        text = page.of(line)
        beside_furniture = any(kinds[max(0, index - 1) : index]) or any(
            kinds[index + 1 : index + 2]
        )
        if not kinds[index] and more and beside_furniture and _is_bare_name(text):
            kinds[index] = "byline"
            page.tell(byline=text)
    for line, kind in zip(head, kinds, strict=True):
        if kind:
            page.take(kind, line.start, line.end)
            page.lines.remove(line)


def _head_kind(page: _Page, text: str, more: bool) -> str:
    """The kind of furniture that a line before the text is; empty when it is none."""
    if kind := _line_rule(page, text, "head"):
        return kind
    if len(text) <= _LABEL_CHARACTERS and (date := read_date(text)):
        page.date = page.date or date
        return "date"
    if not more or not page.title:
        return ""
    caption = CAPTION.fullmatch(text)
    if caption and _words(text) <= _CAPTION_WORDS and agency_of(caption["credit"]):
        page.captions.append(text)
        return "caption"
    name = text.rstrip(" :")
    credit = read_credit(name) if _words(text) <= _CREDIT_WORDS else None
    if page.is_author(name):
        credit = credit or Credit(byline=name)
    elif credit is None or not credit.is_line(colon=name != text):
        return ""
    page.tell_credit(credit)
    return credit.kind


def _is_bare_name(text: str) -> bool:
    return 2 <= _words(text) <= 4 and looks_like_person(text)


def _line_rule(page: _Page, text: str, where: str, *, told: bool = True) -> str:
    if len(text) > _LABEL_CHARACTERS:
        return ""
    for rule in LINE_RULES:
        if rule.where not in (where, "any") or not (found := rule.pattern.fullmatch(text)):
            continue
        facts = found.groupdict()
        if told and (source := facts.pop("source", "")):
            agency = agency_of(source)
            page.tell(agency=agency, outlet="" if agency else source)
        if told:
            page.tell(**facts)
        return rule.kind
    return ""


def _take_tail(page: _Page) -> None:
    while page.lines:
        line = page.lines[-1]
        text = page.of(line)
        kind = _line_rule(page, text, "tail")
        if not kind and len(page.lines) > 1 and len(text) <= _CREDIT_CHARACTERS:
            agency = agency_of(text.strip("()[]. -–—"))
            page.tell(agency=agency)
            kind = "agency" if agency else ""
        if not kind:
            break
        page.take(kind, line.start, line.end)
        page.lines.pop()
    for line in page.lines[:]:
        if kind := _line_rule(page, page.of(line), "any"):
            page.take(kind, line.start, line.end)
            page.lines.remove(line)


def _take_share_prefix(page: _Page) -> None:
    """Labels of buttons off the first line's start."""
    if page.lines and (found := SHARE_PREFIX.match(page.text, page.lines[0].start)):
        page.take("share", found.start(), found.end())
        page.lines[0].start = found.end()


def _take_prefix(page: _Page) -> None:
    """The author or a dateline off the first paragraph's start."""
    if not page.lines:
        return
    line = page.lines[0]
    best = line.start
    best_credit: Credit | None = None
    limit = min(line.end, line.start + _PREFIX_CHARACTERS)
    for found in PREFIX_END.finditer(page.text, line.start, limit):
        prefix = page.text[line.start : found.start()]
        colon = ":" in found.group()
        credit = read_credit(prefix + found.group().strip(" :-–—ـ"))
        if colon and page.is_author(prefix):
            credit = credit or Credit(byline=prefix)
        elif credit is None or not credit.is_prefix(colon=colon):
            continue
        best, best_credit = found.end(), credit
    if best_credit is not None and best < line.end:
        page.take(best_credit.kind, line.start, best)
        page.tell_credit(best_credit)
        line.start = best


def _take_suffix(page: _Page) -> None:
    """The agency in brackets, or a label, off the last paragraph's end."""
    if not page.lines:
        return
    line = page.lines[-1]
    found = MORE_SUFFIX.search(page.text, max(line.start, line.end - _SUFFIX_CHARACTERS), line.end)
    if found and found.start() > line.start:
        page.take("more", *_trimmed(found))
        line.end = found.start()
    found = END_CREDIT.search(page.text, max(line.start, line.end - _SUFFIX_CHARACTERS), line.end)
    if found and found.start() > line.start and (agency := agency_of(found["credit"])):
        page.take("agency", found.start("bracket"), found.end("bracket"))
        page.tell(agency=agency)
        line.end = found.start()
        line.stop = found.start("stop") if found["stop"] else None


def _trimmed(found: re.Match[str]) -> tuple[int, int]:
    return found.end() - len(found.group().lstrip()), found.end()


def _take_standfirst(page: _Page) -> list[_Line]:
    """The first paragraph, when it stands apart and ends without a full stop: a summary."""
    if len(page.lines) < 3:
        return []
    first, second = page.of(page.lines[0]), page.of(page.lines[1])
    if (
        page.text[page.lines[0].end : page.lines[1].start] == "\n\n"
        and _words(first) in _STANDFIRST_WORDS
        and (first[-1].isalnum() or first[-1] in '"”»')
        and not _ends_with(first, ".!؟?…")
        and not second.startswith(("و", "ف"))  # and, then: the first one was no summary
        and _is_prose(second)
        and _ends_with(second, ".!؟?…")
    ):
        return [page.lines.pop(0)]
    return []
