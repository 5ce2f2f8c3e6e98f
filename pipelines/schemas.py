"""The Avro schemas of the topics, as files in `schemas/`, parsed once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

_PACKAGE = Path(__file__).parent
# An installed wheel carries the folder inside the package; a checkout has it beside it.
FOLDER = next(
    (folder for folder in (_PACKAGE / "schemas", _PACKAGE.parent / "schemas") if folder.is_dir()),
    _PACKAGE.parent / "schemas",
)

# What follows the prefix in a topic's name; `dead-letters` has a schema for files alone.
RAW, ARTICLES, DUPLICATES = "raw", "articles", "duplicates"
ENTITIES, INDEX, DEAD_LETTERS = "entities", "index", "dead-letters"


@cache
def text(kind: str) -> str:
    """The schema of the topic of this kind, as the file has it."""
    return (FOLDER / f"news.{kind}.avsc").read_text(encoding="utf-8")


@cache
def parsed(kind: str) -> Any:
    """The schema of the topic of this kind, parsed by fastavro."""
    return fastavro.parse_schema(json.loads(text(kind)), named_schemas={})
