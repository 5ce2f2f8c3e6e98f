"""What dates in Arabic news are made of: the names of months, weekdays and time zones, the words
around them, and the day that a date of either calendar is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from hijridate import Gregorian, Hijri

from pipelines.stages.arabic.layers import match_text

_DATA = Path(__file__).parent.parent / "data" / "dates.tsv"

Calendar = Literal["gregorian", "hijri"]

# Years that a date in news can name; a number outside is something else.
GREGORIAN_YEARS = range(1500, 2200)
# Those of hijridate's Umm al-Qura table: 1924 to 2077. What lies outside is not believed.
HIJRI_YEARS = range(1343, 1501)

_DAY = timedelta(days=1)


def _rows() -> Iterator[tuple[str, str, str]]:
    """The table's kinds, values and spellings."""
    for line in _DATA.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kind, value, spellings = line.split("\t")
            for spelling in spellings.split("|"):
                yield kind, value, spelling


_ROWS = tuple(_rows())
_TABLE: dict[
    str, list[tuple[str, str]]
] = {}  # by kind: each spelling in the match layer, its value
for _kind, _value, _spelling in _ROWS:
    _TABLE.setdefault(_kind, []).append((match_text(_spelling)[0], _value))
# Each by its name in the match layer.
MONTHS = {name: int(number) for name, number in _TABLE["month"]}
HIJRI_MONTHS = {name: int(number) for name, number in _TABLE["hijri"]}
WEEKDAYS = {name: int(number) for name, number in _TABLE["weekday"]}  # 0: Monday
ZONES = dict(_TABLE["zone"])
# What a date may consist of beside numbers, as the table spells it, the longest first.
DATE_SPELLINGS = sorted(
    {
        spelling
        for kind, value, spelling in _ROWS
        if kind in ("month", "hijri", "weekday") or value in ("year-mark", "same-day")
    },
    key=len,
    reverse=True,
)


def words(use: str, *leads: str) -> frozenset[str]:
    """The words of the table that are of this use, in the match layer, and each behind each of
    `leads`.
    """
    return frozenset(
        lead + name for name, value in _TABLE["words"] if value == use for lead in ("", *leads)
    )


def gregorian_day(year: int, month: int, day: int) -> date | None:
    """The day; None for one that does not exist or a year that no news is of."""
    if year not in GREGORIAN_YEARS:
        return None
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None


def hijri_day(year: int, month: int, day: int) -> date | None:
    """The day by the Umm al-Qura table; a sighted moon may move it by one.

    The 30th of a month that has 29 days there is the day after. None outside 1343 to 1500.
    """
    if year not in HIJRI_YEARS or not (1 <= month <= 12 and 1 <= day <= 30):
        return None
    length = Hijri(year, month, 1).month_length()
    ordinal = Hijri(year, month, min(day, length)).to_gregorian().toordinal()
    return date.fromordinal(ordinal + max(0, day - length))


def hijri_year(day: date) -> int | None:
    """The Hijri year of a day; None outside the table."""
    try:
        year: int = Gregorian(day.year, day.month, day.day).to_hijri().year
    except OverflowError:
        return None
    return year


def weekday_up_to(weekday: int, day: date) -> date:
    """The last such weekday up to and including `day`. Raises OverflowError before the year 1."""
    return day - _DAY * ((day.weekday() - weekday) % 7)
