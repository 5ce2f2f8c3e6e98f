"""Dates in running text: those that name their day, and those that count from the article's own.

Precision goes before recall, and without the article's own time nothing is resolved that counts
from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from pipelines.offsets import OffsetMap
from pipelines.records import DateMention, Passage, RawField
from pipelines.stages.arabic.calendars import weekday_up_to, words
from pipelines.stages.arabic.words import Words
from pipelines.stages.arabic.written_dates import (
    AGREED,
    DATE_WORDS,
    DAY_NUMBERS,
    DIRECTIONS,
    DOUBTFUL,
    NAMERS,
    NEAREST,
    ORDINALS,
    RELATIVE_WORDS,
    STATED,
    WEAK,
    WEEKDAY_WORDS,
    Found,
    resolved,
    written_dates,
)

_DAY = timedelta(days=1)
# In the development articles 1,810 words for today, yesterday and tomorrow have a weekday beside
# them: 82 % agree with the article's time. Before six in the morning only 19 % of 627 do: there
# اليوم is eight times as often the day before, and أمس still mostly yesterday.
_MORNING = time(6)

_TODAY, _YESTERDAY = words("today", "و"), words("yesterday", "و")
_OCCASIONS = words("occasion")
_NEWS_VERBS, _CLAUSE_WORDS = words("news-verb", "و"), words("clause")
_NOT_BEFORE_TODAY, _NOT_AFTER_TODAY = words("not-before-today"), words("not-after-today")
_NOT_AFTER_YESTERDAY = words("not-after-yesterday")
_DAY_PARTS, _TO_COME = words("day-part", "و"), words("to-come", "و")
_WEEKLY_REACH = 8  # words behind a weekday in which من كل أسبوع is looked for
_GOD_WILLING = frozenset(("بمشيءه", "باذن"))
_QUOTES = '«»"“”„'
_TANWIN = "\u064b"

_COUNTED = frozenset({*WEEKDAY_WORDS, *RELATIVE_WORDS})
_TRIGGERS = DATE_WORDS | _COUNTED
_WITH_AND = _COUNTED | {"واول"}


class Part(NamedTuple):
    """A part of an article: its display passage, and the match layer with the offsets from it to
    the display text.
    """

    passage: Passage
    match: str
    offsets: OffsetMap


class _Text(NamedTuple):
    """A part's words, and the places of those that may belong to a date."""

    passage: Passage
    words: Words
    places: list[int]


@dataclass(frozen=True, slots=True)
class _Now:
    """The article's own day; `shift` days from it lies what the article itself calls today, None
    when it does not say. `night`: it is of the hours before six.
    """

    day: date
    shift: int | None
    night: bool

    @property
    def today(self) -> date:
        return self.day + (self.shift or 0) * _DAY


def date_mentions(
    parts: Iterable[Part], raw: Mapping[RawField, str], own: datetime | None
) -> tuple[DateMention, ...]:
    """The dates in an article's parts, in reading order; `raw` is what they were displayed from.

    `own` is the article's time by the clocks where it was written; without it, nothing that counts
    from it is mentioned. Midnight is a day alone.
    """
    texts = []
    for part in parts:
        if not part.match:
            continue
        text = Words(part.match, part.offsets, part.passage.text)
        if places := text.places(_TRIGGERS):
            texts.append(_Text(part.passage, text, places))
    if not texts:
        return ()
    now = None
    if own is not None:
        night = time() < own.time() < _MORNING
        now = _Now(own.date(), _shift(texts, own.date()), night)
    return tuple(
        _mention(text, found, raw[text.passage.field])
        for text in texts
        for found in _mentions(text, now)
    )


def _mentions(text: _Text, now: _Now | None) -> list[Found]:
    all_words = text.words.all
    places = [place for place in text.places if all_words[place] in DATE_WORDS]
    written = written_dates(text.words, places) if places else []
    found = resolved(text.words, written, now.day if now else None)
    if now is None:
        return found
    taken = {place for each in written for place in range(each.first, each.stop)}
    for place in text.places:
        if place not in taken and all_words[place] in _COUNTED:
            each = _counted(text, place, now)
            if each and taken.isdisjoint(range(each.first, each.stop)):
                taken.update(range(each.first, each.stop))
                found.append(each)
    return sorted(found)


def _mention(text: _Text, found: Found, raw: str) -> DateMention:
    display, first = text.words.display, found.first
    and_before = text.words.at(first)[0] == "و" and text.words.at(first) in _WITH_AND
    start = text.words.start(first, skip=1 if and_before else 0)
    end = text.words.end(found.stop - 1)
    if display[end : end + 1] == ")" and "(" in display[start:end]:
        end += 1
    start, end = text.passage.offsets.span(start, end)
    return DateMention(
        text.passage.field,
        start,
        end,
        raw[start:end],
        found.iso,
        found.calendar,
        found.relative,
        found.confidence,
    )


def _counted(text: _Text, place: int, now: _Now) -> Found | None:
    try:
        if text.words.all[place] in RELATIVE_WORDS:
            return _from_relative_words(text, place, now)
        return _from_weekday(text.words, place, now)
    except OverflowError:  # the calendar's first and last days
        return None


def _on(first: int, stop: int, day: date, confidence: float) -> Found:
    return Found(first, stop, day.isoformat(), "gregorian", True, confidence)


# --- Today, yesterday, tomorrow ---------------------------------------------------------------


class _Said(NamedTuple):
    """Words `[first, stop)` that say so many days from today, and a weekday with them; the word
    itself is at `place`.
    """

    first: int
    stop: int
    place: int
    days_on: int
    weekday: int | None


def _relative_words(text: Words, place: int) -> _Said:
    """اليوم, أمس, غدا with what belongs to them: أول أمس, بعد غد, أمس الأول, اليوم (الاثنين)."""
    first, stop, word = place, place + 1, text.at(place)
    days_on = 0 if word in _TODAY else -1 if word in _YESTERDAY else 1
    if days_on == -1:
        if text.at(stop) == "الاول":
            stop, days_on = stop + 1, -2
        elif text.at(place - 1) in ("اول", "واول", "قبل"):
            first, days_on = place - 1, -2
        elif text.at(place - 2) in ("اول", "واول") and text.at(place - 1) == "من":
            first, days_on = place - 2, -2
    elif days_on == 1 and text.at(place - 1) == "بعد":
        first, days_on = place - 1, 2
    named = text.at(stop)
    if named in WEEKDAY_WORDS and named[0] != "و" and not text.ends_sentence(stop):
        return _Said(first, stop + 1, place, days_on, WEEKDAY_WORDS[named])
    return _Said(first, stop, place, days_on, None)


def _shift(texts: list[_Text], own: date) -> int | None:
    """Days from the article's own to what it calls today, where it names the weekday: an article
    of two at night says اليوم الاثنين on a Tuesday, and one taken up later on a Friday.
    """
    votes: Counter[int] = Counter()
    for text in texts:
        for place in text.places:
            if text.words.all[place] in RELATIVE_WORDS:
                said = _relative_words(text.words, place)
                if said.weekday is not None:
                    votes[_away(said, own)] += 1
    # A day after its own time is a slip: no article is of tomorrow.
    votes.pop(1, None)
    return max(votes, key=lambda away: (votes[away], -abs(away)), default=None)


def _away(said: _Said, own: date) -> int:
    """Days from where the words put a day to the weekday they name: five before to one after."""
    assert said.weekday is not None
    return (said.weekday - own.weekday() - said.days_on + 5) % 7 - 5


def _sureness(away: int, highest: float) -> float:
    """How sure a day is that lies so far from where the article's own time puts it."""
    return highest if not away else NEAREST if abs(away) == 1 else DOUBTFUL


def _from_relative_words(text: _Text, place: int, now: _Now) -> Found | None:
    said = _relative_words(text.words, place)
    if said.weekday is not None:
        away = _away(said, now.day)
        day = now.day + (said.days_on + away) * _DAY
        return _on(said.first, said.stop, day, _sureness(away, AGREED))
    if not _is_meant(text, said):
        return None
    days_on = said.days_on
    if now.shift is not None:
        confidence = _sureness(now.shift, STATED)
    elif not now.night:
        confidence = NEAREST
    else:
        # An online text of two at night calls the day that has ended today; a paper is of the day
        # that begins, and tells of yesterday.
        confidence = WEAK
        if days_on == 0 and not text.words.follows(place, _TO_COME, unless=frozenset()):
            days_on = -1
    return _on(said.first, said.stop, now.today + days_on * _DAY, confidence)


def _is_meant(text: _Text, said: _Said) -> bool:
    """Whether the word alone means that day: not a newspaper's name, a kind of day or an age."""
    word = text.words.at(said.place)
    before, after = text.words.at(said.first - 1), text.words.at(said.stop)
    if word in _TODAY:
        return word == "اليوم" and _is_todays_date(text, said, before, after)
    if word in _YESTERDAY:
        return word in ("امس", "وامس") and after not in _NOT_AFTER_YESTERDAY
    if said.days_on == 2 or before in _DAY_PARTS:
        return True
    start, end = text.words.start(said.place), text.words.end(said.place)
    return _TANWIN in text.words.display[start:end]  # غداً; without it, a verb: became


def _is_todays_date(text: _Text, said: _Said, before: str, after: str) -> bool:
    if (
        before in _NOT_BEFORE_TODAY
        or after in _NOT_AFTER_TODAY
        or after in ORDINALS
        or after in DIRECTIONS
        or (after.startswith("ال") and after.endswith("ي"))  # اليوم الوطني, اليوم العالمي
        or _is_quoted(text.words, said)
    ):
        return False
    if text.passage.field == "raw_title":
        return said.first > 0
    return before in _OCCASIONS or _is_news(text.words, said.first)


def _is_quoted(text: Words, said: _Said) -> bool:
    """Whether it is the end of a name in quotes: «اليوم», "المصري اليوم"."""
    opened = text.gap(said.first - 1) + text.gap(said.first)
    return any(mark in text.gap(said.stop) for mark in _QUOTES) and any(
        mark in opened for mark in _QUOTES
    )


def _is_news(text: Words, place: int) -> bool:
    """Whether what happened is told, so that اليوم is a day and not our times."""
    if text.all[max(0, place - 2) : place] in (["اعتبارا", "من"], ["بيان", "له"], ["بيان", "لها"]):
        return True
    return text.follows(place, _NEWS_VERBS, unless=_CLAUSE_WORDS)


# --- Weekdays ---------------------------------------------------------------------------------


def _from_weekday(text: Words, place: int, now: _Now) -> Found | None:
    """The last such weekday up to the article's own day, but for المقبل and what is to come."""
    before, after = text.at(place - 1), text.at(place + 1)
    weekday = WEEKDAY_WORDS[text.all[place]]
    if before in NAMERS or after in ORDINALS or after in DAY_NUMBERS or after == "الموافق":
        return None  # صلاة الجمعة; the fifth of some month
    direction = DIRECTIONS.get(after)
    if direction is not None and not text.ends_sentence(place + 1):
        if direction == 0:
            return None
        day = now.day - _DAY if direction < 0 else now.day + 7 * _DAY
        return _on(place, place + 2, weekday_up_to(weekday, day), STATED)
    if after == "ما" or (after in ("قبل", "بعد") and text.at(place + 2) in DIRECTIONS):
        return None  # the one before the last
    if "اسبوع" in text.all[place + 1 : place + 1 + _WEEKLY_REACH]:
        return None  # يوم السبت من كل أسبوع
    named = before in _DAY_PARTS or text.at(place - 2) == "يومي"
    if named and text.at(place - 2) in NAMERS:
        return None
    day = weekday_up_to(weekday, now.today)
    # وفي يوم الثلاثاء, ومساء الثلاثاء begin another clause.
    begins = before[:1] == "و" or text.at(place - 2) == "وفي"
    coming = after in _GOD_WILLING or (
        not begins and text.follows(place, _TO_COME, unless=frozenset())
    )
    if coming and after not in WEEKDAY_WORDS:  # منتصف ليل الأحد - الاثنين is one night
        day = weekday_up_to(weekday, now.today + 6 * _DAY)
        return _on(place, place + 1, day, WEAK) if named else None
    days_ago = (now.today - day).days
    if named:
        # Six days ago or tomorrow are equally likely, five days ago or the day after 2 to 1.
        confidence = NEAREST if days_ago < 5 else WEAK
        return _on(place, place + 1, day, confidence) if days_ago < 6 else None
    if text.all[place][0] != "و" and days_ago <= 1:
        return _on(place, place + 1, day, WEAK)
    return None
