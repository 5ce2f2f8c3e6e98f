"""Times as feeds and programs write them: ISO 8601, RFC 2822, seconds or milliseconds since 1970.

Dates in running Arabic text are found by `clean`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipelines.records import Time

_ARABIC_DIGITS = {ord(digit): str(i % 10) for i, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_NUMBER = re.compile(r"-?\d{1,16}(\.\d+)?")

# Seconds up to the year 5138; larger numbers are milliseconds.
_LARGEST_SECONDS = 100_000_000_000

_WITH_ZONE, _WITHOUT_ZONE, _DATE_ALONE = 1.0, 0.7, 0.5


def parse_time(text: str) -> Time:
    """The time that `text` says; `utc` stays None, with confidence 0, when it says none.

    Without a zone it is taken as UTC and flagged (`zone="none"`); a date alone is its midnight.
    """
    plain = text.strip().translate(_ARABIC_DIGITS)
    if not plain:
        return Time()
    if _NUMBER.fullmatch(plain) and not (len(plain) == 8 and plain.startswith(("19", "20"))):
        number = float(plain)
        milliseconds = number if abs(number) > _LARGEST_SECONDS else number * 1000
        return Time(round(milliseconds), text, "given", _WITH_ZONE)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(plain)
        except ValueError:
            continue
        if moment.tzinfo is not None:
            utc = _milliseconds(moment)
            return Time(utc, text, "given", 0.0 if utc is None else _WITH_ZONE)
        confidence = _DATE_ALONE if len(plain) <= 10 else _WITHOUT_ZONE
        return Time(_milliseconds(moment.replace(tzinfo=UTC)), text, "none", confidence)
    return Time(None, text)


def _milliseconds(moment: datetime) -> int | None:
    try:
        delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:  # an offset that leads out of the years 1 to 9999
        return None
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
