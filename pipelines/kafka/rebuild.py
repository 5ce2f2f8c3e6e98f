"""`khabar index rebuild`: the index topic made anew from the raw topic.

Texts are fingerprinted again; what was decided of them stays as it was published. All is one
transaction that begins with a `reset` entry, so a crash in between leaves the old state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipelines import schemas
from pipelines.kafka.tail import Tailed, tail
from pipelines.kafka.transaction import Job
from pipelines.records import Article, Decision, Origin, RawMessage, Related, StageError
from pipelines.settings import Settings
from pipelines.stages.clean import clean
from pipelines.stages.decide import event_time, index_entry
from pipelines.stages.decode import SchemaLookup, decode
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize

_HOUR_MS = 3600 * 1000
_Place = tuple[int, int]  # partition and offset on the raw topic


def rebuild(
    settings: Settings,
    schema_ids: Mapping[str, int],
    schema_by_id: SchemaLookup,
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> Counter[str]:
    """Writes the new state and returns how many decisions were `rebuilt`, and how many were `lost`
    because the raw topic no longer holds their text, or it is no longer taken.

    A running pipeline of the group is fenced first and ends. Raises Outage and UsageError.
    """
    counts: Counter[str] = Counter(rebuilt=0, lost=0)
    # One transaction, however the job itself delivers.
    settings = replace(settings, delivery="exactly-once")

    def entries() -> list[dict[str, Any]]:
        published = _published(settings)
        found = []
        latest = 0
        for message in tail(settings, [settings.topic(schemas.RAW)], until_caught_up=True):
            place = (message.partition, message.offset)
            if place not in published:  # a dead letter, or not read yet
                continue
            try:
                entry = _entry(message, published[place], settings, schema_by_id)
            except StageError:  # taken by an older version or another --max-message-bytes
                continue
            del published[place]
            latest = max(latest, entry["ingested_at"])
            found.append(entry)
            counts["rebuilt"] += 1
            progress(counts["rebuilt"])
        counts["lost"] = len(published)
        oldest = latest - settings.window_ms - _HOUR_MS
        found = [entry for entry in found if entry["ingested_at"] > oldest]
        # Several partitions are read in another order than they were decided in.
        return sorted(found, key=lambda entry: entry["sequence"])

    job = Job(settings, schema_ids)
    try:
        job.replace_index(entries)
    finally:
        job.close()
    return counts


def _published(settings: Settings) -> dict[_Place, dict[str, Any]]:
    """Every decision that readers can see, by where its message stood; the newest of repeats."""
    raw = settings.topic(schemas.RAW)
    outputs = [settings.topic(schemas.ARTICLES), settings.topic(schemas.DUPLICATES)]
    decisions = {}
    for message in tail(settings, outputs, until_caught_up=True):
        record = message.record
        if record is not None and record["origin"]["topic"] == raw:
            place = (record["origin"]["partition"], record["origin"]["offset"])
            decisions[place] = {name: record.get(name) for name in _DECISION}
    return decisions


_DECISION = (
    "verdict",
    "story_id",
    "revision",
    "sequence",
    "rule",
    "matched",
    "jaccard",
    "containment",
    "novelty",
    "supersedes",
    "related",
)


def _entry(
    message: Tailed, record: Mapping[str, Any], settings: Settings, schema_by_id: SchemaLookup
) -> dict[str, Any]:
    origin = Origin(message.topic, message.partition, message.offset, message.timestamp)
    raw = RawMessage(origin, message.key, message.value)
    article = decode(raw, schema_by_id, max_bytes=settings.max_message_bytes)
    article = fingerprint(normalize(clean(article)))
    return index_entry(_decided(article, record, settings), origin, generation=0)


def _decided(article: Article, record: Mapping[str, Any], settings: Settings) -> Article:
    """The article with the decision that was published of it."""
    related = tuple(Related(**each) for each in record["related"] or ())
    optional = {
        name: record[name]
        for name in ("matched", "jaccard", "containment", "novelty")
        if record[name] is not None
    }
    return replace(
        article,
        decision=Decision(
            verdict=record["verdict"],
            story_id=record["story_id"],
            revision=record["revision"],
            sequence=record["sequence"],
            rule=record["rule"],
            supersedes=record["supersedes"],
            related=related,
            event_time=event_time(article, settings.window_ms),
            **optional,
        ),
    )
