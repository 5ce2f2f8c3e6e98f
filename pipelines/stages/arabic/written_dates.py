"""Dates in running text that name their day or month: `5 مايو`, `3 صفر 1437 هـ`, `25/12/2019`.

A month's name counts beside a day's number or a year only: مايو, صفر, رجب are names and words, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from pipelines.stages.arabic.calendars import (
    GREGORIAN_YEARS,
    HIJRI_MONTHS,
    HIJRI_YEARS,
    MONTHS,
    WEEKDAYS,
    Calendar,
    gregorian_day,
    hijri_day,
    hijri_year,
    words,
)
from pipelines.stages.arabic.words import Words, by_first_word

# An order; how often each is right was counted by reading samples, see docs/evaluation.md: a
# weekday or a second calendar that agrees; a date with its year; the one nearest to the article's
# own time; weaker signs; a contradiction.
AGREED, STATED, NEAREST, WEAK, DOUBTFUL = 0.95, 0.9, 0.8, 0.6, 0.3

# الماضي, الجاري, المقبل: which way from now.
DIRECTIONS = (
    dict.fromkeys(words("past"), -1)
    | dict.fromkeys(words("current"), 0)
    | dict.fromkeys(words("future"), 1)
)
WEEKDAY_WORDS = {lead + name: day for name, day in WEEKDAYS.items() for lead in ("", "و")}
RELATIVE_WORDS = frozenset().union(*(words(use, "و") for use in ("today", "yesterday", "tomorrow")))
NAMERS = words("namer", "و")

_DAY = timedelta(days=1)
# Beyond it the nearest day is right about as often as the same one of the year before or after.
_NEAR = timedelta(days=90)
_MONTH_NAMES, _HIJRI_NAMES = by_first_word(MONTHS), by_first_word(HIJRI_MONTHS)
_YEARS = {
    f"{year}{mark}": year for year in (*HIJRI_YEARS, *GREGORIAN_YEARS) for mark in ("", "م", "ه")
}
# The words that may be part of such a date.
DATE_WORDS = frozenset({*_MONTH_NAMES, *_HIJRI_NAMES, *_YEARS})

DAY_NUMBERS = {
    f"{article}{number:{width}}": number
    for article in ("", "ال", "ل", "لل")
    for width in ("", "02")
    for number in range(1, 32)
}
_ORDINAL_WORDS = "الاول الثاني الثالث الرابع الخامس السادس السابع الثامن التاسع العاشر"
_ONES = {word: number for number, word in enumerate(_ORDINAL_WORDS.split(), 1)} | {"الحادي": 1}
# الحادي عشر, الثاني والعشرين: the second word adds to the first.
_TENS = {"عشر": 10, "والعشرين": 20, "والعشرون": 20, "والثلاثين": 30, "والثلاثون": 30}
ORDINALS = _ONES | {"العشرين": 20, "العشرون": 20, "الثلاثين": 30, "الثلاثون": 30}
_FIRST = {"اول": 1, "غره": 1}
# The second half or the first week of a month is no day: what stands before an ordinal is a noun
# with the article, but for these.
_BEFORE_ORDINAL = frozenset({"اليوم", "الموافق", *WEEKDAYS})

_YEAR_WORDS, _YEAR_MARKS = words("year"), words("year-mark")
# What a month's name may go on with.
_AFTER_MONTH = frozenset({*_YEAR_WORDS, *_YEARS, *DIRECTIONS, "من", "ما", "بعد", "قبل"})
_SAME_DAY = words("same-day")
_AT_DATE = frozenset(("تاريخ", "بتاريخ"))
# 2-0 is a score (صفر is zero, too), رجب and محرم are names of men.
_AMBIGUOUS_MONTHS = frozenset(("صفر", "محرم", "رجب"))
# What may be written between a day and its month, a number's parts, two dates of one day.
_JOINING = ("", "/", "-", "–", "ـ")
_SEPARATORS = {"/", "-", "–", ".", "\\"}
_SAME_DAY_MARKS = ("/", "-", "–", "(", "ـ", "=")
_DECIMAL_MARKS = (".", ",", ":", "٫")


class Found(NamedTuple):
    """Words `[first, stop)` and the day or month that they mean, in ISO 8601."""

    first: int
    stop: int
    iso: str
    calendar: Calendar
    relative: bool
    confidence: float


@dataclass(slots=True)
class Written:
    """A date as it is written: words `[first, stop)`."""

    first: int
    stop: int
    calendar: Calendar
    month: int
    day: int | None = None
    year: int | None = None
    weekday: int | None = None
    direction: int | None = None  # without a year: the last one, the one nearest, the next one
    years_on: int | None = None  # without a year: that of so many years from now
    swapped: bool = False  # 3/4/2017: the day's number may be the month's

    def days(self, around: date | None) -> list[date]:
        """The days that it may be: the one of its year, or those of the years around a day."""
        if self.day is None:
            return []
        if self.calendar == "gregorian":
            made, year = gregorian_day, around.year if around else None
        else:
            made, year = hijri_day, hijri_year(around) if around else None
        if self.year is not None:
            years = [self.year]
        elif year is None:
            return []
        elif self.years_on is not None:
            years = [year + self.years_on]
        else:
            years = [year - 1, year, year + 1]
        days = [made(each, self.month, self.day) for each in years]
        return [day for day in days if day is not None]


def written_dates(text: Words, places: list[int]) -> list[Written]:
    """The dates that the words at these places are part of."""
    found: list[Written] = []
    for place in places:
        stop = found[-1].stop if found else 0
        if place >= stop and (each := _written(text, place)) and each.first >= stop:
            found.append(each)
    for first, last in pairwise(found):
        if first.year is None and last.year is not None and _is_range(text, first, last):
            first.year = last.year
    return found


def resolved(text: Words, written: list[Written], own: date | None) -> list[Found]:
    """The days that the dates mean; without a year, those nearest to the article's own day."""
    found = []
    for index, each in enumerate(written):
        beside = [
            other
            for other in written[max(0, index - 1) : index + 2]
            if other.calendar != each.calendar and _are_one_day(text, each, other)
        ]
        if each.day is None:
            found.append(_found(each, None, STATED))
        elif beside:
            found += _as_both_say(each, beside[0], own)
        elif days := each.days(own):
            found.append(_found(each, *_chosen(each, days, own)))
    return found


# --- What is written --------------------------------------------------------------------------


def _written(text: Words, place: int) -> Written | None:
    """The date that the month's name or the year at this word is part of."""
    calendar: Calendar = "gregorian"
    name = text.name_at(place, _MONTH_NAMES)
    if name is None:
        calendar, name = "hijri", text.name_at(place, _HIJRI_NAMES)
    if name is None:
        return _numeric(text, place)
    month, stop = name
    if calendar == "gregorian":  # تموز/يوليو
        same = text.name_at(stop, _MONTH_NAMES)
        stop = same[1] if same and same[0] == month else stop
    day, first = _day_before(text, place)
    found = Written(first, stop, calendar, month, day)
    if not _take_year(text, found):
        return None
    if day is None and (found.year is None or calendar == "hijri"):
        return None  # the month of another calendar is none of ours
    if found.year is None:
        alone = place - first == 1 and text.at(place) in _AMBIGUOUS_MONTHS
        if alone or text.at(first - 1) in NAMERS:
            return None
    if day is not None:
        _take_weekday(text, found)
    return found


def _day_before(text: Words, place: int) -> tuple[int | None, int]:
    """The day's number before a month's name, and the word it begins with."""
    last = place - 1
    if text.at(last) in ("شهر", "لشهر"):
        last -= 1
    of = text.at(last) == "من"
    if of:
        last -= 1
    word = text.at(last)
    if number := DAY_NUMBERS.get(word):
        if not of and text.gap(last + 1).strip() not in _JOINING:
            return None, place
        decimal = text.at(last - 1).isdigit() and text.gap(last) in _DECIMAL_MARKS
        return (None, place) if decimal else (number, last)
    first = last
    if word in _TENS and text.at(last - 1) in _ONES:
        first = last - 1
        number = _TENS[word] + _ONES[text.at(first)]
    elif of:
        number = ORDINALS.get(word)
    number = number or _FIRST.get(word)
    noun = text.at(first - 1)
    if not number or number > 31 or (noun.startswith("ال") and noun not in _BEFORE_ORDINAL):
        return None, place
    return number, first


def _take_year(text: Words, found: Written) -> bool:
    """Takes the year behind the month's name, or which way it is: الماضي, من العام المقبل.

    False for a year that is none of ours: من العام نفسه, سنة ثلاث من الهجرة, 1215.
    """
    place = found.stop
    word = text.at(place)
    if word not in _AFTER_MONTH or text.ends_sentence(place):
        return not (word.isdecimal() and len(word) == 4)
    direction = DIRECTIONS.get(text.at(place))
    if direction is not None:
        found.direction, found.stop = direction, place + 1
        place += 1
    of = text.at(place) == "من"
    if of:
        place += 1
    worded = text.at(place) in _YEAR_WORDS
    if worded:
        place += 1
    elif of:
        return text.at(place) != "كل"  # من كل عام
    if worded and (years_on := DIRECTIONS.get(text.at(place))) is not None:
        found.years_on, found.stop = years_on, place + 1
        return True
    year = _YEARS.get(text.at(place), 0)
    marked = worded or text.at(place) != str(year) or text.at(place + 1) in _YEAR_MARKS
    if direction is not None and not marked:
        return True  # مايو الماضي 1959 فرعا: so many branches
    if year in (HIJRI_YEARS if found.calendar == "hijri" else GREGORIAN_YEARS):
        found.year, found.stop = year, place + 1
        if text.at(place + 1) in _YEAR_MARKS and text.gap(place + 1) == " ":
            found.stop += 1
        return True
    return not worded and text.at(place) not in ("ما", "بعد", "قبل")  # ما بعد القادم


def _take_weekday(text: Words, found: Written) -> None:
    """Takes the weekday before the day, and today or yesterday before that."""
    place = found.first - 1
    if text.at(place) in _SAME_DAY or text.at(place) in _AT_DATE:
        place -= 1
    if text.at(place) in DIRECTIONS:
        place -= 1
    weekday = WEEKDAY_WORDS.get(text.at(place))
    if weekday is None or text.ends_sentence(place + 1):
        return
    found.weekday, found.first = weekday, place
    if text.at(place - 1) in RELATIVE_WORDS:
        found.first = place - 1


def _numeric(text: Words, place: int) -> Written | None:
    """`25/12/2019`, `1436-10-5`, around the year at this word."""
    year = _YEARS.get(text.at(place))
    if year is None:  # the first word of a name that is not there: ذي, ربيع
        return None
    calendar: Calendar = "hijri" if year in HIJRI_YEARS else "gregorian"
    for first, order in ((place - 2, (0, 1)), (place, (2, 1))):
        stop = first + 3
        if first < 0 or stop > len(text.all):
            continue
        day, month = text.all[first + order[0]], text.all[first + order[1]]
        day = day.removesuffix("ه")
        if not (day.isdecimal() and month.isdecimal() and len(day) <= 2 and len(month) <= 2):
            continue
        marks = {text.gap(first + 1).strip(), text.gap(first + 2).strip()}
        if len(marks) != 1 or not marks <= _SEPARATORS:
            continue
        if _is_joined(text, first) or _is_joined(text, stop):
            return None
        found = Written(first, stop, calendar, int(month), int(day), year)
        if calendar == "gregorian" and int(month) > 12:
            found.month, found.day = int(day), int(month)
        elif calendar == "gregorian":
            found.swapped = first < place and int(day) <= 12 and day != month
        if text.at(stop) in _YEAR_MARKS and text.gap(stop) in ("", " "):
            found.stop += 1
        _take_weekday(text, found)
        return found
    return None


def _is_joined(text: Words, place: int) -> bool:
    """Whether this word and the one before are parts of one number."""
    both = text.at(place - 1)[-1:].isdigit() and text.at(place)[:1].isdigit()
    return both and not any(mark in text.gap(place) for mark in " \n")


def _is_range(text: Words, first: Written, last: Written) -> bool:
    """Whether one date runs to the other, whose year then counts for both."""
    if first.calendar != last.calendar or first.month > last.month or first.day is None:
        return False
    between = text.all[first.stop : last.first]
    if not between:
        return text.gap(last.first).strip("ـ ") in _JOINING
    return len(between) <= 2 and between[0] in ("الي", "حتي", "و", "وحتي")


def _are_one_day(text: Words, one: Written, other: Written) -> bool:
    """Whether they are one day in two calendars: الموافق, a bracket or a stroke is between."""
    if one.first > other.first:
        one, other = other, one
    between = text.all[one.stop : other.first]
    if not between:
        return text.gap(other.first).strip() in _SAME_DAY_MARKS
    return between[0] in _SAME_DAY and between[1:] in ([], ["ل"], ["يوم"])


# --- Which day it is --------------------------------------------------------------------------


def _as_both_say(each: Written, other: Written, own: date | None) -> list[Found]:
    """`each` as the same day in another calendar bears it out, or not."""
    days, others = each.days(own), other.days(own)
    if each.year is None and other.year is not None and others:
        days = each.days(others[0])
    elif other.year is None and each.year is not None and days:
        others = other.days(days[0])
    if not days:
        return []
    pairs = [(abs((day - there).days), day, there) for day in days for there in others]
    away, day, there = min(pairs, default=(9, days[0], days[0]))
    if away > 1:
        return [_found(each, day, DOUBTFUL)]
    # Where the moon is sighted the Hijri month begins a day off the table: the other one counts.
    return [_found(each, day if each.calendar == "gregorian" else there, AGREED)]


def _chosen(each: Written, days: list[date], own: date | None) -> tuple[date, float]:
    """The day that is meant of those that it may be, and how sure that is."""
    day = days[0]
    if each.year is None and own is not None:
        if each.direction == -1:
            days = [day for day in days if day <= own] or days
        elif each.direction == 1:
            days = [day for day in days if day >= own] or days
        day = min(days, key=lambda day: abs((day - own).days))
    confidence = STATED
    if each.year is None:
        said = each.direction is not None or each.years_on is not None
        far = own is not None and abs(day - own) > _NEAR and not said
        confidence = WEAK if far else NEAREST
    if each.weekday is None:
        return day, WEAK if each.swapped else confidence
    if each.calendar == "hijri":
        away = (each.weekday - day.weekday() + 3) % 7 - 3
        if abs(away) <= 1:
            return day + away * _DAY, STATED if away else AGREED
        return day, DOUBTFUL
    if each.swapped and each.day and each.year:
        other = gregorian_day(each.year, each.day, each.month)
        if other and other.weekday() == each.weekday != day.weekday():
            return other, AGREED
    for other in (day, *days):
        if other.weekday() == each.weekday:
            return other, AGREED if other == day else confidence
    return day, DOUBTFUL


def _found(each: Written, day: date | None, confidence: float) -> Found:
    iso = day.isoformat() if day else f"{each.year:04}-{each.month:02}"
    return Found(each.first, each.stop, iso, each.calendar, each.year is None, confidence)
