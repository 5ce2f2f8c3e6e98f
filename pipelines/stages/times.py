"""Times as feeds and programs write them: ISO 8601, RFC 2822, seconds or milliseconds since 1970.

Dates in running Arabic text are found by `clean`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipelines.records import Time

_ARABIC_DIGITS = {ord(digit): str(i % 10) for i, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
# From March 1973 to the year 5138. Fewer digits are a year, a count or a field that was never set.
_SECONDS = re.compile(r"\d{9,11}(\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,14}(\.\d+)?")

_WITH_ZONE, _WITHOUT_ZONE, _DATE_ALONE = 1.0, 0.7, 0.5


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
