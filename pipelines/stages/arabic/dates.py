"""Publication lines: dates and times as Arabic news pages print them, on a line of their own.

A line is read piece by piece, in any order; one piece that is nothing of a date, and it is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pipelines.records import Time
from pipelines.stages.arabic.calendars import (
    HIJRI_MONTHS,
    HIJRI_YEARS,
    MONTHS,
    WEEKDAYS,
    ZONES,
    gregorian_day,
    hijri_day,
    weekday_up_to,
)
from pipelines.stages.arabic.layers import match_text
from pipelines.stages.times import milliseconds, offset_minutes, own_clock

# An order, no frequencies: no article of the development data prints a publication line.
_NAMED, _NUMERIC, _AMBIGUOUS, _RELATIVE = 0.8, 0.7, 0.4, 0.3  # 3/4/2017 may be either
_AGREES = 0.1  # added for a time of day, a weekday that fits, a second calendar that fits
_CONTRADICTS = 0.3  # factor: one of the two is wrong, and nobody knows which
_HIGHEST = 0.95


def _one_of(names: dict[str, int] | dict[str, str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_BEFORE_NOON = "ص|صباحا|صباح|فجرا|am"
_AFTER_NOON = "م|مساء|ظهرا|بعد الظهر|عصرا|pm"
_HALF = f"{_BEFORE_NOON}|{_AFTER_NOON}|ليلا"
_MONTH, _HIJRI_MONTH = _one_of(MONTHS), _one_of(HIJRI_MONTHS)
_OF = "(?: من)?(?: شهر)?"
_IN_YEAR = "(?: (?:عام|سنه|لعام))?"
_UNIT_MINUTES = {
    **dict.fromkeys(("دقيقه", "دقيقتين", "دقاءق"), 1),
    **dict.fromkeys(("ساعه", "ساعتين", "ساعات"), 60),
    **dict.fromkeys(("يوم", "يومين", "ايام"), 60 * 24),
    **dict.fromkeys(("اسبوع", "اسبوعين", "اسابيع"), 60 * 24 * 7),
}
_TWO = frozenset(("دقيقتين", "ساعتين", "يومين", "اسبوعين"))
_DAYS_AGO = {"اليوم": 0, "امس": 1, "اول امس": 2, "اول من امس": 2, "امس الاول": 2}


class Piece(NamedTuple):
    """A piece of a publication line: its pattern on the match layer, where 12:04 is 12h04."""

    kind: str
    pattern: str
    example: str


PIECES = (
    Piece(
        "updated",
        "(?:اخر (?:تحديث|تعديل)|تم (?:التحديث|التعديل)|(?:تاريخ|وقت) (?:التحديث|التعديل)|حدث)"
        "(?: في| بتاريخ)?",
        "آخر تحديث:",
    ),
    Piece(
        "published",
        "(?:نشر|نشرت|تم النشر|تم نشره|(?:تاريخ|وقت) (?:النشر|الاضافه|الخبر|المقال)|كتب|حرر|اضيف"
        "|التاريخ(?: والوقت)?|تاريخ)(?: في| بتاريخ)?",
        "تاريخ النشر:",
    ),
    Piece("weekday", f"(?:يوم )?(?P<weekday>{_one_of(WEEKDAYS)})", "السبت"),
    Piece(
        "named",
        rf"ل?(?P<day>\d\d?){_OF} (?P<month>{_MONTH})(?: (?P<same>{_MONTH}))?{_IN_YEAR}"
        r" (?P<year>\d{4})(?: ?(?:م|ميلادي|ميلاديه))?",
        "11/نوفمبر/2017",
    ),
    Piece(
        "year_first",
        rf"(?P<year_first_year>\d{{4}}) (?P<year_first_month>{_MONTH}) (?P<year_first_day>\d\d?)",
        "2017/نوفمبر/11",
    ),
    Piece(
        "hijri",
        rf"ل?(?P<h_day>\d\d?){_OF} (?P<h_month>{_HIJRI_MONTH}){_IN_YEAR}"
        r" (?P<h_year>\d{4})(?: ?(?:ه|هجري|هجريه))?",
        "3 صفر 1437 هـ",
    ),
    Piece(
        "iso",
        r"(?P<i_year>\d{4}) (?P<i_month>\d\d?) (?P<i_day>\d\d?)(?: ?(?P<i_mark>ه|م|هجري|ميلادي))?",
        "2017-11-11",
    ),
    Piece(
        "numeric",
        r"ل?(?P<n_day>\d\d?) (?P<n_month>\d\d?) (?P<n_year>\d{4})"
        r"(?: ?(?P<n_mark>ه|م|هجري|ميلادي))?",
        "25/12/2019",
    ),
    Piece(
        "time",
        rf"(?:الساعه )?(?:(?P<half_first>{_HALF}) )?(?P<hour>\d\d?)h(?P<minute>\d\d)"
        rf"(?:h(?P<second>\d\d)(?: \d{{3,6}})?)?(?: ?(?P<half>{_HALF}))?",
        "12:04 ص",
    ),
    Piece(
        "hour",
        rf"(?:الساعه (?P<o_hour>\d\d?)(?: (?P<o_minute>\d\d))?(?: ?(?P<o_half>{_HALF}))?"
        rf"|(?P<a_hour>\d\d?)(?: (?P<a_minute>\d\d))? ?(?P<a_half>{_HALF}))",
        "الساعة 3 مساءً",
    ),
    Piece(
        "ago",
        rf"(?:منذ|قبل) (?:(?P<count>\d\d?) )?(?P<unit>{'|'.join(_UNIT_MINUTES)})",
        "منذ 3 ساعات",
    ),
    Piece("day_word", f"(?P<day_word>{'|'.join(sorted(_DAYS_AGO, reverse=True))})", "أمس"),
    Piece("local", "بالتوقيت المحلي", "بالتوقيت المحلي"),
    Piece(
        "zone",
        rf"(?:(?:ب|بال)?توقيت (?P<zone>{_one_of(ZONES)})|(?P<bare_zone>gmt|utc|[غج]رينتش|ت غ))",
        "بتوقيت غرينتش",
    ),
    Piece("filler", "الموافق(?: ل)?|بتاريخ|عند|في تمام|في|و|يوم", "الموافق"),
)
_PIECE = re.compile(
    "(?:" + "|".join(f"(?P<is_{piece.kind}>{piece.pattern})" for piece in PIECES) + ")(?: |$)"
)
_UTC_NAMES = r"(?:GMT|UTC|[غج]ري?ني?تش|ت\.? ?غ\.?)"
# +03:00 behind a time of day or beside UTC's name; Z behind a time.
_OFFSET = re.compile(
    rf"{_UTC_NAMES}[ (]*(?P<sign>[+−–-]) ?(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?(?!\d)"
    rf"|(?P<sign_2>[+−–-]) ?(?P<hours_2>\d\d?)(?::?(?P<minutes_2>\d\d))? ?{_UTC_NAMES}"
    r"|(?:(?<=:\d\d)|(?<=\.\d{3})|(?<=\.\d{6})|(?<=[صم]))[ (]*"
    r"(?P<sign_3>[+−-])(?P<hours_3>\d\d):?(?P<minutes_3>\d\d)(?=\)?\s*$)"
    r"|(?:(?<=:\d\d)|(?<=\.\d{3})|(?<=\.\d{6}))(?P<z>Z)(?!\w)",
    re.IGNORECASE,
)
_COLON = re.compile(r"(?<=\d) ?: ?(?=\d\d)")
_ISO_T = re.compile(r"(?<=\d)T(?=\d\d:)")
# Nothing is a date without one of these.
_HINT = re.compile(r"\d|منذ|قبل|مس\b")


@dataclass(slots=True)
class _Line:
    """What the pieces of a line, or of its part behind a label, say."""

    updated: bool = False
    day: date | None = None  # the day by the Gregorian calendar, as the line writes it
    other: date | None = None  # the same numbers with month before day: 3/4/2017
    hijri: date | None = None
    confidence: float = 0.0
    weekday: int | None = None
    clock: tuple[int, int, int] | None = None
    zone: tzinfo | None = None
    days_ago: int | None = None
    minutes_ago: int | None = None
    seen: set[str] = field(default_factory=set)

    @property
    def is_relative(self) -> bool:
        """Whether the line needs another time to say anything."""
        if self.day or self.hijri:
            return False
        return (
            self.minutes_ago is not None
            or self.days_ago is not None
            or (self.weekday is not None and self.clock is not None)
        )


def read_date(
    display: str, *, zone: tzinfo | None = None, fetched: Time | None = None
) -> Time | None:
    """The time that a line of display text states, if the line is nothing but a date.

    `السبت 11/نوفمبر/2017 - 12:04 ص` is 2017-11-11 00:04, by the clocks that the line names, else by
    those of `zone`, the outlet's, else by UTC. What counts from now (`منذ ساعتين`, `أمس`) counts
    from `fetched`; without that it has no `utc`. None when the line says anything else or names a
    day that does not exist. An hour that clocks show twice or leave out: see `in_zone`.
    """
    if not _HINT.search(display):
        return None
    lines = _read_pieces(display)
    if not lines:
        return None
    line = next((line for line in lines if not line.updated), lines[0])
    if line.is_relative:
        return _relative_time(line, display, zone, fetched)
    return _absolute_time(line, display, zone)


def _read_pieces(display: str) -> list[_Line]:
    """What the line says, a value for each label in it; empty when it is no date."""
    offset: tzinfo | None = None
    if found := _OFFSET.search(display):
        offset = _offset(found)
        if offset is None:
            return []
        display = f"{display[: found.start()]} {display[found.end() :]}"
    text = match_text(_COLON.sub("h", _ISO_T.sub(" ", display)))[0]
    lines = [_Line()]
    at = 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            return []
        at = piece.end()
        kind = (piece.lastgroup or "").removeprefix("is_")
        if kind in ("updated", "published"):
            if lines[-1].seen:
                lines.append(_Line())
            lines[-1].updated = kind == "updated"
        elif kind not in ("filler", "local") and not _take(lines[-1], kind, piece):
            return []
    lines = [line for line in lines if line.seen]
    for line in lines:
        line.zone = offset or line.zone
    return lines


def _offset(found: re.Match[str]) -> tzinfo | None:
    """The offset that the text gives; None for one that no place on Earth has."""
    if found["z"]:
        return UTC
    for number in ("", "_2", "_3"):
        if found[f"sign{number}"]:
            break
    hours, minutes = int(found[f"hours{number}"]), int(found[f"minutes{number}"] or 0)
    if hours > 14 or minutes > 59:
        return None
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(ahead if found[f"sign{number}"] == "+" else -ahead)


def _take(line: _Line, kind: str, piece: re.Match[str]) -> bool:
    """Adds what a piece says; False for what cannot be, or was said already."""
    part = piece.groupdict()
    if kind == "weekday":
        line.weekday = WEEKDAYS[part["weekday"]]
    elif kind in ("time", "hour"):
        kind = "time"
        line.clock = _clock(part)
        if line.clock is None:
            return False
    elif kind == "zone":
        name = "UTC" if part["bare_zone"] else ZONES[part["zone"]]
        line.zone = UTC if name == "UTC" else ZoneInfo(name)
    elif kind == "ago":
        count = int(part["count"] or 1) * (2 if part["unit"] in _TWO else 1)
        line.minutes_ago = count * _UNIT_MINUTES[part["unit"]]
    elif kind == "day_word":
        line.days_ago = _DAYS_AGO[part["day_word"]]
    else:
        kind = _take_day(line, kind, part)
    if not kind or kind in line.seen:
        return False
    line.seen.add(kind)
    return True


def _take_day(line: _Line, kind: str, part: dict[str, str | None]) -> str:
    """Adds a day; returns its calendar, empty for a day that does not exist."""

    def number(name: str) -> int:
        return int(part[name] or 0)

    if kind == "hijri":
        line.hijri = hijri_day(
            number("h_year"), HIJRI_MONTHS[part["h_month"] or ""], number("h_day")
        )
        line.confidence = max(line.confidence, _NUMERIC)
        return "hijri" if line.hijri else ""
    if kind in ("named", "year_first"):
        prefix = "" if kind == "named" else "year_first_"
        month = MONTHS[part[f"{prefix}month"] or ""]
        if kind == "named" and part["same"] and MONTHS[part["same"]] != month:
            return ""
        line.day = gregorian_day(number(f"{prefix}year"), month, number(f"{prefix}day"))
        line.confidence = _NAMED
        return "gregorian" if line.day else ""
    prefix = kind[0]
    year, month, day = number(f"{prefix}_year"), number(f"{prefix}_month"), number(f"{prefix}_day")
    if (part[f"{prefix}_mark"] or "م")[0] == "ه" or year in HIJRI_YEARS:
        line.hijri = hijri_day(year, month, day)
        line.confidence = max(line.confidence, _NUMERIC)
        return "hijri" if line.hijri else ""
    line.day, line.confidence = gregorian_day(year, month, day), _NUMERIC
    if kind == "numeric":
        line.other = gregorian_day(year, day, month)
        if line.day is None:
            line.day, line.other = line.other, None
        if line.other == line.day:
            line.other = None
    return "gregorian" if line.day else ""


def _clock(part: dict[str, str | None]) -> tuple[int, int, int] | None:
    """Hour, minute and second; None for none that a clock shows."""
    hour = int(part["hour"] or part["o_hour"] or part["a_hour"] or 0)
    minute = int(part["minute"] or part["o_minute"] or part["a_minute"] or 0)
    second = int(part["second"] or 0)
    half = part["half"] or part["half_first"] or part["o_half"] or part["a_half"]
    if hour > 23 or minute > 59 or second > 59:
        return None
    if half in _BEFORE_NOON.split("|"):
        if hour > 12:
            return None
        hour %= 12
    elif half == "ليلا":  # ten at night and two at night
        hour = hour + 12 if 6 <= hour < 12 else hour % 12 if hour <= 12 else hour
    elif half and 1 <= hour < 12 and not (half == "ظهرا" and hour == 11):
        hour += 12
    return hour, minute, second


def _absolute_time(line: _Line, display: str, zone: tzinfo | None) -> Time | None:
    day, confidence = _believed(line)
    if day is None:
        return None
    if line.clock:
        confidence += _AGREES
    return _at(day, line, display, zone, confidence)


def _believed(line: _Line) -> tuple[date | None, float]:
    """The day that the line's parts speak for, and how much they do."""
    day, confidence = line.day, line.confidence
    if day is None:
        day = line.hijri
        if day is not None and line.weekday is not None:
            away = (line.weekday - day.weekday() + 3) % 7 - 3
            if abs(away) <= 1:  # where the moon is sighted, a month begins a day off the table
                return day + timedelta(days=away), confidence + (_AGREES if not away else 0.0)
            confidence *= _CONTRADICTS
        return day, confidence
    if line.other is not None:
        if _speaks_for(line, line.other) and not _speaks_for(line, day):
            day = line.other
        elif not _speaks_for(line, day):
            confidence = _AMBIGUOUS
    for said, agrees in (
        (line.weekday is not None, day.weekday() == line.weekday),
        (line.hijri is not None, _near(line.hijri, day)),
    ):
        if said:
            confidence = confidence + _AGREES if agrees else confidence * _CONTRADICTS
    return day, confidence


def _speaks_for(line: _Line, day: date) -> bool:
    """Whether the weekday or the Hijri date is this day's."""
    return line.weekday == day.weekday() or _near(line.hijri, day)


def _near(hijri: date | None, day: date) -> bool:
    return hijri is not None and abs((hijri - day).days) <= 1


def _relative_time(
    line: _Line, display: str, zone: tzinfo | None, fetched: Time | None
) -> Time | None:
    unresolved = Time(None, display, relative=True)
    if fetched is None or fetched.utc is None:
        return unresolved
    if line.minutes_ago is not None:
        utc = fetched.utc - line.minutes_ago * 60_000
        return Time(utc, display, fetched.zone, _RELATIVE, fetched.offset, relative=True)
    clock = own_clock(fetched)
    try:
        if clock is None:
            return unresolved
        today = clock.date()
        if line.days_ago is not None:
            day = today - timedelta(days=line.days_ago)
        else:
            day = weekday_up_to(line.weekday or 0, today)
    except OverflowError:
        return unresolved
    confidence = _RELATIVE
    if line.weekday is not None and day.weekday() != line.weekday:
        confidence *= _CONTRADICTS
    time = _at(day, line, display, zone, confidence, relative=True)
    return time or unresolved


def _at(
    day: date,
    line: _Line,
    display: str,
    zone: tzinfo | None,
    confidence: float,
    *,
    relative: bool = False,
) -> Time | None:
    hour, minute, second = line.clock or (0, 0, 0)
    clocks = line.zone or zone or UTC
    moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=clocks)
    utc = milliseconds(moment)
    if utc is None:
        return None
    return Time(
        utc,
        display,
        "given" if line.zone else "outlet" if zone else "none",
        round(min(confidence, _HIGHEST), 2),
        offset_minutes(moment),
        relative,
    )
