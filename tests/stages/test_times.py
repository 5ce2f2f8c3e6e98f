from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.records import Time
from pipelines.stages.times import parse_time

NOON = 1_741_176_000_000  # 2025-03-05 12:00 UTC

# The years that a datetime has, less a day for zones.
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-05T12:00:00Z",
        "2025-03-05T15:00:00+03:00",
        "2025-03-05 15:00+0300",
        "20250305T120000Z",
        "Wed, 05 Mar 2025 12:00:00 GMT",
        "Wed, 05 Mar 2025 15:00:00 +0300",
        "1741176000",
        "1741176000.0",
        "1741176000000",
        "  1741176000\n",
        "٢٠٢٥-٠٣-٠٥T١٢:٠٠:٠٠Z",
        "۱۷۴۱۱۷۶۰۰۰",
    ],
)
def test_time_with_its_zone(text):
    """ISO 8601, RFC 2822 and seconds or milliseconds since 1970, in Arabic digits too, are sure."""
    assert parse_time(text) == Time(NOON, text, "given", 1.0)


@pytest.mark.parametrize(
    ("text", "utc", "confidence"),
    [
        ("2025-03-05T12:00:00", NOON, 0.7),
        ("2025-03-05 12:00", NOON, 0.7),
        ("Wed, 05 Mar 2025 12:00:00", NOON, 0.7),
        ("2025-03-05", NOON - 12 * 3600 * 1000, 0.5),
        ("20250305", NOON - 12 * 3600 * 1000, 0.5),
    ],
)
def test_time_without_its_zone(text, utc, confidence):
    """Without a zone it is UTC, flagged and less sure; a date alone is its midnight, less still."""
    assert parse_time(text) == Time(utc, text, "none", confidence)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "أمس",
        "2025-13-05",
        "2025-02-30T12:00:00Z",
        "Wed, 32 Mar 2025 12:00:00 GMT",
        # Counts, years and fields that were never set are no seconds since 1970.
        "0",
        "-1",
        "2025",
        "12345678",
        # More than a date can hold.
        "9999999999999999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 +0000",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "1e400",
        "nan",
    ],
)
def test_no_time(text):
    """What says no time, or one that no calendar has, is kept as text and nothing raised."""
    assert parse_time(text) == Time(None, text, "none", 0.0)


def test_time_at_the_calendars_end():
    """Year 1 in a zone east of UTC lies before the calendar: no time, though its zone is known."""
    assert parse_time("0001-01-01T00:00:00+05:00") == Time(
        None, "0001-01-01T00:00:00+05:00", "given", 0.0
    )


def test_nothing():
    """No text is no time."""
    assert parse_time("") == parse_time(" \n") == Time()


@given(moments, zones)
def test_iso_round_trip(moment, zone):
    """Any moment in any zone, written in ISO 8601, is read to the millisecond."""
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    expected = (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert parse_time(local.isoformat()).utc == expected


@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31)), zones)
def test_rfc_2822_round_trip(moment, zone):
    """Any moment in any zone, written as feeds do, is read to the second."""
    local = moment.replace(tzinfo=UTC, microsecond=0).astimezone(zone)
    expected = (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert parse_time(format_datetime(local)).utc == expected


WORDS = """Mon Wed, 05 32 Mar Jan 2025 99999999999 0001 12:00:00 24:61 :: T Z GMT EST +0300 -0000
+99999999999 ( ) , . - + ٠٥ / أمس"""
date_parts = st.lists(st.sampled_from(WORDS.split()), max_size=8).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda space: space.join(parts))
)


@given(st.text() | date_parts)
def test_any_text(text):
    """Any text gives a time within the years 1 to 9999, or none."""
    utc = parse_time(text).utc
    if utc is not None:
        datetime(1970, 1, 1) + timedelta(milliseconds=utc)
