"""Dates as Arabic pages print them."""

from datetime import UTC, datetime

import pytest

from pipelines.records import Time
from pipelines.stages.arabic.dates import read_date


@pytest.mark.parametrize(
    ("line", "utc", "confidence"),
    [
        ("السبت 11/نوفمبر/2017 - 12:04 ص", datetime(2017, 11, 11, 0, 4, tzinfo=UTC), 0.9),
        ("01 نوفمبر 2017", datetime(2017, 11, 1, tzinfo=UTC), 0.8),
        ("٠١ تشرين الثاني ٢٠١٧", datetime(2017, 11, 1, tzinfo=UTC), 0.8),
        ("2 تموز/يوليو 2015", datetime(2015, 7, 2, tzinfo=UTC), 0.8),
        ("الأحد، 5 جانفي 2020، الساعة 3:30 مساءً", datetime(2020, 1, 5, 15, 30, tzinfo=UTC), 0.9),
        ("نشر في: 25/12/2019 14:05", datetime(2019, 12, 25, 14, 5, tzinfo=UTC), 0.8),
        ("2019-12-25", datetime(2019, 12, 25, tzinfo=UTC), 0.7),
        ("3/4/2017", datetime(2017, 4, 3, tzinfo=UTC), 0.4),
        ("الأحد 11 نوفمبر 2017", datetime(2017, 11, 11, tzinfo=UTC), 0.24),
    ],
)
def test_dates(line: str, utc: datetime, confidence: float):
    """Month names of all regions, all digits, halves of the day; a wrong weekday costs belief."""
    assert read_date(line) == Time(int(utc.timestamp() * 1000), line, "none", confidence)


@pytest.mark.parametrize(
    "line",
    [
        "31 فبراير 2017",
        "5 مايو",
        "في 5 مايو 2017 وقع",
        "5 مايو/تموز 2017",
        "1 مايو 2017 13:00 م",
        "",
    ],
)
def test_what_is_no_date(line: str):
    """Days that do not exist, dates without a year and sentences are left alone."""
    assert read_date(line) is None
