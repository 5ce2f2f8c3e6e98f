from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.records import Time
from pipelines.stages.times import in_zone, own_clock, parse_time, zone_of

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
    offset = 180 if "15:00" in text else 0
    assert parse_time(text) == Time(NOON, text, "given", 1.0, offset)


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
        None, "0001-01-01T00:00:00+05:00", "given", 0.0, 300
    )


RIYADH, CAIRO = ZoneInfo("Asia/Riyadh"), ZoneInfo("Africa/Cairo")


def milliseconds(*numbers: int) -> int:
    return int(datetime(*numbers, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc]


def test_a_time_without_zone_is_its_outlets():
    """Noon without a zone is noon in Riyadh; a date alone is its midnight there, no surer."""
    noon = in_zone(parse_time("2025-03-05 12:00"), RIYADH)
    assert noon == Time(NOON - 3 * 3600 * 1000, "2025-03-05 12:00", "outlet", 0.9, 180)
    day = in_zone(parse_time("2025-03-05"), RIYADH)
    assert day == Time(milliseconds(2025, 3, 4, 21), "2025-03-05", "outlet", 0.5, 180)


def test_an_instant_stays():
    """A zone that is given wins; only which day it was in Riyadh is learnt."""
    instant = parse_time("2025-03-05T22:30:00Z")
    here = in_zone(instant, RIYADH)
    assert here == Time(instant.utc, instant.text, "given", 1.0, 180)
    assert own_clock(instant) == datetime(2025, 3, 5, 22, 30)
    assert own_clock(here) == datetime(2025, 3, 6, 1, 30)


def test_no_zone_no_change():
    """Without an outlet's zone, or without a time, nothing changes."""
    for time in (parse_time("2025-03-05"), Time(), Time(None, "أمس")):
        assert in_zone(time, None) == time
    assert in_zone(Time(None, "أمس"), RIYADH) == Time(None, "أمس")
    assert own_clock(Time()) is None


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2023-10-26 23:30", milliseconds(2023, 10, 26, 20, 30)),
        ("2023-10-27 00:30", milliseconds(2023, 10, 26, 22, 30)),
        ("2023-04-28 00:30", milliseconds(2023, 4, 27, 22, 30)),
        ("2023-04-28 01:30", milliseconds(2023, 4, 27, 22, 30)),
    ],
)
def test_clocks_that_are_changed(text, utc):
    """Cairo's clocks showed 23:30 twice on 26 October 2023: the first. They left 00:30 out on
    28 April: it is what 01:30 was."""
    assert in_zone(parse_time(text), CAIRO).utc == utc


def test_whose_zone():
    """The first outlet that is known counts; spellings meet in the match layer."""
    zones = {"عكاظ": "Asia/Riyadh", "الاهرام": "Africa/Cairo"}
    assert zone_of(zones, "عُكاظ", "الأهرام") == RIYADH
    assert zone_of(zones, "مجهول", "الأهرام") == CAIRO
    assert zone_of(zones, "مجهول", "") is None
    assert zone_of({}, "عكاظ") is None


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999), st.sampled_from(["none", "given"]))
def test_any_time_in_a_zone(utc, zone):
    """No time of the calendar is too early or too late for a zone."""
    for place in ("Pacific/Apia", "America/Adak"):
        time = in_zone(Time(utc, "x", zone), ZoneInfo(place))
        clock = own_clock(time)
        assert time.zone == ("outlet" if zone == "none" else "given")
        assert clock is None or abs(clock.toordinal() - (utc // 86_400_000 + 719_163)) <= 1


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
        assert 1 <= (datetime(1970, 1, 1) + timedelta(milliseconds=utc)).year <= 9999
