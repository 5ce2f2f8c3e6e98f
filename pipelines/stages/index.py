"""The writer's memory: which articles and stories the last window has seen, packed into arrays.

It only stores, forgets and compares; what follows from a comparison is for `decide` to say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from sys import getsizeof
from typing import Any, cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.records import Decision, Origin, Related, Verdict
from pipelines.stages.arabic.layers import PROFILE
from pipelines.stages.fingerprint import FINGERPRINT_VERSION, PERMUTATIONS

LAYOUT = "1"
STATE_VERSION = f"{LAYOUT} {FINGERPRINT_VERSION} {PROFILE}"

WINDOW_MS = 7 * 24 * 3600 * 1000
# 1.8 GB: 910 bytes were measured for each of 200,000 articles that all opened a story.
MAX_STORIES = 2_000_000

# A key that many texts share is a boilerplate phrase: its newest entries find what is current.
HOT_KEY = 64
# A longer text of the same story stands in for it when it is at least this much longer.
REPRESENTATIVE = 1.25
# How many contents, and apart from them how many repetitions, an article is remembered by.
REVISIONS = 8

SAME_CONTENT = "same-content"
NONE = -1  # no slot

# Before any time that a record can carry.
_BEFORE = -(1 << 62)

_KEY_BITS = 36
_SLOT_BITS = 28
_KEY_MASK = np.uint64((1 << _KEY_BITS) - 1)
_SLOT_MASK = (1 << _SLOT_BITS) - 1
_SHIFT = np.uint64(_SLOT_BITS)

# content, story, matched; jaccard, containment, novelty; seen, sequence, event time, offset;
# partition, revision, supersedes; topic, verdict, rule, number of related articles.
_ROW = struct.Struct("<16s16s16s3d4q3i4H")
_RELATED = struct.Struct("<16sH2d")
# last sight, slot; then rows, oldest first.
_HEAD = struct.Struct("<qi")


@dataclass(frozen=True, slots=True)
class Row:
    """One decision on an article, with the message and the content that it was made on.

    `seen` is the broker's time then, or the event time if that is later, in milliseconds since
    1970 UTC.
    """

    content: bytes
    topic: str
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

    def of_message(self, origin: Origin, content_hash: str) -> Row | None:
        """The row of the decision on this very message.

        Its content counts as well: a topic that was made anew counts its offsets anew.
        """
        wanted = (_digest(content_hash), origin.topic, origin.partition, origin.offset)
        for row in self.rows:
            if (row.content, row.topic, row.partition, row.offset) == wanted:
                return row
        return None

    def with_content(self, content_hash: str) -> Row | None:
        """The row of the latest decision on this content."""
        content = _digest(content_hash)
        return next((row for row in reversed(self.rows) if row.content == content), None)


class _Names:
    """Strings that occur again and again, as small numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []

    def number(self, name: str) -> int:
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self._names)
            self._names.append(name)
        return found

    def name(self, number: int) -> str:
        return self._names[number]


class Index:
    """What the writer knows of the last window; one writer at a time, never shared.

    Texts (a story's leader, and at most one longer representative) lie in numbered slots: a
    256-byte sketch and some numbers each. A hash table with open addressing leads from the low 36
    bits of a fingerprint key to 28 bits of slot. Freed slots are used again only after the table
    was swept of them. An article's decisions are one packed `bytes` value.

    Everything is derived from the entries of `news.index`, in their order: a live index and one
    restored from its entries hold the same. Time is the highest broker time among the entries.
    """

    def __init__(self, window_ms: int = WINDOW_MS, max_stories: int = MAX_STORIES) -> None:
        self.window_ms = window_ms
        self.max_stories = max_stories
        self.last_sequence = 0
        self.clock = _BEFORE
        self._names = _Names()
        self._articles: dict[bytes, bytes] = {}  # in the order of the last sight
        self._contents: dict[int, bytes] = {}  # hash of a content → article
        self._pruned = _BEFORE
        self._stories = 0
        self._expiries: list[int] = []  # heap of a text's expiry << 28 | slot

        self._sketches = np.zeros((0, PERMUTATIONS), dtype=np.uint8)
        self._shingles = np.zeros(0, dtype=np.int32)
        self._published = np.zeros(0, dtype=np.int64)
        self._sequences = np.zeros(0, dtype=np.int64)
        self._expires = np.zeros(0, dtype=np.int64)
        self._leaders = np.zeros(0, dtype=np.int32)  # slot of the story's leader
        self._representatives = np.zeros(0, dtype=np.int32)  # a leader's longer text, or NONE
        self._owners: list[bytes | None] = []  # None: free or dead
        self._free: list[int] = []
        self._dead = 0

        self._resize_table(1 << 10)

    # --- what decide asks ---

    def __len__(self) -> int:
        """The number of living stories."""
        return self._stories

    def memory_bytes(self) -> int:
        """Bytes held, as the arrays, dicts and objects report them."""
        arrays = (
            self._sketches,
            self._shingles,
            self._published,
            self._sequences,
            self._expires,
            self._leaders,
            self._representatives,
            self._table,
        )
        lists = (self._owners, self._free, self._expiries, self._articles, self._contents)
        total = sum(array.nbytes for array in arrays) + sum(getsizeof(each) for each in lists)
        total += sum(getsizeof(key) + getsizeof(value) for key, value in self._articles.items())
        return total + sum(map(getsizeof, self._contents)) + sum(map(getsizeof, self._expiries))

    def expire(self, now: int) -> None:
        """Move the clock to `now`, never back, and forget what is a window older."""
        self.clock = max(self.clock, now)
        heap = self._expiries
        while heap and heap[0] >> _SLOT_BITS <= self.clock:
            self._end_expired(heappop(heap))
        # Articles are looked at by their own time in `known`: clearing them away can wait.
        if self.clock - self._pruned > self.window_ms >> 8:
            self._pruned = self.clock
            self._prune()

    def known(self, article_id: str) -> Known | None:
        """What is remembered of this article, if it was seen within the window."""
        packed = self._articles.get(bytes.fromhex(article_id))
        if packed is None:
            return None
        found = self._unpack(packed)
        rows = tuple(row for row in found.rows if row.seen + self.window_ms > self.clock)
        return Known(found.slot, rows) if rows else None

    def same_content(self, content_hash: str, article_id: str) -> tuple[str, str] | None:
        """Another article with this content in a living story: its id and the story's.

        The story's leader if it has this content, else the article that had it last.
        """
        holder = self._contents.get(_short(_digest(content_hash)))
        if holder is None or holder.hex() == article_id:
            return None
        known = self.known(holder.hex())
        row = known.with_content(content_hash) if known else None
        if row is None or self.leader(row.decision.story_id) == NONE:
            return None
        story_id = row.decision.story_id
        leader = self.known(story_id)
        if story_id != article_id and leader and leader.with_content(content_hash):
            return story_id, story_id
        return holder.hex(), story_id

    def leader(self, story_id: str) -> int:
        """The slot of a living story's leader, or `NONE`."""
        owner = bytes.fromhex(story_id)
        packed = self._articles.get(owner)
        slot = NONE if packed is None else _HEAD.unpack_from(packed)[1]
        if slot != NONE and self._owners[slot] == owner and self._leaders[slot] == slot:
            return int(slot)
        return NONE

    def texts(self, story_id: str) -> list[int]:
        """The slots of a living story: its leader's and its representative's."""
        slot = self.leader(story_id)
        if slot == NONE:
            return []
        longer = int(self._representatives[slot])
        return [slot] if longer == NONE else [slot, longer]

    def candidates(self, keys: bytes) -> list[int]:
        """The slots of living texts that share a key, oldest first."""
        found: dict[int, None] = {}
        for key in _low_bits(keys):
            for place in self._places(key)[:-1]:
                slot = (self._view[place] & _SLOT_MASK) - 1
                if self._owners[slot] is not None:
                    found[slot] = None
        return sorted(found, key=self._sequences.__getitem__)

    def jaccard(self, sketch: bytes, slots: list[int]) -> NDArray[np.float64]:
        """The estimated Jaccard similarity with each slot's text, 0 to 1.

        Two different one-byte values are equal once in 256; that share is taken off (Li and König
        2010).
        """
        if not sketch:
            return np.zeros(len(slots))
        own = np.frombuffer(sketch, dtype=np.uint8)
        equal = np.count_nonzero(self._sketches[slots] == own, axis=1) / PERMUTATIONS
        equal[self._shingles[slots] == 0] = 0.0
        estimated: NDArray[np.float64] = np.maximum(0.0, (equal - 1 / 256) / (1 - 1 / 256))
        return estimated

    def owner(self, slot: int) -> str:
        """The article whose text this is."""
        owner = self._owners[slot]
        assert owner is not None
        return owner.hex()

    def story(self, slot: int) -> str:
        """The story that this text belongs to."""
        return self.owner(int(self._leaders[slot]))

    def published(self, slot: int) -> int:
        """When this text was published, in milliseconds since 1970 UTC."""
        return int(self._published[slot])

    def shingles(self, slot: int) -> int:
        """The number of its distinct word 3-grams; 0 for a text too short to compare."""
        return int(self._shingles[slot])

    # --- how it changes ---

    def restore(self, entry: Mapping[str, Any]) -> None:
        """Take in one decision: the only way in which the index changes, live or at a restart.

        `entry` is a decoded `news.index` record of kind `decision`. One that is already known (its
        sequence is not higher than the last) changes nothing. Raises ValueError for an entry of
        another state version: hashes of two versions are never compared.
        """
        if entry["state_version"] != STATE_VERSION:
            raise ValueError(
                f"index entry of version {entry['state_version']!r}; this is {STATE_VERSION!r}"
            )
        if entry["sequence"] <= self.last_sequence:
            return
        self.expire(entry["ingested_at"])
        self.last_sequence = entry["sequence"]

        key = bytes.fromhex(entry["article_id"])
        packed = self._articles.get(key)
        slot = NONE if packed is None else _HEAD.unpack_from(packed)[1]
        if slot != NONE and self._owners[slot] != key:
            slot = NONE
        if entry["rule"] != SAME_CONTENT:
            slot = self._place(entry, key, slot)
        self._remember(entry, key, slot)

    def _place(self, entry: Mapping[str, Any], key: bytes, old: int) -> int:
        """Give the article's text its place among the texts: a slot, or `NONE`.

        The newest revision takes the place of the one before it, which stood in slot `old`. A
        leader's representative stood for the earlier text and ends with it.
        """
        if old != NONE:
            self._end(old)
        if entry["story_id"] == entry["article_id"]:
            slot = self._new_slot(entry, key)
            self._leaders[slot] = slot
            self._representatives[slot] = NONE
            self._stories += 1
            while self._stories > self.max_stories:
                self._end_expired(heappop(self._expiries))
            return slot
        leader = self.leader(entry["story_id"])
        if (
            leader == NONE
            or self._representatives[leader] != NONE
            or not 0 < REPRESENTATIVE * self._shingles[leader] <= entry["shingles"]
        ):
            return NONE
        slot = self._new_slot(entry, key)
        self._leaders[slot] = leader
        self._representatives[leader] = slot
        return slot

    def _new_slot(self, entry: Mapping[str, Any], key: bytes) -> int:
        if not self._free and len(self._owners) == len(self._sketches):
            if self._dead * 8 > len(self._owners):
                self._rebuild()
            else:
                self._grow()
        if self._free:
            slot = self._free.pop()
            self._owners[slot] = key
        else:
            slot = len(self._owners)
            self._owners.append(key)
        sketch = entry["sketch"]
        self._sketches[slot] = np.frombuffer(sketch, dtype=np.uint8) if sketch else 0
        self._shingles[slot] = entry["shingles"]
        published = entry["published_at"]
        self._published[slot] = entry["event_time"] if published is None else published
        self._sequences[slot] = entry["sequence"]
        self._expires[slot] = entry["event_time"] + self.window_ms
        heappush(self._expiries, int(self._expires[slot]) << _SLOT_BITS | slot)
        for low in _low_bits(entry["keys"]):
            self._post(low, slot)
        return slot

    def _grow(self) -> None:
        more = max(1024, len(self._sketches) // 4)
        self._sketches = _longer(self._sketches, more)
        self._shingles = _longer(self._shingles, more)
        self._published = _longer(self._published, more)
        self._sequences = _longer(self._sequences, more)
        self._expires = _longer(self._expires, more)
        self._leaders = _longer(self._leaders, more)
        self._representatives = _longer(self._representatives, more)

    def _end_expired(self, expiry: int) -> None:
        """End the text that this item of the heap stands for, unless it has ended already."""
        slot = expiry & _SLOT_MASK
        if self._owners[slot] is not None and self._expires[slot] == expiry >> _SLOT_BITS:
            self._end(slot)

    def _end(self, slot: int) -> None:
        """End a living text; a leader ends its story and takes its representative along."""
        self._owners[slot] = None
        self._dead += 1
        leader = int(self._leaders[slot])
        if leader != slot:
            self._representatives[leader] = NONE
            return
        self._stories -= 1
        if self._representatives[slot] != NONE:
            self._end(int(self._representatives[slot]))

    # --- articles ---

    def _remember(self, entry: Mapping[str, Any], key: bytes, slot: int) -> None:
        packed = self._articles.pop(key, None)
        rows = self._unpack(packed).rows if packed else ()
        row = self._row(entry)
        kept: tuple[Row, ...] = (row,)
        if rows:
            living = [each for each in (*rows, row) if each.seen + self.window_ms > self.clock]
            again = [each for each in living if each.decision.rule == SAME_CONTENT]
            others = [each for each in living if each.decision.rule != SAME_CONTENT]
            kept = tuple(
                sorted(
                    again[-REVISIONS:] + others[-REVISIONS:],
                    key=lambda each: each.decision.sequence,
                )
            )
            for content in {each.content for each in rows} - {each.content for each in kept}:
                self._forget_content(content, key)
        self._articles[key] = self._pack(Known(slot, kept))
        if entry["words"]:
            self._contents[_short(row.content)] = key

    def _row(self, entry: Mapping[str, Any]) -> Row:
        return Row(
            content=_digest(entry["content_hash"]),
            topic=entry["topic"],
            partition=entry["partition"],
            offset=entry["offset"],
            seen=max(self.clock, entry["event_time"]),
            decision=Decision(
                verdict=entry["verdict"],
                story_id=entry["story_id"],
                revision=entry["revision"],
                sequence=entry["sequence"],
                rule=entry["rule"],
                matched=entry["matched"],
                jaccard=entry["jaccard"],
                containment=entry["containment"],
                novelty=entry["novelty"],
                supersedes=entry["supersedes"],
                related=tuple(Related(**each) for each in entry["related"]),
                event_time=entry["event_time"],
            ),
        )

    def _forget_content(self, content: bytes, key: bytes) -> None:
        if self._contents.get(_short(content)) == key:
            del self._contents[_short(content)]

    def _prune(self) -> None:
        gone = []
        for key, packed in self._articles.items():
            if _HEAD.unpack_from(packed)[0] + self.window_ms > self.clock:
                break
            gone.append(key)
        for key in gone:
            for row in self._unpack(self._articles.pop(key)).rows:
                self._forget_content(row.content, key)

    def _pack(self, known: Known) -> bytes:
        number = self._names.number
        parts = [_HEAD.pack(known.rows[-1].seen, known.slot)]
        for row in known.rows:
            decision = row.decision
            parts.append(
                _ROW.pack(
                    row.content,
                    bytes.fromhex(decision.story_id),
                    bytes.fromhex(decision.matched),
                    decision.jaccard,
                    decision.containment,
                    decision.novelty,
                    row.seen,
                    decision.sequence,
                    decision.event_time,
                    row.offset,
                    row.partition,
                    decision.revision,
                    NONE if decision.supersedes is None else decision.supersedes,
                    number(row.topic),
                    number(decision.verdict),
                    number(decision.rule),
                    len(decision.related),
                )
            )
            parts += [
                _RELATED.pack(
                    bytes.fromhex(each.article_id),
                    number(each.relation),
                    each.jaccard,
                    each.containment,
                )
                for each in decision.related
            ]
        return b"".join(parts)

    def _unpack(self, packed: bytes) -> Known:
        name = self._names.name
        _, slot = _HEAD.unpack_from(packed)
        at = _HEAD.size
        rows = []
        while at < len(packed):
            (
                content,
                story,
                matched,
                jaccard,
                containment,
                novelty,
                seen,
                sequence,
                event_time,
                offset,
                partition,
                revision,
                supersedes,
                topic,
                verdict,
                rule,
                count,
            ) = _ROW.unpack_from(packed, at)
            at += _ROW.size
            related = []
            for _ in range(count):
                other, relation, *scores = _RELATED.unpack_from(packed, at)
                at += _RELATED.size
                related.append(Related(other.hex(), name(relation), *scores))
            decision = Decision(
                verdict=cast(Verdict, name(verdict)),
                story_id=story.hex(),
                revision=revision,
                sequence=sequence,
                rule=name(rule),
                matched=matched.hex() if any(matched) else "",
                jaccard=jaccard,
                containment=containment,
                novelty=novelty,
                supersedes=None if supersedes == NONE else supersedes,
                related=tuple(related),
                event_time=event_time,
            )
            rows.append(Row(content, name(topic), partition, offset, seen, decision))
        return Known(slot, tuple(rows))

    # --- the hash table ---

    def _places(self, key: int) -> list[int]:
        """The places of a key's entries, and last the empty place where its run ends."""
        view, mask = self._view, self._mask
        at = key & mask
        places = []
        while entry := view[at]:
            if entry >> _SLOT_BITS == key:
                places.append(at)
            at = (at + 1) & mask
        places.append(at)
        return places

    def _post(self, key: int, slot: int) -> None:
        """Enter a text under a key; of more than `HOT_KEY` living texts the oldest one goes."""
        view = self._view
        *places, empty = self._places(key)
        entry = key << _SLOT_BITS | slot + 1
        for place in places:
            if self._owners[(view[place] & _SLOT_MASK) - 1] is None:
                view[place] = entry
                return
        if len(places) >= HOT_KEY:
            slots = [(view[place] & _SLOT_MASK) - 1 for place in places]
            view[places[int(self._sequences[slots].argmin())]] = entry
        else:
            view[empty] = entry
            self._used += 1
            if self._used * 3 > len(self._table) * 2:
                self._rebuild()

    def _rebuild(self) -> None:
        """Sweep the table of dead texts, free their slots, and make it as large as it should be.

        Entries in the order of their home places, each at its home or behind the one before it:
        that is linear probing without a search for each.
        """
        living = np.array([owner is not None for owner in self._owners], dtype=np.bool_)
        entries = self._table[self._table != 0]
        entries = entries[living[(entries & np.uint64(_SLOT_MASK)).astype(np.int64) - 1]]
        self._free = np.flatnonzero(~living)[::-1].tolist()
        self._dead = 0
        self._resize_table(1 << max(10, (2 * len(entries)).bit_length()))
        homes = ((entries >> _SHIFT) & np.uint64(self._mask)).astype(np.int64)
        order = np.argsort(homes, kind="stable")
        entries, homes = entries[order], homes[order]
        steps = np.arange(len(entries))
        places = np.maximum.accumulate(homes - steps) + steps
        inside = places < len(self._table)
        self._table[places[inside]] = entries[inside]
        for entry in entries[~inside].tolist():
            self._view[self._places(entry >> _SLOT_BITS)[-1]] = entry
        self._used = len(entries)

    def _resize_table(self, size: int) -> None:
        self._table = np.zeros(size, dtype=np.uint64)
        self._view = self._table.data
        self._mask = size - 1
        self._used = 0


def _digest(content_hash: str) -> bytes:
    return xxhash.xxh3_128_digest(content_hash.encode())


def _short(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _low_bits(keys: bytes) -> list[int]:
    """Fingerprint keys are the smallest hashes of a text: only their low bits are even spread."""
    return (np.frombuffer(keys, dtype="<u8") & _KEY_MASK).tolist()  # type: ignore[no-any-return]


def _longer(array: NDArray[Any], more: int) -> NDArray[Any]:
    return np.concatenate((array, np.zeros((more, *array.shape[1:]), dtype=array.dtype)))
