"""Which records of a topic a person wants to see: those of a story, an entity, a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipelines.kafka.tail import Tailed
from pipelines.show import json_fields
from pipelines.stages.arabic.layers import match_text
from pipelines.stages.decode import FIELD_NAMES


@lru_cache(maxsize=1 << 14)  # records name the same again and again
def folded(name: str) -> str:
    """A name as the match layer writes it: spellings that mean the same are equal."""
    return match_text(name)[0].casefold()


@dataclass(frozen=True)
class Filter:
    """Takes the records that fit all that is given; an empty one takes everything.

    `story` is a story's or one of its articles' id, `entity` an id or any of the names, `source`
    the outlet as the message or its text names it. Names count in all their spellings.
    """

    story: str = ""
    entity: str = ""
    source: str = ""

    def takes(self, message: Tailed) -> bool:
        """Whether the message fits; one whose record does not tell does not."""
        record = message.record if message.record is not None else json_fields(message.value)
        return (
            (not self.story or self.story in (record.get("story_id"), record.get("article_id")))
            and (not self.entity or any(map(self._names, _entities(record))))
            and (not self.source or folded(self.source) in _sources(record))
        )

    def _names(self, entity: Mapping[str, Any]) -> bool:
        names = (entity.get("name", ""), *entity.get("aliases", ()))
        return self.entity == entity.get("entity_id") or folded(self.entity) in map(folded, names)


def _entities(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "entity_id" in record:
        return [record]
    found = record.get("entities")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _sources(record: Mapping[str, Any]) -> set[str]:
    given = (record.get(name) for name in (*FIELD_NAMES["source"], "agency"))
    return {folded(name) for name in given if isinstance(name, str) and name}
