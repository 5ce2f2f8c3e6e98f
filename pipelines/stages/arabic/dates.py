"""Publication dates as Arabic news pages print them, read from the match layer of one line."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pipelines.records import Time
from pipelines.stages.arabic.layers import match_text

# Egyptian and Gulf, Levantine, Maghrebi names (CLDR 41: ar, ar-SY, ar-DZ, ar-MA), match layer.
_MONTH_NAMES = (
    ("يناير", "كانون الثاني", "جانفي"),
    ("فبراير", "شباط", "فيفري"),
    ("مارس", "اذار"),
    ("ابريل", "نيسان", "افريل"),
    ("مايو", "ايار", "ماي"),
    ("يونيو", "يونيه", "حزيران", "جوان"),
    ("يوليو", "يوليه", "تموز", "جويليه", "يوليوز"),
    ("اغسطس", "اب", "اوت", "غشت"),
    ("سبتمبر", "ايلول", "شتنبر"),
    ("اكتوبر", "تشرين الاول"),
    ("نوفمبر", "تشرين الثاني", "نونبر"),
    ("ديسمبر", "كانون الاول", "دجنبر"),
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            ("الاثنين",),
            ("الثلاثاء",),
            ("الاربعاء",),
            ("الخميس",),
            ("الجمعه",),
            ("السبت",),
            ("الاحد",),
        )
    )
    for name in names
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE_LINE = re.compile(
    r"(?:(?:نشر في|نشر|تم النشر في|تم النشر|تاريخ النشر|اخر تحديث|التاريخ) )?"
    rf"(?:يوم )?(?:(?P<weekday>{'|'.join(_WEEKDAYS)}) )?"
    rf"(?:(?P<day>\d\d?) (?P<month>{_MONTH})(?: (?P<same_month>{_MONTH}))? (?P<year>\d{{4}})"
    r"|(?P<n_day>\d\d?) (?P<n_month>\d\d?) (?P<n_year>\d{4})"
    r"|(?P<i_year>\d{4}) (?P<i_month>\d\d?) (?P<i_day>\d\d?))"
    r"(?: م(?= |$))?"
    r"(?: (?:الساعه )?(?P<hour>\d\d?) (?P<minute>\d\d)(?: \d\d)?"
    r"(?: (?P<half>ص|م|صباحا|مساء|am|pm))?)?"
)

# How sure a date is; rough, until measured against known publication times.
_NAMED, _NUMERIC, _AMBIGUOUS = 0.8, 0.7, 0.4  # 3/4/2017 may be either
_WITH_TIME = 0.1
_WRONG_WEEKDAY = 0.3  # factor: one of the two is wrong, and nobody knows which


def read_date(display: str) -> Time | None:
    """The time that a line of display text states, if the line is nothing but a date.

    `السبت 11/نوفمبر/2017 - 12:04 ص` is 2017-11-11 00:04. No zone is read: the time is taken as
    UTC. None when the line says anything else or names a day that does not exist.
    """
    found = _DATE_LINE.fullmatch(match_text(display)[0])
    if found is None:
        return None
    part = found.groupdict()
    confidence = _NUMERIC
    if part["month"]:
        day, month, year = int(part["day"]), _MONTHS[part["month"]], int(part["year"])
        if part["same_month"] and _MONTHS[part["same_month"]] != month:
            return None
        confidence = _NAMED
    elif part["n_day"]:
        day, month, year = int(part["n_day"]), int(part["n_month"]), int(part["n_year"])
        if day <= 12 and day != month:
            confidence = _AMBIGUOUS
    else:
        day, month, year = int(part["i_day"]), int(part["i_month"]), int(part["i_year"])
    hour, minute = int(part["hour"] or 0), int(part["minute"] or 0)
    if part["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if part["half"] in ("م", "مساء", "pm") else 0)
    try:
        time = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    if part["hour"]:
        confidence += _WITH_TIME
    if part["weekday"] and _WEEKDAYS[part["weekday"]] != time.weekday():
        confidence *= _WRONG_WEEKDAY
    return Time(int(time.timestamp()) * 1000, display, "none", round(confidence, 2))
