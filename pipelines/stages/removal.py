"""Requests to delete an article, as they travel on the raw topic: told from articles by a header,
so that no text of any article can be one.
"""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from pipelines.records import Article, EntityType, RawMessage, Removal, StageError

HEADER = "khabar-removal"
HEADER_VALUE = b"1"
REASON_CHARACTERS = 500

_ID = re.compile(r"[0-9a-f]{32}")
_TYPES = frozenset(get_args(EntityType))


def request(article_id: str, removal: Removal) -> bytes:
    """The value of the message that asks for it; `HEADER` goes with it."""
    fields = {
        "article_id": article_id,
        "reason": removal.reason,
        "story_id": removal.story_id,
        "revision": removal.revision,
        "entities": [{"entity_id": entity, "type": kind} for entity, kind in removal.entities],
    }
    return json.dumps(fields, ensure_ascii=False).encode()


def removal(raw: RawMessage) -> Article:
    """The article without text that a request stands for. Raises StageError `invalid-removal`."""
    try:
        fields = json.loads(raw.value or b"")
        asked = Removal(
            fields["reason"],
            fields["story_id"],
            fields["revision"],
            tuple((each["entity_id"], each["type"]) for each in fields["entities"]),
        )
        article_id = fields["article_id"]
        _check(article_id, asked)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StageError(
            "invalid-removal",
            f"the header {HEADER} says that an article is to be deleted, and the value does not "
            f"name it as `khabar forget` does ({type(error).__name__}: {error})",
        ) from None
    return Article(article_id, ingested_at=max(0, raw.origin.timestamp), removal=asked)


def _check(article_id: Any, asked: Removal) -> None:
    """Raises ValueError or TypeError for what no record could hold."""
    if not _ID.fullmatch(article_id):
        raise ValueError("article_id is not 32 hex digits")
    if asked.story_id and not _ID.fullmatch(asked.story_id):
        raise ValueError("story_id is not 32 hex digits")
    if type(asked.revision) is not int or not 0 <= asked.revision < 1 << 31:
        raise ValueError("revision is no number of one")
    texts = [asked.reason, *(entity_id for entity_id, _ in asked.entities)]
    if not all(isinstance(text, str) and "\0" not in text and text.encode() for text in texts):
        raise ValueError("a text is empty or cannot be written")
    if len(asked.reason) > REASON_CHARACTERS:
        raise ValueError(f"the reason is longer than {REASON_CHARACTERS} characters")
    if not all(kind in _TYPES for _, kind in asked.entities):
        raise ValueError("an entity is of no known type")
