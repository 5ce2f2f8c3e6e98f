"""What is said to the operator: a line for people, or one JSON object a line for programs.

Lines say numbers, names and settings. What an article says never stands in one.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

Say = Callable[[str], None]
Level = Literal["info", "warning", "error"]

# Characters of an exception's own words that are told: they may quote what set it off.
_QUOTED = 200

_json = False


class Line(str):
    """A line with its level and, for programs, what it says as fields."""

    __slots__ = ("fields", "level")

    level: Level
    fields: Mapping[str, Any]

    def __new__(cls, text: str, level: Level = "info", **fields: Any) -> Line:
        line = super().__new__(cls, text)
        line.level, line.fields = level, fields
        return line


def use_format(name: str) -> None:
    """Takes `plain` or `json` for all lines of this process, those of libraries included."""
    global _json
    if _json != (name == "json"):
        _json = not _json
        for handler in logging.getLogger().handlers:
            handler.setFormatter(
                _JsonFormatter() if _json else logging.Formatter(logging.BASIC_FORMAT)
            )


def in_json() -> bool:
    """Whether lines are JSON objects."""
    return _json


def say(line: str) -> None:
    """A line of progress: to the error stream, so that output can be piped."""
    with suppress(OSError):  # nobody listens any more; what happens must not depend on it
        # In one piece: the threads that say something must not break into each other's lines.
        sys.stderr.write((as_json(line) if _json else str(line)) + "\n")
        sys.stderr.flush()


def warning(say: Say) -> Say:
    """A `say` whose lines are warnings."""
    return lambda line: say(Line(line, "warning"))


def as_json(line: str) -> str:
    """The object of one line: ASCII alone, so that nothing in it can steer a terminal."""
    level, fields = ("info", {}) if not isinstance(line, Line) else (line.level, line.fields)
    return _object(datetime.now(UTC), level, str(line), fields)


def quoted(text: str) -> str:
    """The words of somebody else, such as an exception's: short, and with what could break a line
    or turn its direction (newlines, escapes, bidi controls) spelt out.
    """
    short = text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in short
    )


def _object(at: datetime, level: str, message: str, fields: Mapping[str, Any]) -> str:
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "level": level, "message": message, **fields})


class _JsonFormatter(logging.Formatter):
    """Lines of libraries, which `--debug` shows."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC)
        return _object(at, record.levelname.lower(), record.getMessage(), fields)
