"""The writer's memory: which articles and stories the last window has seen.

It only stores, forgets and finds; what two texts have in common is for `likeness` to say, and what
follows from it for `decide`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pipelines.records import Decision, Fingerprint, Origin, Related
from pipelines.stages import store
from pipelines.stages.arabic.layers import PROFILE
from pipelines.stages.entry import (
    FIRST,
    ITSELF,
    KIND_BITS,
    MATCHED,
    NEWS_STEPS,
    RELATIONS,
    REMOVED,
    RULES,
    SCORE_STEPS,
    TEXTLESS,
    UNPACK_DECISION,
    UNPACK_LINK,
    VERDICTS,
    short,
    short_topic,
)
from pipelines.stages.fingerprint import FINGERPRINT_VERSION, U8
from pipelines.stages.likeness import Likeness, likeness, read_scores, words_of
from pipelines.stages.store import BEFORE, NONE, REVISIONS, ROW, SLOT, STATE

LAYOUT = "3"
STATE_VERSION = f"{LAYOUT} {FINGERPRINT_VERSION} {PROFILE}"

WINDOW_MS = 7 * 24 * 3600 * 1000
# Bytes that a story takes with all its articles, as `python -m benchmarks.index decide` prints.
STORY_BYTES = 512
MAX_STORIES = 2_000_000  # 1 GB
# A longer text of the same story stands in for it when it weighs at least this much more.
REPRESENTATIVE = 1.25

_STORIES, _LAST_SEQUENCE, _CLOCK, _PUSHED_OUT = (
    list(STATE.fields or {}).index(name)
    for name in ("stories", "last_sequence", "clock", "pushed_out")
)
_UNPACK_SLOT = struct.Struct("<IIIiiii").unpack_from
_DUPLICATE = VERDICTS.index("duplicate")
_SECOND_MS = 1000
_LOW_32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Row:
    """One decision on an article, with the message and the content that it was made on.

    `topic` is 16 bits that stand for its name; `seen` is the broker's time then, or the event time
    if that is later, in milliseconds since 1970 UTC, rounded up to a second.
    """

    content: bytes
    topic: int
    partition: int
    offset: int
    seen: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of an article: its decisions within the window, in their order.

    `slot` is where its text stands in the index (`NONE`: nowhere).
    """

    slot: int
    rows: tuple[Row, ...]

    @property
    def removed(self) -> bool:
        """Whether the article was removed on request."""
        return self.rows[-1].decision.rule == REMOVED

    def of_message(self, origin: Origin, content_hash: str) -> Row | None:
        """The row of the decision on this very message.

        Its content counts as well: a topic that was made anew counts its offsets anew.
        """
        wanted = (
            short(content_hash.encode()),
            short_topic(origin.topic),
            origin.partition,
            origin.offset,
        )
        for row in self.rows:
            if (row.content, row.topic, row.partition, row.offset) == wanted:
                return row
        return None

    def with_content(self, content_hash: str) -> Row | None:
        """The row of the latest decision on this content."""
        content = short(content_hash.encode())
        return next((row for row in reversed(self.rows) if row.content == content), None)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is in the window that a new article may be the same as.

    `same` is another article in a living story that shares what exact copies share: its id, the
    story's, its content. Only without one there are `slots`: the living texts that share a key,
    oldest first, and how the article stands to each.
    """

    known: Known | None
    same: tuple[str, str, bytes] | None
    slots: list[int]
    likeness: list[Likeness]


class Index:
    """What the writer knows of the last window; one writer at a time, never shared.

    Everything is derived from the entries of `news.index`, in their order: a live index and one
    restored from its entries answer alike. Time is the highest broker time among the entries.
    A slot is a number for a living text that others are held against.
    """

    def __init__(self, window_ms: int = WINDOW_MS, max_stories: int = MAX_STORIES) -> None:
        self.window_ms = window_ms
        self.max_stories = max_stories
        self._use(store.new_store(window_ms, max_stories))

    def _use(self, made: store.Store) -> None:
        # Views of the same memory: reading one number of a numpy record takes a microsecond.
        self._store = made
        self._state: memoryview[int] = made.state.view(np.int64).data
        self._rows = made.row_bytes.reshape(-1).data
        self._slots = made.slots.view(np.uint8).data

    # --- what decide asks ---

    def __len__(self) -> int:
        """The number of living stories."""
        return self._state[_STORIES]

    @property
    def last_sequence(self) -> int:
        """That of the latest decision."""
        return self._state[_LAST_SEQUENCE]

    @last_sequence.setter
    def last_sequence(self, sequence: int) -> None:
        self._state[_LAST_SEQUENCE] = sequence

    @property
    def clock(self) -> int:
        """The latest time, in milliseconds since 1970 UTC."""
        return self._state[_CLOCK]

    @property
    def pushed_out(self) -> int:
        """Stories that left before their time because there were more than `max_stories`."""
        return self._state[_PUSHED_OUT]

    def memory_bytes(self) -> int:
        """Bytes of all arrays."""
        views = ("row_bytes", "signature_bytes", "link_bytes", "head_bytes")  # of the same memory
        arrays = self._store._asdict()
        return sum(each.nbytes for name, each in arrays.items() if name not in views)

    def ask(self, article_id: str, fingerprint: Fingerprint, now: int = BEFORE) -> Found:
        """What a decision on an article rests on, if it is made at this time or, if that is later,
        the latest that the index knows. It moves the clock there, and forgets what has expired.
        """
        exact, keys = _numbers(fingerprint.exact), _numbers(fingerprint.keys)
        numbers, scores = store.ask(
            self._store, now, _number(article_id), exact, keys, *words_of(fingerprint)
        )
        newest, row, *slots = numbers.tolist()
        same = None
        if row != NONE:
            holder, content, _, story, *_ = UNPACK_DECISION(self._rows, row * ROW.itemsize)
            same = holder.hex(), story.hex(), content
        known = self._known(newest) if newest != NONE else None
        return Found(known, same, slots, read_scores(scores) if slots else [])

    def known(self, article_id: str) -> Known | None:
        """What is remembered of this article, if it was seen within the window."""
        newest = store.row_of(self._store, _number(article_id))
        return self._known(newest) if newest != NONE else None

    def leader(self, story_id: str) -> int:
        """The slot of a living story's leader, or `NONE`."""
        return store.leader_of(self._store, _number(story_id))

    def texts(self, story_id: str) -> list[int]:
        """The slots of a living story: its leader's and its representative's."""
        slot = self.leader(story_id)
        if slot == NONE:
            return []
        longer = self._text(slot)[4]
        return [slot] if longer == NONE else [slot, longer]

    def likeness(self, fingerprint: Fingerprint, slots: Sequence[int]) -> list[Likeness]:
        """How a text stands to those in these slots, all of which `compares`."""
        return likeness(fingerprint, self._store.signatures.take(slots))

    def compares(self, slot: int) -> bool:
        """Whether this text is long enough to be compared with."""
        return bool(self._store.signatures[slot]["weight"])

    def told(self, slot: int) -> U8:
        """What readers have seen in this text's story: filters of words, the leader's first."""
        return store.told(self._store, slot)

    def owner(self, slot: int) -> str:
        """The article whose text this is."""
        _, expires, _, row, *_ = self._text(slot)
        assert expires, "nothing lives here"
        return self._rows[row * ROW.itemsize : row * ROW.itemsize + 16].hex()

    def story(self, slot: int) -> str:
        """The story that this text belongs to."""
        return self.owner(store.lead(self._store, slot))

    def published(self, slot: int) -> int:
        """When this text was published, in milliseconds since 1970 UTC, to the second."""
        return self._text(slot)[0] * _SECOND_MS

    def stands_in(self, story_id: str, article_id: str, weight: int) -> bool:
        """Whether a text of this weight is to be its story's longer one: there is no other's."""
        slot = self.leader(story_id)
        if slot == NONE or REPRESENTATIVE * int(self._store.signatures[slot]["weight"]) > weight:
            return False
        longer = self._text(slot)[4]
        return longer == NONE or self.owner(longer) == article_id

    # --- how it changes ---

    def restore(self, *entries: bytes) -> None:
        """Take in decisions: the only way in which the index changes, live or at a restart.

        Entries were made by `pack_entry` of this `STATE_VERSION`. One that is already known (its
        sequence is not higher than the last) changes nothing. Raises ValueError for what is no
        entry; those before it have been taken in.
        """
        packed = np.frombuffer(b"".join(entries), dtype=np.uint8)
        ends = np.fromiter(accumulate(map(len, entries)), np.int64, len(entries))
        done = 0
        while (done := store.take_in(self._store, packed, ends, done)) < len(entries):
            if not store.is_entry(self._store, np.frombuffer(entries[done], dtype=np.uint8)):
                raise ValueError("an index entry is not as it was written")
            self._use(store.with_room(self._store, len(entries) - done))

    def _known(self, newest: int) -> Known:
        """What is remembered of the article of which this is the newest row."""
        found = np.empty(2 * REVISIONS + 3, dtype=np.int32)
        count = store.chained(self._store, newest, found)
        rows = sorted(map(self._row, set(found[:count].tolist())), key=_sequence)
        again = [row for row in rows if row.decision.rule in TEXTLESS][-REVISIONS:]
        others = [row for row in rows if row.decision.rule not in TEXTLESS][-REVISIONS:]
        slot = store.slot_of(self._store, newest)
        return Known(slot, tuple(sorted(again + others, key=_sequence)))

    def _text(self, slot: int) -> tuple[int, ...]:
        """The fields of `SLOT`."""
        return _UNPACK_SLOT(self._slots, slot * SLOT.itemsize)

    def _row(self, number: int) -> Row:
        at = number * ROW.itemsize
        (
            article,
            content,
            _,
            story,
            offset,
            revision,
            partition,
            topic,
            jaccard,
            containment,
            likeness,
            novelty,
            news,
            verdict_rule,
            place_matched,
        ) = UNPACK_DECISION(self._rows, at)
        row = self._store.rows[number]
        verdict, rule = verdict_rule >> KIND_BITS, verdict_rule & (1 << KIND_BITS) - 1
        what = place_matched & (1 << KIND_BITS) - 1
        other, related = self._related(int(row["links"]))
        matched = {ITSELF: article, FIRST: story}.get(what, other)
        decision = Decision(
            verdict=VERDICTS[verdict],
            story_id=story.hex(),
            revision=revision,
            sequence=self._sequence(int(row["sequence"])),
            rule=RULES[rule],
            matched=matched.hex(),
            jaccard=jaccard / SCORE_STEPS,
            containment=containment / SCORE_STEPS,
            likeness=likeness / SCORE_STEPS,
            novelty=novelty / SCORE_STEPS,
            news=news / NEWS_STEPS,
            # What replaces an earlier version of itself is that version's next.
            supersedes=revision - 1 if what == ITSELF and verdict != _DUPLICATE else None,
            related=related,
            place=place_matched >> KIND_BITS,
        )
        seen = int(row["seen"]) * _SECOND_MS
        return Row(content, topic, partition, offset, seen, decision)

    def _related(self, link: int) -> tuple[bytes, tuple[Related, ...]]:
        """The article that was matched, if it is among the links, and the others."""
        matched, related = b"", []
        while link != NONE:
            other, relation, *scores = UNPACK_LINK(self._store.link_bytes[link])
            if relation == MATCHED:
                matched = other
            else:
                jaccard, containment = (score / SCORE_STEPS for score in scores)
                related.append(Related(other.hex(), RELATIONS[relation], jaccard, containment))
            link = int(self._store.links[link]["next"])
        return matched, tuple(related)

    def _sequence(self, low: int) -> int:
        """The whole number of which this is the low half: the latest one that can be."""
        return self.last_sequence - (self.last_sequence - low & _LOW_32)


def _sequence(row: Row) -> int:
    return row.decision.sequence


def _number(article_id: str) -> NDArray[np.uint64]:
    """An id as rows have it."""
    return _numbers(bytes.fromhex(article_id))


def _numbers(packed: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(packed, dtype=np.uint64)
