"""Publication lines as Arabic pages print them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.records import Time
from pipelines.stages.arabic.calendars import HIJRI_MONTHS, MONTHS, WEEKDAYS, hijri_day
from pipelines.stages.arabic.dates import _PIECE, PIECES, read_date
from pipelines.stages.arabic.layers import match_text


def at(*numbers: int) -> int:
    return int(datetime(*numbers, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc]


# A Monday.
FETCHED = Time(at(2017, 11, 13, 12), "", "given", 1.0)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.kind)
def test_examples(piece):
    """Every piece reads its own example."""
    found = _PIECE.fullmatch(match_text(piece.example.replace("12:04", "12h04"))[0])
    assert found is not None
    assert found[f"is_{piece.kind}"] is not None


@pytest.mark.parametrize(
    ("line", "utc", "confidence"),
    [
        ("السبت 11/نوفمبر/2017 - 12:04 ص", at(2017, 11, 11, 0, 4), 0.95),
        ("01 نوفمبر 2017", at(2017, 11, 1), 0.8),
        ("1 نوفمبر 2017م", at(2017, 11, 1), 0.8),
        ("٠١ تشرين الثاني ٢٠١٧", at(2017, 11, 1), 0.8),
        ("۰۱ نوفمبر ۲۰۱۷", at(2017, 11, 1), 0.8),
        ("2 تموز/يوليو 2015", at(2015, 7, 2), 0.8),
        ("2 نوفمبر (تشرين الثاني) 2015", at(2015, 11, 2), 0.8),
        ("9 غشت 2015", at(2015, 8, 9), 0.8),
        ("9 اغسطس 2015", at(2015, 8, 9), 0.8),
        ("9 ينايـــر 2015", at(2015, 1, 9), 0.8),
        ("2017/نوفمبر/11", at(2017, 11, 11), 0.8),
        ("الأحد، 5 جانفي 2020، الساعة 3:30 مساءً", at(2020, 1, 5, 15, 30), 0.95),
        ("الساعة 10 ليلاً 3 مايو 2017", at(2017, 5, 3, 22), 0.9),
        ("3 مايو 2017 الساعة 11:30 ظهراً", at(2017, 5, 3, 11, 30), 0.9),
        ("3 مايو 2017 12:30 PM", at(2017, 5, 3, 12, 30), 0.9),
        ("3 مايو 2017 23:59:58", at(2017, 5, 3, 23, 59, 58), 0.9),
        ("3 مايو 2017 13:05 م", at(2017, 5, 3, 13, 5), 0.9),
        ("نشر في: 25/12/2019 14:05", at(2019, 12, 25, 14, 5), 0.8),
        ("تم النشر بتاريخ 25-12-2019", at(2019, 12, 25), 0.7),
        ("12:04 2017/11/11", at(2017, 11, 11, 12, 4), 0.8),
        ("2019-12-25", at(2019, 12, 25), 0.7),
        ("25.12.2019", at(2019, 12, 25), 0.7),
        ("آخر تحديث: 17 نوفمبر 2015 - نشر في 16 نوفمبر 2015", at(2015, 11, 16), 0.8),
        ("آخر تحديث: 17 نوفمبر 2015", at(2015, 11, 17), 0.8),
        # The day's number may be the month's: a weekday or the other calendar decides.
        ("3/4/2017", at(2017, 4, 3), 0.4),
        ("الاثنين 3/4/2017", at(2017, 4, 3), 0.8),
        ("السبت 3/4/2017", at(2017, 3, 4), 0.8),
        ("12/25/2019", at(2019, 12, 25), 0.7),
        ("4/3/1438 هـ - 3/12/2016", at(2016, 12, 3), 0.8),
        # A wrong weekday.
        ("الأحد 11 نوفمبر 2017", at(2017, 11, 11), 0.24),
        # Hijri, alone and beside the civil date; a sighted moon may be a day off the table.
        ("3 صفر 1437 هـ", at(2015, 11, 15), 0.7),
        ("3/2/1437هـ", at(2015, 11, 15), 0.7),
        ("1437/2/3", at(2015, 11, 15), 0.7),
        ("9 من ذي القعدة 1436 هـ", at(2015, 8, 24), 0.7),
        ("الأحد 3 صفر 1437 هـ", at(2015, 11, 15), 0.8),
        ("الاثنين 3 صفر 1437 هـ", at(2015, 11, 16), 0.7),
        ("الجمعة 3 صفر 1437 هـ", at(2015, 11, 15), 0.21),
        ("الاثنين 3 صفر 1437 هـ - 16 نوفمبر 2015 م", at(2015, 11, 16), 0.95),
        ("3 صفر 1437 هـ الموافق لـ 15 نوفمبر 2015 م", at(2015, 11, 15), 0.9),
        ("3 صفر 1437 هـ - 20 نوفمبر 2015 م", at(2015, 11, 20), 0.24),
    ],
)
def test_dates(line: str, utc: int, confidence: float):
    """Month names of all regions, both calendars, all digits, all orders, halves of the day; what
    agrees adds belief, what contradicts costs it."""
    assert read_date(line) == Time(utc, line, "none", confidence)


@pytest.mark.parametrize(
    ("line", "utc", "offset"),
    [
        ("16 نوفمبر 2015 12:04 بتوقيت غرينتش", at(2015, 11, 16, 12, 4), 0),
        ("16 نوفمبر 2015 12:04 جرينتش", at(2015, 11, 16, 12, 4), 0),
        ("16 نوفمبر 2015 12:04 ت.غ", at(2015, 11, 16, 12, 4), 0),
        ("16 نوفمبر 2015 12:04 GMT", at(2015, 11, 16, 12, 4), 0),
        ("16 نوفمبر 2015 12:04 GMT+3", at(2015, 11, 16, 9, 4), 180),
        ("16 نوفمبر 2015 12:04 (UTC -03:30)", at(2015, 11, 16, 15, 34), -210),
        ("16 نوفمبر 2015 12:04 +0300", at(2015, 11, 16, 9, 4), 180),
        ("2015-11-16T12:04:05+03:00", at(2015, 11, 16, 9, 4, 5), 180),
        ("2015-11-16T12:04:05.250Z", at(2015, 11, 16, 12, 4, 5), 0),
        ("16 نوفمبر 2015 12:04 بتوقيت مكة المكرمة", at(2015, 11, 16, 9, 4), 180),
        ("16 نوفمبر 2015 - 12:04 ص بتوقيت دمشق", at(2015, 11, 15, 22, 4), 120),
        ("16 يونيو 2015 12:04 بتوقيت بيروت", at(2015, 6, 16, 9, 4), 180),
        ("16 يونيو 2015 12:04 بتوقيت المغرب", at(2015, 6, 16, 12, 4), 0),  # Ramadan's eve
    ],
)
def test_a_zone_that_is_given(line: str, utc: int, offset: int):
    """An offset, UTC's names and بتوقيت with a place say where the clocks stood."""
    time = read_date(line, zone=ZoneInfo("Asia/Dubai"))
    assert time is not None
    assert (time.utc, time.zone, time.offset) == (utc, "given", offset)


def test_the_outlets_zone():
    """Without a zone of its own a line means its outlet's clocks, local or not."""
    for line in ("16 نوفمبر 2015 12:04", "16 نوفمبر 2015 12:04 بالتوقيت المحلي"):
        time = read_date(line, zone=ZoneInfo("Asia/Riyadh"))
        assert time == Time(at(2015, 11, 16, 9, 4), line, "outlet", 0.9, 180)


def test_an_hour_that_clocks_show_twice_or_leave_out():
    """Of two such hours it is the first; one left out counts from before the change."""
    cairo = ZoneInfo("Africa/Cairo")  # 2023: forward on April 28, back on October 27
    twice = read_date("26 أكتوبر 2023 23:30", zone=cairo)
    never = read_date("28 أبريل 2023 00:30", zone=cairo)
    assert (twice and twice.utc, never and never.utc) == (
        at(2023, 10, 26, 20, 30),
        at(2023, 4, 27, 22, 30),
    )


@pytest.mark.parametrize(
    ("line", "utc"),
    [
        ("منذ ساعتين", at(2017, 11, 13, 10)),
        ("قبل 3 ساعات", at(2017, 11, 13, 9)),
        ("نشر منذ 10 دقائق", at(2017, 11, 13, 11, 50)),
        ("آخر تحديث: قبل يومين", at(2017, 11, 11, 12)),
        ("أمس 12:30", at(2017, 11, 12, 12, 30)),
        ("اليوم الساعة 3:00", at(2017, 11, 13, 3)),
        ("أول أمس", at(2017, 11, 11)),
        ("الجمعة 12:30 م", at(2017, 11, 10, 12, 30)),
        ("الاثنين 10:00", at(2017, 11, 13, 10)),
    ],
)
def test_what_counts_from_the_fetching(line: str, utc: int):
    """Hours ago, yesterday and a weekday's hour count from when the page was fetched, are marked
    so and little believed; without that time they say nothing."""
    time = read_date(line, fetched=FETCHED)
    assert time is not None
    assert (time.utc, time.relative, time.confidence) == (utc, True, 0.3)
    assert read_date(line) == read_date(line, fetched=Time()) == Time(None, line, relative=True)


def test_yesterday_where_it_was_written():
    """The day is that of the clocks there: at 22:00 UTC Riyadh has the next one."""
    fetched = Time(at(2017, 11, 12, 22), "", "given", 1.0, offset=180)
    time = read_date("أمس 12:30", zone=ZoneInfo("Asia/Riyadh"), fetched=fetched)
    assert time is not None
    assert (time.utc, time.zone) == (at(2017, 11, 12, 9, 30), "outlet")


@pytest.mark.parametrize(
    "line",
    [
        "31 فبراير 2017",
        "30 صفر 1200 هـ",
        "5 مايو",
        "مايو 2017",
        "في 5 مايو 2017 وقع",
        "5 مايو/تموز 2017",
        "1 مايو 2017 13:00 ص",
        "1 مايو 2017 24:00",
        "1 مايو 2017 2 مايو 2017",
        "1 مايو 2017 12:00 GMT+25",
        "12:30",
        "الجمعة",
        "2017",
        "",
    ],
)
def test_what_is_no_date(line: str):
    """Days that do not exist, dates without a year, two dates and sentences are left alone."""
    assert read_date(line, fetched=FETCHED) is None


days = st.dates(date(1924, 8, 1), date(2077, 11, 16))
FORMATS = (
    "{weekday} {day} {month} {year}",
    "{day}/{month}/{year}",
    "{day} {month} {year} م",
    "{year}-{number:02}-{day:02}",
    "{weekday} {day}/{number}/{year}",
    "نشر في {day} {month} {year} - 10:15 ص",
    "10:15 {day} {month}، {year}",
)
DIGITS = ("0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹")


def names_of(table: dict[str, int], number: int) -> list[str]:
    return [name for name, value in table.items() if value == number]


@given(days, st.sampled_from(FORMATS), st.sampled_from(DIGITS), st.data())
def test_a_printed_date_reads_back(day: date, form: str, digits: str, data: st.DataObject):
    """A day printed in any form, with any name of its month and any digits, is read as that day."""
    line = form.format(
        weekday=data.draw(st.sampled_from(names_of(WEEKDAYS, day.weekday()))),
        day=day.day,
        number=day.month,
        month=data.draw(st.sampled_from(names_of(MONTHS, day.month))),
        year=day.year,
    ).translate(str.maketrans("0123456789", digits))
    time = read_date(line)
    assert time is not None
    assert time.utc is not None
    assert (datetime(1970, 1, 1) + timedelta(milliseconds=time.utc)).date() == day


@given(
    st.integers(1343, 1500),
    st.integers(1, 12),
    st.integers(1, 29),
    st.sampled_from(
        ("{day} {month} {year} هـ", "{day}/{number}/{year}هـ", "{year}/{number}/{day}")
    ),
    st.data(),
)
def test_a_printed_hijri_date_reads_back(
    year: int, month: int, day: int, form: str, data: st.DataObject
):
    """So is a Hijri one, alone and beside the civil date."""
    name = data.draw(st.sampled_from(names_of(HIJRI_MONTHS, month)))
    line = form.format(day=day, month=name, number=month, year=year)
    civil = hijri_day(year, month, day)
    for each in (line, f"{line} - {civil.day}/{civil.month}/{civil.year}"):
        time = read_date(each)
        assert time is not None
        assert time.utc == at(civil.year, civil.month, civil.day)


PARTS = """السبت 11 نوفمبر صفر 2017 1437 هـ م / - : 12:04 ص نشر في آخر تحديث منذ ساعتين أمس قبل 99
غرينتش GMT+3 +03:00 0000 9999 32 بتوقيت دمشق الساعة الموافق و"""


@given(
    st.text() | st.lists(st.sampled_from(PARTS.split()), max_size=10).map(" ".join),
    st.sampled_from((None, FETCHED, Time(-(10**14)), Time(at(9999, 12, 31)))),
)
def test_any_text(line: str, fetched: Time | None):
    """No text raises; what is read lies within the years 1 to 9999."""
    time = read_date(line, zone=ZoneInfo("Pacific/Apia"), fetched=fetched)
    if time is not None and time.utc is not None:
        datetime(1970, 1, 1) + timedelta(milliseconds=time.utc)
