"""The sample articles that ship with Khabar, each with what a person expects of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.producers.files import message_key

_PACKAGE = Path(__file__).parent.parent
# An installed wheel carries the folder inside the package; a checkout has it beside it.
FOLDER = next(
    (folder for folder in (_PACKAGE / "samples", _PACKAGE.parent / "samples") if folder.is_dir()),
    _PACKAGE.parent / "samples",
)


@dataclass(frozen=True)
class Sample:
    """One message: `key` names it in the corpus, `value` None is a message without a value."""

    key: str
    value: bytes | None
    note: str
    expect: dict[str, Any]

    @property
    def message_key(self) -> bytes | None:
        return None if self.value is None else message_key(self.value)


def read() -> Iterator[Sample]:
    """The samples, in the order in which a stream would deliver them."""
    with (FOLDER / "articles.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            yield Sample(entry["key"], _value(entry), entry["note"], entry["expect"])


def _value(entry: dict[str, Any]) -> bytes | None:
    if "message" in entry:
        return json.dumps(entry["message"], ensure_ascii=False).encode()
    encoded = entry["raw_base64"]
    return None if encoded is None else base64.b64decode(encoded)
