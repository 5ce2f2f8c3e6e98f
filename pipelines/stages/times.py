"""Times as feeds and programs write them: ISO 8601, RFC 2822, seconds or milliseconds since 1970.

What Arabic text says of dates is read in `arabic/dates.py` and `arabic/mentions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from pipelines.records import Time
from pipelines.stages.arabic.layers import match_text

_ARABIC_DIGITS = {ord(digit): str(i % 10) for i, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
# From March 1973 to the year 5138. Fewer digits are a year, a count or a field that was never set.
_SECONDS = re.compile(r"\d{9,11}(\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,14}(\.\d+)?")

# An order, no frequencies: an instant, a clock in a zone that is known or unknown, a day.
_WITH_ZONE, _OUTLETS_ZONE, _WITHOUT_ZONE, _DATE_ALONE = 1.0, 0.9, 0.7, 0.5
_EPOCH = datetime(1970, 1, 1)

# IANA zone by the outlet's name in the match layer.
OutletZones = Mapping[str, str]


def parse_time(text: str) -> Time:
    """The time that `text` says; `utc` stays None, with confidence 0, when it says none.

    Without a zone it is taken as UTC and flagged (`zone="none"`); a date alone is its midnight.
    """
    plain = text.strip().translate(_ARABIC_DIGITS)
    if not plain:
        return Time()
    for pattern, scale in ((_SECONDS, 1000), (_MILLISECONDS, 1)):
        if pattern.fullmatch(plain):
            return Time(round(float(plain) * scale), text, "given", _WITH_ZONE)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(plain)
        except (ValueError, OverflowError):  # email.utils lets a year of 20 digits through
            continue
        if moment.tzinfo is not None:
            utc = milliseconds(moment)
            confidence = 0.0 if utc is None else _WITH_ZONE
            return Time(utc, text, "given", confidence, offset=offset_minutes(moment))
        confidence = _DATE_ALONE if len(plain) <= 10 else _WITHOUT_ZONE
        return Time(milliseconds(moment.replace(tzinfo=UTC)), text, "none", confidence)
    return Time(None, text)


def in_zone(time: Time, zone: tzinfo | None) -> Time:
    """`time` as an outlet in `zone` means it; None when the outlet's zone is not known.

    Without a zone of its own it is what the outlet's clocks showed. An hour that they showed twice
    is the first one; one that they left out counts from before the change (PEP 495, fold 0). An
    instant stays what it is, and learns which day it was there.
    """
    if zone is None or time.utc is None:
        return time
    clock = _EPOCH + timedelta(milliseconds=time.utc)
    if time.zone == "none":
        local = clock.replace(tzinfo=zone)
        ahead = local.utcoffset() or timedelta()
        confidence = _OUTLETS_ZONE if time.confidence == _WITHOUT_ZONE else time.confidence
        utc = time.utc - ahead // timedelta(milliseconds=1)
        return replace(
            time, utc=utc, zone="outlet", confidence=confidence, offset=offset_minutes(local)
        )
    try:
        local = clock.replace(tzinfo=UTC).astimezone(zone)
    except OverflowError:  # the calendar's first and last day
        return time
    return replace(time, offset=offset_minutes(local))


def zone_of(zones: OutletZones, *names: str) -> ZoneInfo | None:
    """The zone of the first of these outlets that is known; names meet in the match layer."""
    if zones:
        for name in names:
            if zone := zones.get(match_text(name)[0]):
                return ZoneInfo(zone)
    return None


def own_clock(time: Time) -> datetime | None:
    """What the clocks showed where it was written, without a zone; None when that is not known."""
    if time.utc is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=time.utc, minutes=time.offset)
    except OverflowError:
        return None


def milliseconds(moment: datetime) -> int | None:
    """Milliseconds since 1970 UTC; None for an offset that leads out of the years 1 to 9999."""
    try:
        delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:
        return None
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def offset_minutes(moment: datetime) -> int:
    """Minutes by which the clocks that show `moment` are ahead of UTC."""
    return (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
