"""Messages from files: JSON Lines (plain, gzip, xz), texts, folders of them, standard input."""

from __future__ import annotations

import gzip
import json
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipelines.errors import UsageError
from pipelines.stages.decode import FIELD_NAMES
from pipelines.stages.urls import canonical_url

STANDARD_INPUT = "-"
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}


@dataclass(frozen=True)
class FileMessage:
    """The bytes of one message, and where they stood: `number` counts from 0 in its file."""

    file: str
    number: int
    key: bytes | None
    value: bytes | None


def find(inputs: Iterable[str]) -> list[Path | str]:
    """The files to read, folders opened (in the order of their names), `-` left as it is.

    Raises UsageError for a path that does not exist, or a file that no reader is for.
    """
    found: list[Path | str] = []
    for name in inputs:
        path = Path(name)
        if name == STANDARD_INPUT:
            found.append(name)
        elif path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and _is_readable(p))
            if not inside:
                raise UsageError(
                    f"The folder {path} holds no .jsonl, .jsonl.gz, .jsonl.xz or .txt."
                )
            found.extend(inside)
        elif not path.exists():
            raise UsageError(f"{path} does not exist. Give a file, a folder, or - for the input.")
        elif not _is_readable(path):
            raise UsageError(
                f"{path} is neither JSON Lines (.jsonl, .jsonl.gz, .jsonl.xz) nor a text (.txt). "
                "Rename it, or pipe it in: `khabar … - < FILE`."
            )
        else:
            found.append(path)
    return found


def read(files: Iterable[Path | str]) -> Iterator[FileMessage]:
    """The messages of the files, in order; blank lines are skipped.

    Raises UsageError for a file that cannot be read or is cut short.
    """
    for file in files:
        yield from read_file(file, str(file))


def read_file(file: Path | str, name: str) -> Iterator[FileMessage]:
    """The messages of one file, and what is raised for it, under this name. Raises as `read`."""
    try:
        if isinstance(file, str):
            yield from _lines(STANDARD_INPUT, sys.stdin.buffer)
        elif file.suffix == ".txt":
            value = _text_message(file)
            yield FileMessage(name, 0, message_key(value), value)
        else:
            opener = _OPENERS.get(file.suffix, open)
            with opener(file, "rb") as stream:
                yield from _lines(name, stream)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise unreadable(name, error) from None


def unreadable(name: str, error: Exception) -> UsageError:
    """What is said of a file that a reader gave up with this error."""
    # The system's words with the path in them would name the file twice.
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UsageError(f"{name} cannot be read to its end: {why}.")


def message_key(value: bytes) -> bytes | None:
    """The key under which one article's messages stay in order: its URL, else its id."""
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    url, id_ = (
        next((str(fields[name]) for name in FIELD_NAMES[field] if _names(fields.get(name))), "")
        for field in ("url", "id")
    )
    # As for article_id: a site's root, or what is no URL, names no article.
    key = canonical_url(url) or id_
    return key.encode("utf-8", "replace") if key else None


def _names(given: Any) -> bool:
    return bool(given.strip()) if isinstance(given, str) else type(given) in (int, float)


def _is_readable(path: Path) -> bool:
    stem = path.with_suffix("") if path.suffix in _OPENERS else path
    return stem.suffix == ".jsonl" or path.suffix == ".txt"


def _lines(name: str, stream: IO[bytes]) -> Iterator[FileMessage]:
    number = 0
    for line in stream:
        value = line.rstrip(b"\r\n")
        if value.strip():
            yield FileMessage(name, number, message_key(value), value)
            number += 1


def _text_message(path: Path) -> bytes:
    """A text as the message that a crawler would have sent of it."""
    content = path.read_bytes()
    try:
        body = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content  # Decode says what is wrong with it
    message = {"id": path.stem, "source": path.resolve().parent.name, "body": body}
    # "replace": a file's name need not be UTF-8.
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
