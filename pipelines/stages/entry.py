"""What `news.index` keeps of a decision: all that a restored index needs of it, packed."""

from __future__ import annotations

import struct

import numpy as np
import xxhash

from pipelines.records import Decision, Fingerprint, Origin, Verdict
from pipelines.stages.fingerprint import FILTER_BYTES

VERDICTS: tuple[Verdict, ...] = (
    "new",
    "duplicate",
    "update",
    "revision",
    "correction",
    "retraction",
    "part_of",
    "removal",
)
SAME_CONTENT = "same-content"
REMOVED = "removed"
# Rules that leave what the index has of the article's text as it is.
TEXTLESS = frozenset({SAME_CONTENT, REMOVED})
# Every rule that a decision can name; their places in this list are stored.
RULES = (
    "no-match",
    SAME_CONTENT,
    "same-id",
    "exact",
    "exact-text",
    "likeness",
    "likeness-late",
    "news",
    "numbers",
    "cue-update",
    "cue-correction",
    "cue-retraction",
    "contained",
    REMOVED,
)
RELATIONS = (
    "duplicate_of",
    "revision_of",
    "update_of",
    "correction_of",
    "retraction_of",
    "contains",
    "part_of",
)
# Scores are decided, stored and published in these steps, so that a restored one is the same.
SCORE_STEPS = 10_000
NEWS_STEPS = 32

# What a text is in its story: nothing; its leader; a longer one that stands in for the leader; or
# another text that readers have seen.
NOWHERE, LEADER, LONGER, TOLD = range(4)
# What was matched: nothing, an earlier version, the story's first article, or (a link) another one.
NOTHING, ITSELF, FIRST, OTHER = range(4)
MATCHED = len(RELATIONS)  # the "relation" of that link

# A decision as entries and rows have it: both halves of the ids of article and story, 64 bits each
# of the content and of what an exact copy shares, 16 bits of the topic's name, scores in steps,
# verdict and rule in one byte, place and what was matched in another.
DECISION = [
    ("article", "<u8"),
    ("article_rest", "<u8"),
    ("content", "<u8"),
    ("exact", "<u8"),
    ("story", "<u8"),
    ("story_rest", "<u8"),
    ("offset", "<i8"),
    ("revision", "<u4"),
    ("partition", "<u2"),
    ("topic", "<u2"),
    ("jaccard", "<u2"),
    ("containment", "<u2"),
    ("likeness", "<u2"),
    ("novelty", "<u2"),
    ("news", "<u2"),
    ("verdict_rule", "u1"),
    ("place_matched", "u1"),
]
DECISION_BYTES = np.dtype(DECISION).itemsize
UNPACK_DECISION = struct.Struct("<16s8s8s16sqI7HBB").unpack_from
# An entry's head. Behind it come the signature, if there is one, so many keys, filters of what
# readers had been told, and links.
HEAD = np.dtype(
    [
        *DECISION,
        ("ingested", "<i8"),
        ("event", "<i8"),
        ("published", "<i8"),
        ("sequence", "<i8"),
        ("signed", "u1"),
        ("keys", "u1"),
        ("told", "u1"),
        ("links", "u1"),
    ]
)
LINK = [
    ("article", "<u8"),
    ("article_rest", "<u8"),
    ("relation", "u1"),
    ("jaccard", "<u2"),
    ("containment", "<u2"),
]
_HEAD = struct.Struct("<16s8s8s16sqI7HBBqqqqBBBB")
_LINK = struct.Struct("<16sBHH")
LINK_BYTES = _LINK.size
UNPACK_LINK = _LINK.unpack_from
KIND_BITS = 4
_NO_EXACT = bytes(8)


def short(value: bytes) -> bytes:
    """64 bits that stand for a value."""
    return xxhash.xxh3_64_digest(value)


def short_topic(name: str) -> int:
    """16 bits that stand for a topic's name."""
    return xxhash.xxh3_64_intdigest(name.encode()) & 0xFFFF


def pack_entry(
    article_id: str,
    content_hash: str,
    origin: Origin,
    ingested_at: int,
    published_at: int,
    decision: Decision,
    fingerprint: Fingerprint,
    told: bytes = b"",
) -> bytes:
    """A decision as news.index keeps it. What `decision.place` puts nowhere leaves its fingerprint
    out; `told` is what readers had seen of the story whose leader the text replaces: filters.
    """
    signature = fingerprint.signature if decision.place != NOWHERE else b""
    keys = fingerprint.keys if decision.place in (LEADER, LONGER) else b""
    matched, links = _matched(article_id, decision), []
    if matched == OTHER:
        links.append(_LINK.pack(bytes.fromhex(decision.matched), MATCHED, 0, 0))
    for link in decision.related:
        scores = round(link.jaccard * SCORE_STEPS), round(link.containment * SCORE_STEPS)
        relation = RELATIONS.index(link.relation)
        links.append(_LINK.pack(bytes.fromhex(link.article_id), relation, *scores))
    head = _HEAD.pack(
        bytes.fromhex(article_id),
        short(content_hash.encode()),
        fingerprint.exact or _NO_EXACT,
        bytes.fromhex(decision.story_id),
        origin.offset,
        decision.revision,
        origin.partition,
        short_topic(origin.topic),
        round(decision.jaccard * SCORE_STEPS),
        round(decision.containment * SCORE_STEPS),
        round(decision.likeness * SCORE_STEPS),
        round(decision.novelty * SCORE_STEPS),
        round(decision.news * NEWS_STEPS),
        VERDICTS.index(decision.verdict) << KIND_BITS | RULES.index(decision.rule),
        decision.place << KIND_BITS | matched,
        ingested_at,
        decision.event_time,
        published_at,
        decision.sequence,
        bool(signature),
        len(keys) // 8,
        len(told) // FILTER_BYTES,
        len(links),
    )
    return b"".join((head, signature, keys, told, *links))


def _matched(article_id: str, decision: Decision) -> int:
    if not decision.matched:
        return NOTHING
    if decision.matched == article_id:
        return ITSELF
    return FIRST if decision.matched == decision.story_id else OTHER
