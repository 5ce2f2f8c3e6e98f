"""The names in dates, and the day that a date of either calendar is."""

from datetime import date, timedelta
from zoneinfo import available_timezones

from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.arabic.calendars import (
    HIJRI_MONTHS,
    MONTHS,
    WEEKDAYS,
    ZONES,
    gregorian_day,
    hijri_day,
    hijri_year,
    weekday_up_to,
    words,
)


def test_every_month_and_weekday_has_its_names():
    """All months of both calendars and all weekdays are there; every zone exists."""
    assert set(MONTHS.values()) == set(HIJRI_MONTHS.values()) == set(range(1, 13))
    assert set(WEEKDAYS.values()) == set(range(7))
    assert set(ZONES.values()) <= available_timezones()


def test_no_name_is_of_two_months():
    """A name stands for one month only, in either calendar."""
    assert not MONTHS.keys() & HIJRI_MONTHS.keys()


def test_words_of_a_use():
    """The table's words come in the match layer, behind each lead, too."""
    assert words("tomorrow", "و") == {"غدا", "غد", "وغدا", "وغد"}


def test_hijri_days():
    """By the Umm al-Qura table; the 30th of a month of 29 days is the day after."""
    assert hijri_day(1436, 10, 1) == date(2015, 7, 17)
    assert hijri_day(1437, 2, 3) == date(2015, 11, 15)
    assert hijri_day(1436, 10, 30) == hijri_day(1436, 11, 1) - timedelta(days=1)
    assert hijri_day(1436, 11, 30) == hijri_day(1436, 12, 1)


@given(st.integers(), st.integers(), st.integers())
def test_no_numbers_raise(year: int, month: int, day: int):
    """Any three numbers are a day or none; outside the table and the calendar they are none."""
    for made in (gregorian_day(year, month, day), hijri_day(year, month, day)):
        assert made is None or isinstance(made, date)
    assert hijri_day(1342, 12, 1) is hijri_day(1501, 1, 1) is hijri_day(1436, 13, 1) is None
    assert gregorian_day(2015, 2, 29) is gregorian_day(99, 1, 1) is None


@given(st.dates(date(1924, 8, 1), date(2077, 11, 16)))
def test_a_hijri_year_holds_its_days(day: date):
    """The year of a day is the one whose first day is the last before it."""
    year = hijri_year(day)
    first, following = hijri_day(year, 1, 1), hijri_day(year + 1, 1, 1)
    assert first <= day
    assert following is None or day < following


def test_hijri_years_end():
    """Outside the table there is no Hijri year."""
    assert hijri_year(date(1924, 7, 31)) is hijri_year(date.max) is None


@given(st.dates(min_value=date(1, 1, 7)), st.integers(0, 6))
def test_the_last_weekday(day: date, weekday: int):
    """The last Friday up to a Friday is that day."""
    found = weekday_up_to(weekday, day)
    assert found.weekday() == weekday
    assert 0 <= (day - found).days <= 6
