"""The parts of a page: title, standfirst and paragraphs, and the furniture that the page printed
around them, named and listed with its raw offsets.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape

import numpy as np

from pipelines.offsets import OffsetMap
from pipelines.records import Furniture, FurnitureKind, Passage, RawField, Time
from pipelines.stages.arabic.credits import (
    Credit,
    agency_of,
    begins_like_person,
    looks_like_person,
    may_be_credit,
    outlet_of,
    read_author,
    read_credit,
)
from pipelines.stages.arabic.dates import read_date
from pipelines.stages.arabic.furniture import (
    SEVERAL,
    Found,
    end_furniture,
    line_furniture,
    start_furniture,
)
from pipelines.stages.arabic.layers import display_text, match_key

# Furniture stands before the first and after the last paragraph of prose. Sizes in words, from
# the seed articles and Saudi articles; rough on purpose, since no rule rests on size alone.
_PROSE_WORDS = 25  # a line of so many is prose, however it ends
_SENTENCE_WORDS = 8  # so is a line of so many that ends as a sentence does
_HEAD_LINES = 12
_REPEAT_LINES = 6  # a title is repeated no further down
_TITLE_WORDS = 20
_OUTLET_CHARACTERS = 25
_CREDIT_WORDS = 13
_CAPTION_WORDS = 30
_MARKED_CAPTION_WORDS = 60  # where markup says that it is one
_STANDFIRST_WORDS = range(12, 101)
_PREFIX_CHARACTERS = 90
_LABEL_CHARACTERS = 80  # no date and no credit on a line of its own is longer
_LISTED_LINES = 12
_AUTHOR_CHARACTERS = 1000  # as it came, in HTML or not; what is longer names nobody
_TAIL_PIECES = 60  # no page ends in more pieces of furniture
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
    title: Passage,
    text: str,
    offsets: OffsetMap,
    *,
    arabic: bool,
    author: str = "",
    source: str = "",
    captions: Sequence[tuple[int, int]] = (),
) -> Parts:
    """The parts of a body in the display layer, `offsets` leading to the raw body.

    `title` is the one that the message gave, or empty: then it is looked for in the first lines.
    Furniture rules are for Arabic; in other languages only repeated titles go. `author` is the
    message's, which often is a credit such as `الرياض - واس`: it is read, and believed where the
    text says nothing. `source` is who delivered the message. `captions` are the raw spans that
    markup calls so.
    """
    if len(author) > _AUTHOR_CHARACTERS:
        author = ""
    page = _Page(text, offsets, title.text, author, source)
    _take_captions(page, captions)
    if arabic:
        _take_furniture(page)
        page.tell(**read_author(author, source).facts)
    else:
        _find_title(page)
        _take_title_repeats(page)
    if not page.lines and not page.title:  # nothing but furniture: then it is the text
        page = _Page(text, offsets, told=page.told)
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


@dataclass(slots=True, eq=False)
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
    source: str = ""
    title_line: _Line | None = None
    lines: list[_Line] = field(init=False)
    furniture: list[Furniture] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    date: Time | None = None
    end_date: Time | None = None

    def __post_init__(self) -> None:
        self.lines = [_Line(start, end) for start, end in _line_spans(self.text)]

    def of(self, line: _Line) -> str:
        return self.text[line.start : line.end]

    def author_credit(self, text: str) -> Credit | None:
        """What the message's author credits, if `text` is the author and names anybody."""
        if not self.author or text.rstrip(" :") != _plain(self.author):
            return None
        credit = read_author(self.author, self.source)
        return credit if credit.facts else None

    def take(self, kind: FurnitureKind, start: int, end: int) -> None:
        self.furniture.append(Furniture(kind, "raw_body", *self.offsets.span(start, end)))

    def take_last(self, kind: FurnitureKind) -> None:
        line = self.lines.pop()
        self.take(kind, line.start, line.end)

    def print_date(self, date: Time) -> None:
        """Keep a date that the page prints: the first, but one that says its day beats one that
        counts from another time.
        """
        if self.date is None or (self.date.relative and not date.relative):
            self.date = date

    def tell(self, **facts: str) -> None:
        """Keep what the furniture says: the first to say something is believed."""
        for name, value in facts.items():
            if name == "outlet":
                value = self._outlet(value.split(SEVERAL))
            if value:
                self.told.setdefault(name, value)

    def _outlet(self, names: list[str]) -> str:
        """Of `المصدر: نخلة + بوصلة الموانئ` the one that delivered it, else the first that is not
        the agency.
        """
        others = [name for name in names if name != self.told.get("agency")]
        return self.source if self.source in others else next(iter(others), "")


def _plain(author: str) -> str:
    return display_text(unescape(author))[0].strip(" :")


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
    if len(lines) == 1 and lines[0].stop is None:
        start, end = lines[0].start, lines[0].end
        return Passage(text[start:end], name, offsets.slice(start, end))
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


def _take_captions(page: _Page, captions: Sequence[tuple[int, int]]) -> None:
    """The lines that markup calls captions; one as long as a paragraph is none."""
    if not captions:
        return
    starts = [start for start, _ in captions]
    kept: list[_Line] = []
    for line in page.lines:
        start, end = page.offsets.span(line.start, line.end)
        place = bisect_right(starts, start) - 1
        text = page.of(line)
        if place >= 0 and end <= captions[place][1] and _words(text) <= _MARKED_CAPTION_WORDS:
            page.captions.append(text)
            page.take("caption", line.start, line.end)
        else:
            kept.append(line)
    page.lines = kept


# --- The parts ----------------------------------------------------------------------------------


def _take_furniture(page: _Page) -> None:
    _take_start(page)
    _take_anywhere(page)
    end_facts = _take_tail(page)  # before the head: names in a list of tags are no text
    _find_title(page)
    _take_title_repeats(page)
    _take_head(page)
    _take_prefix(page)
    _take_sender(page)
    _take_signature(page)
    for facts in end_facts:  # what the head says is believed first
        page.tell(**facts)
    if page.end_date:
        page.print_date(page.end_date)


def _take_start(page: _Page) -> None:
    """Labels of buttons off the first line's start."""
    if page.lines and page.text.startswith(_SLIDER, page.lines[0].start):
        line = page.lines[0]
        found = start_furniture(page.text, line.start, line.end)
        if found and found.kind == "share" and found.end < line.end:
            page.take("share", line.start, found.end)
            line.start = found.end


_SLIDER = ("Next", "Previous")


def _take_anywhere(page: _Page) -> None:
    """Labels on lines of their own, those with a list under them together with it."""
    kept: list[_Line] = []
    index = 0
    places = range(len(page.lines) - 1, -1, -1)
    last_prose = next((place for place in places if _is_prose(page.of(page.lines[place]))), -1)
    while index < len(page.lines):
        line = page.lines[index]
        found = line_furniture(page.of(line), "list", "any")
        index += 1
        listed = 0
        if found and found.where == "list":
            names = found.kind == "contributors"
            listed = _listed(page, index, names=names)
            if names and (index <= last_prose or (not listed and index < len(page.lines))):
                found = None  # المساهمون are shareholders, too
        if found is None:
            kept.append(line)
            continue
        page.tell(**found.facts)
        for each in page.lines[index - 1 : index + listed]:
            page.take(found.kind, each.start, each.end)
        index += listed
    page.lines = kept


def _listed(page: _Page, first: int, *, names: bool) -> int:
    """How many lines from `first` on are the list of the label above them: headlines, or names.

    A list of headlines that text follows has one at most: the next may be a subheading.
    """
    count = 0
    for line in page.lines[first : first + _LISTED_LINES]:
        text = page.of(line)
        person = looks_like_person(text) and begins_like_person(text)
        fits = person if names else not _is_prose(text)
        if not fits or _ends_with(text, ".:"):
            break
        count += 1
    return count if names or first + count == len(page.lines) else min(count, 1)


def _take_tail(page: _Page) -> list[Mapping[str, str]]:
    """Credits, dates, labels and links off the page's end, until text is reached; and the facts
    that they tell.
    """
    facts: list[Mapping[str, str]] = []
    for _ in range(_TAIL_PIECES):
        if not page.lines:
            break
        line = page.lines[-1]
        text = page.of(line)
        if found := line_furniture(text, "tail"):
            page.take_last(found.kind)
        elif found := end_furniture(page.text, _last_block(page), line.end):
            _take_end(page, found)
        elif text.endswith(").") and (found := end_furniture(page.text, line.start, line.end - 1)):
            line.stop = line.end - 1  # the stop behind `(واس).` is the sentence's
            _take_end(page, found)
        elif len(page.lines) > 1 and (found := _tail_credit(page, text)):
            page.take_last(found.kind)
        else:
            break
        facts.append(found.facts)
    return facts


def _last_block(page: _Page) -> int:
    """Where the last lines begin from between which nothing has been taken."""
    start = page.lines[-1].start
    for line in reversed(page.lines[-_LISTED_LINES:-1]):
        if page.text[line.end : start].strip("\n"):
            break
        start = line.start
    return start


def _take_end(page: _Page, found: Found) -> None:
    """Furniture off the page's end, where it may begin within a line."""
    while page.lines and page.lines[-1].end > found.start:
        line = page.lines[-1]
        start = max(line.start, found.start)
        page.take(found.kind, start, min(line.end, found.end))
        line.end = len(page.text[:start].rstrip(" ")) if start > line.start else start
        if start > line.start and line.end > line.start:
            break
        page.lines.pop()


def _tail_credit(page: _Page, text: str) -> Found | None:
    """The date or the credit that the last line is."""
    if len(text) > _LABEL_CHARACTERS:
        return None
    if date := _date_of(text):
        page.end_date = date  # of several the first on the page
        return Found("date", "tail", 0, len(text), {})
    bare = text.strip("()[]{} .-–—/*•ـ")
    if agency := agency_of(bare):
        return Found("agency", "tail", 0, len(text), {"agency": agency})
    credit = read_credit(bare, page.source) if _words(bare) <= _CREDIT_WORDS else None
    if credit is None or credit.known + credit.guessed == 1 or not credit.is_line(colon=False):
        return None
    if not (credit.agency or credit.outlet or (credit.desk and credit.byline)):
        return None
    return Found(credit.kind, "tail", 0, len(text), credit.facts)


def _take_sender(page: _Page) -> None:
    """The sender that the head named, in brackets on the last line: `(نخلة)`."""
    line = page.lines[-1] if len(page.lines) > 1 else None
    senders = {f"({page.told.get(name)})" for name in ("agency", "outlet")}
    if line and page.of(line) in senders:
        page.take_last("agency")


def _take_signature(page: _Page) -> None:
    """The author's name alone under the last paragraph, when nobody else has been named.

    In a letter or a list the name stands among others, or comes up in the text.
    """
    if len(page.lines) < 2 or page.told.get("byline"):
        return
    line = page.lines[-1]
    text = page.of(line)
    name = text.strip("-–—*• ")
    if not (2 <= _words(name) <= 4 and looks_like_person(name) and begins_like_person(name)):
        return
    if read_author(page.author).byline:
        return
    last_name = name.rpartition(" ")[2]
    before = page.of(page.lines[-2])
    if (
        _is_prose(before)
        and _ends_with(before, ".!؟?…")
        and last_name not in (page.title + page.text[: line.start])
    ):
        page.tell(byline=name)
        page.take_last("byline")


def _find_title(page: _Page) -> None:
    """The first line that is no furniture, if it reads like a headline and more text follows."""
    if page.title:
        return
    for index, line in enumerate(page.lines[:_HEAD_LINES]):
        text = page.of(line)
        if _is_prose(text):
            return
        found = _witnessed(page, line_furniture(text, "head"), line)
        if (found and found.kind in _ABOVE_TITLE) or read_date(text[:_LABEL_CHARACTERS]):
            continue
        if _credit_line(page, text):
            continue
        rest = sum(other.end - other.start for other in page.lines[index + 1 :])
        if _words(text) <= _TITLE_WORDS and not _ends_with(text, ".،,؛;:") and rest > len(text):
            page.title, page.title_line = text, page.lines.pop(index)
        return


_ABOVE_TITLE = ("share", "follow", "counter", "breadcrumb", "byline", "dateline")


def _take_title_repeats(page: _Page) -> None:
    """The title once more, above the first paragraph; spelling, spaces and marks may differ."""
    title = page.title
    if not any(_is_prose(page.of(line)) for line in page.lines):
        return  # a poem is called by its first verse
    for line in page.lines[:_REPEAT_LINES]:
        text = page.of(line)
        if len(text) <= 2 * len(title) + _OUTLET_CHARACTERS and _repeats(page, text):
            page.take("title-repeat", line.start, line.end)
            page.lines.remove(line)
        elif _is_prose(text):
            break


def _repeats(page: _Page, text: str) -> bool:
    """Whether a line is the title, the outlet's name behind it or not."""
    key = match_key(page.title)
    if text == page.title or match_key(text) == key:
        return True
    headline, bar, outlet = text.rpartition("|" if "|" in text else " - ")
    if not bar or not outlet_of(outlet) or match_key(headline) != key:
        return False
    page.tell(outlet=outlet_of(outlet))
    return True


def _take_head(page: _Page) -> None:
    """Credits, dates, captions and labels on lines before the first paragraph of prose."""
    head: list[_Line] = []
    for line in page.lines[:_HEAD_LINES]:
        if _is_prose(page.of(line)):
            break
        head.append(line)
    more = len(head) < len(page.lines)
    kinds: list[FurnitureKind | None] = []
    labelled = False  # a line of a document stays, الرقم: أ/1: its date is no publication time
    for line in head:
        text = page.of(line)
        kinds.append(_head_kind(page, line, more, dated=not labelled))
        if not kinds[-1]:
            labelled |= ":" in text
            if _ends_with(text, ":؟-"):
                break  # what was announced or asked follows
    for index, line in enumerate(head[: len(kinds)]):
        if kinds[index] or not more or not page.title:
            continue
        beside = any(kinds[max(0, index - 1) : index]) or any(kinds[index + 1 : index + 2])
        kinds[index] = _name_kind(page, line, beside=beside)
    for line, kind in zip(head, kinds, strict=False):
        if kind:
            page.take(kind, line.start, line.end)
            page.lines.remove(line)


def _head_kind(page: _Page, line: _Line, more: bool, *, dated: bool) -> FurnitureKind | None:
    """The kind of furniture that a line before the text is; None when it is none."""
    text = page.of(line)
    under_title = more and bool(page.title)
    found = _witnessed(page, line_furniture(text, "head"), line)
    if found and found.kind not in ("caption", "dateline"):
        page.tell(**found.facts)
        return found.kind
    if dated and (date := _date_of(text)):
        page.print_date(date)
        return "date"
    credit = _credit_line(page, text) if under_title else None
    sure = credit and (credit.photo or not credit.guessed or begins_like_person(credit.byline))
    if found and found.kind == "caption" and not sure:
        if not under_title or _words(text) > _CAPTION_WORDS:
            return None
        page.captions.append(text)
        return found.kind
    if credit:
        page.tell(**credit.facts)
        return credit.kind
    if found and under_title:
        page.tell(**found.facts)
        return found.kind
    return None


def _date_of(text: str) -> Time | None:
    """The first of the dates that a line is, parted by bars: published, changed."""
    if len(text) > _LABEL_CHARACTERS:
        return None
    if (date := read_date(text)) or "|" not in text:
        return date
    dates = [read_date(part.strip()) for part in text.split("|")]
    return dates[0] if all(dates) else None


def _credit_line(page: _Page, text: str) -> Credit | None:
    """What a line of its own credits, if it is one."""
    if len(text) > _LABEL_CHARACTERS:
        return None
    name = text.rstrip(" :")
    if credit := page.author_credit(name):
        return credit
    if _words(text) > _CREDIT_WORDS or _ends_with(text, ".!؟?…"):
        return None
    credit = read_credit(name, page.source)
    return credit if credit and credit.is_line(colon=name != text) else None


def _name_kind(page: _Page, line: _Line, *, beside: bool) -> FurnitureKind | None:
    """What a person's name alone on a line is: the text's author beside other furniture; else,
    above the text, who is in the picture if the text names them again, and the author if not.
    """
    text = page.of(line)
    if not (2 <= _words(text) <= 4 and looks_like_person(text) and begins_like_person(text)):
        return None
    if not beside:
        if line is not page.lines[0]:
            return None
        if page.title.startswith(text):  # أحمد السالم: رأيه
            page.tell(byline=text)
            return "byline"
        last_name = re.compile(rf"\b{re.escape(text.rpartition(' ')[2])}\b")
        if last_name.search(page.text, line.end, page.lines[-1].end):
            page.captions.append(text)
            return "caption"
    page.tell(byline=text)
    return "byline"


def _take_prefix(page: _Page) -> None:
    """The author or a dateline off the first paragraph's start."""
    if not page.lines:
        return
    line = page.lines[0]
    best: Found | None = None
    ended = False  # by a colon: whatever a further one ends is text
    limit = min(line.end, line.start + _PREFIX_CHARACTERS)
    if _MARKS.isdisjoint(page.text[line.start : limit]):
        return
    for found in _PREFIX_END.finditer(page.text, line.start, limit):
        prefix = page.text[line.start : found.start()]
        if not may_be_credit(prefix):
            break
        mark = found.group().strip(" :-–—ـ")
        if prefix.count("(") > (prefix + mark).count(")") or prefix.count('"') % 2:
            continue
        colon = ":" in found.group()
        credit = page.author_credit(prefix) if colon else None
        if credit is None:
            credit = read_credit(prefix + mark.strip("/"), page.source)
            if credit is None or not credit.is_prefix(mark=found.group()):
                continue
            if ended and not credit.photo:
                break
        best = Found(credit.kind, "start", line.start, found.end(), credit.facts)
        ended = colon
    best = best or _witnessed(page, start_furniture(page.text, line.start, line.end), line)
    if best and best.end < line.end:
        page.take(best.kind, line.start, best.end)
        page.tell(**best.facts)
        line.start = best.end


# Where a dateline at a paragraph's start may end: الرياض - واس: or بيروت (أ ف ب) -
_MARKS = frozenset(":)/-–—ـ")
_PREFIX_END = re.compile(r" ?: ?|[)/]? ?[-–—ـ]+ |\) |/ ")


def _witnessed(page: _Page, found: Found | None, line: _Line) -> Found | None:
    """Furniture with a sender that no table knows counts when the page names it once more: as who
    delivered the text, or under it. Else it may be who speaks: بيروت - الوزير: لن أستقيل.
    """
    if found is None or not (sender := found.facts.pop("sender", "")):
        return found
    named = re.compile(rf"(?<!\w){re.escape(sender)}(?!\w)")
    below = page.text[line.end :]
    labels = [each for each in below.split("\n")[-_HEAD_LINES:] if len(each) <= _LABEL_CHARACTERS]
    if not (
        named.search("\n".join((page.source, page.author, *labels)))
        or page.text.endswith(f"({sender})")
    ):
        return None
    return found._replace(facts=found.facts | {"agency": sender})


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
