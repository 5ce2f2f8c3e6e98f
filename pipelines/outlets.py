"""What is known of outlets from outside: the time zone that each one's clocks show."""

from __future__ import annotations

import difflib
from pathlib import Path
from zoneinfo import available_timezones

from pipelines.errors import UsageError
from pipelines.settings import Settings
from pipelines.stages.arabic.layers import match_text


def outlet_zones(settings: Settings) -> dict[str, str]:
    """The IANA zones of the file that the setting names, by the outlet's name in the match layer.

    Raises UsageError for a file that cannot be read, a line that is no `name=Area/City`, a zone
    that there is not, and an outlet with two.
    """
    if not settings.outlet_zones:
        return {}
    path = Path(settings.outlet_zones)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"{path} cannot be read: {why}. --outlet-zones takes a file with a line such as "
            "okaz=Asia/Riyadh for each outlet."
        ) from None
    zones: dict[str, str] = {}
    known = available_timezones()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, zone = (part.strip() for part in line.rpartition("="))
        key = match_text(name)[0]
        if not key or not zone:
            raise UsageError(
                f"Line {number} of {path} is not name=Area/City. Write it as okaz=Asia/Riyadh: "
                "the outlet as the messages' source or their text names it, and its IANA time zone."
            )
        if zone not in known:
            near = difflib.get_close_matches(zone, known, n=3) or ["Asia/Riyadh", "Africa/Cairo"]
            raise UsageError(
                f"Line {number} of {path} names the time zone {zone}, which there is not. Zones "
                f"are written as {', '.join(near)}."
            )
        if zones.setdefault(key, zone) != zone:
            raise UsageError(
                f"Line {number} of {path} gives {name} the time zone {zone}, and a line before it "
                f"{zones[key]}. Leave one of them."
            )
    return zones
