"""The writer's memory: which articles and stories the last window has seen, packed into arrays.

It only stores, forgets and finds; what two texts have in common is for `likeness` to say, and what
follows from it for `decide`.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import islice
from sys import getsizeof
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.records import Decision, Fingerprint, Origin, Related, Verdict
from pipelines.stages.arabic.layers import PROFILE
from pipelines.stages.fingerprint import FILTER_BYTES, FINGERPRINT_VERSION, SIGNATURE
from pipelines.stages.hashtable import HASH_BITS, HashTable

LAYOUT = "2"
STATE_VERSION = f"{LAYOUT} {FINGERPRINT_VERSION} {PROFILE}"

WINDOW_MS = 7 * 24 * 3600 * 1000
# Bytes that a story takes with all its articles, as `python -m benchmarks.index decide` prints.
STORY_BYTES = 512
MAX_STORIES = 2_000_000  # 1 GB

# A key that many texts share is a boilerplate phrase: its newest entries find what is current.
HOT_KEY = 64
# A longer text of the same story stands in for it when it weighs at least this much more.
REPRESENTATIVE = 1.25
# How many published texts of a story are remembered beside its leader, to tell what is new.
TELLINGS = 31
# How many contents, and apart from them how many repetitions, an article is remembered by.
REVISIONS = 8

SAME_CONTENT = "same-content"
NONE = -1  # no slot, no row

VERDICTS: tuple[Verdict, ...] = (
    "new",
    "duplicate",
    "update",
    "revision",
    "correction",
    "retraction",
    "part_of",
)
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

# Before any time that a record can carry.
_BEFORE = -(1 << 62)
_LAST_SECOND = (1 << 32) - 1
_HOUR = 3600  # seconds
_SECOND_MS = 1000
_SLOT_BITS, _SEQUENCE_BITS = 28, 64
_DUE_BITS = _SLOT_BITS + _SEQUENCE_BITS
_LOW_32 = (1 << 32) - 1

# A decision on an article: its id, its content, what an exact copy shares with it, its story;
# offset, seconds of the last sight (rounded up), low half of the sequence, partition; jaccard,
# containment, likeness, novelty, news; revision; the article's row with the content before this
# one, that of the repetition before, and where its text stands; topic, verdict, rule, and what was
# matched together with the text's place.
_ROW = struct.Struct("<16s8s8s16sqIIH5HIiiiBBBB")
_EXACT_AT, _SEEN_AT, _SEQUENCE_AT, _BEFORE_AT, _REPEATED_AT, _SLOT_AT, _RULE_AT = (
    *(24, 56, 60),
    *(80, 84, 88, 94),
)
_ROW_HEADS = np.dtype(
    {
        "names": ["article", "exact", "seen", "sequence"],
        "formats": ["<u8", "<u8", "<u4", "<u4"],
        "offsets": [0, _EXACT_AT, _SEEN_AT, _SEQUENCE_AT],
        "itemsize": _ROW.size,
    }
)
_SEEN = struct.Struct("<I")
_NUMBER = struct.Struct("<i")
_CHAINS = struct.Struct("<ii")
_UNPACK_KEYS = struct.Struct("<Q").iter_unpack
# What an entry of news.index holds: as above, with matched as an id, with times in milliseconds
# (ingested, event, published), and the numbers of keys, links and letters of the topic that follow.
_ENTRY = struct.Struct("<16s8s8s16s16sqqqqqH5HIBBBBBBH")
_LINK = struct.Struct("<16sBHH")
_NO_EXACT = bytes(8)
_SIGNATURE_BYTES = SIGNATURE.itemsize
_NO_SIGNATURE = np.zeros(1, dtype=SIGNATURE)[0]
_SAME_CONTENT = RULES.index(SAME_CONTENT)
_DUPLICATE = VERDICTS.index("duplicate")
NOWHERE, LEADER, LONGER, TOLD = range(4)  # what a text is in its story: see `Entry`
_NOTHING, _ITSELF, _FIRST, _OTHER = range(4)  # what was matched: or the story's first article


@dataclass(frozen=True, slots=True)
class Row:
    """One decision on an article, with the message and the content that it was made on.

    `seen` is the broker's time then, or the event time if that is later, in milliseconds since
    1970 UTC, rounded up to a second.
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
        wanted = (short(content_hash.encode()), origin.topic, origin.partition, origin.offset)
        for row in self.rows:
            if (row.content, row.topic, row.partition, row.offset) == wanted:
                return row
        return None

    def with_content(self, content_hash: str) -> Row | None:
        """The row of the latest decision on this content."""
        content = short(content_hash.encode())
        return next((row for row in reversed(self.rows) if row.content == content), None)


def short(value: bytes) -> bytes:
    """64 bits that stand for a value."""
    return xxhash.xxh3_64_digest(value)


def pack_entry(
    article_id: str,
    content_hash: str,
    exact: bytes,
    origin: Origin,
    ingested_at: int,
    published_at: int,
    decision: Decision,
    fingerprint: Fingerprint,
) -> bytes:
    """A decision as news.index keeps it: all that `Index.restore` needs of it.

    `exact` is 64 bits that an exact copy would share, or empty. What `decision.place` puts nowhere
    leaves its fingerprint out.
    """
    placed = decision.place != NOWHERE
    topic = origin.topic.encode()
    keys = fingerprint.keys if decision.place in (LEADER, LONGER) else b""
    return b"".join(
        (
            _ENTRY.pack(
                bytes.fromhex(article_id),
                short(content_hash.encode()),
                exact,
                bytes.fromhex(decision.story_id),
                bytes.fromhex(decision.matched),
                decision.sequence,
                origin.offset,
                ingested_at,
                decision.event_time,
                published_at,
                origin.partition,
                *_steps(decision),
                decision.revision,
                VERDICTS.index(decision.verdict),
                RULES.index(decision.rule),
                decision.place,
                len(keys) // 8,
                len(decision.related),
                placed and bool(fingerprint.signature),
                len(topic),
            ),
            topic,
            fingerprint.signature if placed else b"",
            keys,
            *(
                _LINK.pack(
                    bytes.fromhex(link.article_id),
                    RELATIONS.index(link.relation),
                    round(link.jaccard * SCORE_STEPS),
                    round(link.containment * SCORE_STEPS),
                )
                for link in decision.related
            ),
        )
    )


def _related(links: bytes) -> tuple[Related, ...]:
    """The links that were packed."""
    return tuple(
        Related(other.hex(), RELATIONS[relation], jaccard / SCORE_STEPS, containment / SCORE_STEPS)
        for other, relation, jaccard, containment in _LINK.iter_unpack(links)
    )


def _steps(decision: Decision) -> tuple[int, int, int, int, int]:
    return (
        round(decision.jaccard * SCORE_STEPS),
        round(decision.containment * SCORE_STEPS),
        round(decision.likeness * SCORE_STEPS),
        round(decision.novelty * SCORE_STEPS),
        round(decision.news * NEWS_STEPS),
    )


class Index:
    """What the writer knows of the last window; one writer at a time, never shared.

    An article's decisions are rows of 96 bytes, chained from the newest. The texts that others are
    held against (a story's leader, and at most one longer representative) lie in slots: a signature
    and some numbers each. Hash tables lead from an article, from what exact copies share, and from
    a fingerprint key to them. Rows and slots are used again when they have expired.

    Everything is derived from the entries of `news.index`, in their order: a live index and one
    restored from its entries answer alike. Time is the highest broker time among the entries.
    """

    def __init__(self, window_ms: int = WINDOW_MS, max_stories: int = MAX_STORIES) -> None:
        self.window_ms = window_ms
        self.max_stories = max_stories
        self.last_sequence = 0
        self.clock = _BEFORE
        # Stories that left before their time because there were more than `max_stories`.
        self.pushed_out = 0
        self._stories = 0
        self._topics: list[str] = []

        self._rows = np.zeros(0, dtype=np.uint8).data
        self._row_count = 0
        self._free_rows = array("i")
        self._rows_by_hour: dict[int, array[int]] = {}
        self._rows_due = -_BEFORE
        self._links: dict[int, bytes] = {}  # packed, by row, where there are any
        self._matched: dict[int, bytes] = {}  # by row, where it is neither itself nor the leader
        self._articles = HashTable()  # article → its newest row
        self._exact = HashTable()  # what exact copies share → the newest row with it

        self._signatures = np.zeros(0, dtype=SIGNATURE)
        self._published = np.zeros(0, dtype=np.uint32)  # seconds
        self._expires = np.zeros(0, dtype=np.uint32)  # seconds, rounded up; 0: nothing lives here
        self._owners = np.zeros(0, dtype=np.int32)  # row of the article whose text this is
        self._leaders = np.zeros(0, dtype=np.int32)  # slot of the story's leader
        self._longer = np.zeros(0, dtype=np.int32)  # a leader's longer text, or NONE
        self._slot_count = 0
        self._free_slots = array("i")
        self._dead_slots = array("i")  # still in the table of keys
        self._keys = HashTable()  # key → slots
        # What readers were told beside the leader's text, by its slot: the filters of such texts.
        self._told: dict[int, bytes] = {}
        # A text's expiry, the sequence of its decision and its slot in one number for the hour that
        # ends next, the slots alone for later hours. Of equals the oldest goes first, in any slot.
        self._soon: list[int] = []
        self._soon_hour = -1
        self._later: dict[int, array[int]] = {}
        self._restoring: _Restoring | None = None

    # --- what decide asks ---

    def __len__(self) -> int:
        """The number of living stories."""
        return self._stories

    def memory_bytes(self) -> int:
        """Bytes held, as the arrays, tables and dicts report them."""
        arrays = (
            self._signatures,
            self._published,
            self._expires,
            self._owners,
            self._leaders,
            self._longer,
            self._articles,
            self._exact,
            self._keys,
        )
        buckets = (*self._rows_by_hour.values(), *self._later.values())
        lists = (self._free_rows, self._free_slots, self._dead_slots, self._soon, *buckets)
        dicts = (self._links, self._matched, self._told)
        total = sum(each.nbytes for each in arrays) + self._rows.nbytes
        total += sum(map(getsizeof, lists)) + sum(map(getsizeof, dicts))
        total += sum(map(getsizeof, self._told.values()))
        total += sum(map(getsizeof, self._matched.values())) + 32 * len(self._soon)
        return total + sum(map(getsizeof, self._links.values()))

    def expire(self, now: int) -> None:
        """Move the clock to `now`, never back, and forget what is a window older."""
        self.clock = max(self.clock, now)
        while (soonest := self._soonest()) is not None and (
            (soonest >> _DUE_BITS) * _SECOND_MS <= self.clock
        ):
            self._end_expired(heappop(self._soon))
        if self._rows_due <= self.clock:
            self._free_expired_rows()

    def known(self, article_id: str) -> Known | None:
        """What is remembered of this article, if it was seen within the window."""
        newest = self._row_of(bytes.fromhex(article_id))
        if newest == NONE:
            return None
        numbers = {newest}
        for at in (_BEFORE_AT, _REPEATED_AT):
            numbers.update(islice(self._chain(newest, at), REVISIONS + 1))
        rows = sorted(map(self._row, numbers), key=_sequence)
        again = [row for row in rows if row.decision.rule == SAME_CONTENT][-REVISIONS:]
        others = [row for row in rows if row.decision.rule != SAME_CONTENT][-REVISIONS:]
        return Known(self._slot_of(newest), tuple(sorted(again + others, key=_sequence)))

    def same_content(self, exact: bytes, article_id: str) -> tuple[str, str, bytes] | None:
        """Another article in a living story that shares `exact`: its id, the story's, its content.

        The story's leader if it is one of them, else the article that came last.
        """
        row = self._row_with(exact)
        if row == NONE:
            return None
        values = _ROW.unpack_from(self._rows, row * _ROW.size)
        holder, content, story = values[0], values[1], values[3]
        if self._leader(story) == NONE:
            return None
        leader = self._row_of(story)
        if story.hex() != article_id and leader != NONE:
            of_leader = _ROW.unpack_from(self._rows, leader * _ROW.size)
            if of_leader[2] == exact:
                return story.hex(), story.hex(), of_leader[1]
        return None if holder.hex() == article_id else (holder.hex(), story.hex(), content)

    def leader(self, story_id: str) -> int:
        """The slot of a living story's leader, or `NONE`."""
        return self._leader(bytes.fromhex(story_id))

    def texts(self, story_id: str) -> list[int]:
        """The slots of a living story: its leader's and its representative's."""
        slot = self.leader(story_id)
        if slot == NONE:
            return []
        longer = int(self._longer[slot])
        return [slot] if longer == NONE else [slot, longer]

    def candidates(self, keys: bytes) -> list[int]:
        """The slots of living texts that share a key, oldest first."""
        found = self._keys.found(key for (key,) in _UNPACK_KEYS(keys))
        living = [slot for slot in found if self._expires[slot]]
        return living if len(living) < 2 else self._oldest_first(living)

    def signatures(self, slots: list[int]) -> NDArray[np.void]:
        """What is kept of the texts in these slots: `SIGNATURE`, one for each."""
        return self._signatures.take(slots)

    def compares(self, slot: int) -> bool:
        """Whether this text is long enough to be compared with."""
        return bool(self._signatures["weight"][slot])

    def told(self, slot: int) -> NDArray[np.uint8]:
        """What readers have seen in this text's story: filters of words, the leader's first."""
        leader = int(self._leaders[slot])
        own = self._signatures["filter"][leader].tobytes()
        told = np.frombuffer(own + self._told.get(leader, b""), dtype=np.uint8)
        return told.reshape(-1, FILTER_BYTES)

    def owner(self, slot: int) -> str:
        """The article whose text this is."""
        assert self._expires[slot], "nothing lives here"
        at = int(self._owners[slot]) * _ROW.size
        return bytes(self._rows[at : at + 16]).hex()

    def story(self, slot: int) -> str:
        """The story that this text belongs to."""
        return self.owner(int(self._leaders[slot]))

    def published(self, slot: int) -> int:
        """When this text was published, in milliseconds since 1970 UTC, to the second."""
        return int(self._published[slot]) * _SECOND_MS

    def stands_in(self, story_id: str, article_id: str, weight: int) -> bool:
        """Whether a text of this weight is to be its story's longer one: there is no other's."""
        slot = self.leader(story_id)
        if slot == NONE or REPRESENTATIVE * int(self._signatures["weight"][slot]) > weight:
            return False
        longer = int(self._longer[slot])
        return longer == NONE or self.owner(longer) == article_id

    # --- how it changes ---

    def restore(self, entry: bytes) -> None:
        """Take in one decision: the only way in which the index changes, live or at a restart.

        `entry` was made by `pack_entry` of this `STATE_VERSION`. One that is already known (its
        sequence is not higher than the last) changes nothing. Raises ValueError for what is no
        entry.
        """
        try:
            (
                article,
                content,
                exact,
                story,
                matched,
                sequence,
                offset,
                ingested,
                event,
                published,
                partition,
                *scores,
                revision,
                verdict,
                rule,
                place,
                key_count,
                link_count,
                has_signature,
                topic_length,
            ) = _ENTRY.unpack_from(entry)
            at = _ENTRY.size + topic_length
            signature = entry[at : at + _SIGNATURE_BYTES] if has_signature else b""
            at += len(signature)
            keys = entry[at : at + 8 * key_count]
            at += 8 * key_count
            links = [_LINK.unpack_from(entry, at + n * _LINK.size) for n in range(link_count)]
            if len(entry) != at + _LINK.size * link_count or (
                rule >= len(RULES) or verdict >= len(VERDICTS) or place > TOLD
            ):
                raise ValueError("an index entry is not as it was written")
            if any(link[1] >= len(RELATIONS) for link in links):
                raise ValueError("an index entry is not as it was written")
        except struct.error as error:
            raise ValueError(f"an index entry is not as it was written: {error}") from None
        if sequence <= self.last_sequence:
            return
        topic = self._topic(entry[_ENTRY.size : _ENTRY.size + topic_length])
        self.expire(ingested)
        self.last_sequence = sequence

        before = self._row_of(article)
        slot = NONE if before == NONE else self._slot_of(before)
        seen = self._seconds(max(self.clock, event))
        row = self._new_row(seen)
        if rule != _SAME_CONTENT:
            told = None
            if slot != NONE:
                if self._leaders[slot] == slot and place == LEADER:
                    told = self.told(slot).tobytes()
                self._end(slot)
            slot = NONE
            if place in (LEADER, LONGER):
                slot = self._place(story, row, place, signature, event, published)
                if told is not None:  # what readers saw of the text before this one
                    self._hear(slot, told)
        if links:
            self._links[row] = entry[at:]
        if not any(matched):
            what = _NOTHING
        elif matched == article:
            what = _ITSELF
        elif matched == story:
            what = _FIRST
        else:
            what = _OTHER
            self._matched[row] = matched
        older = repeated = NONE
        if before != NONE:
            older, repeated = _CHAINS.unpack_from(self._rows, before * _ROW.size + _BEFORE_AT)
            if self._rows[before * _ROW.size + _RULE_AT] == _SAME_CONTENT:
                repeated = before
            else:
                older = before
        _ROW.pack_into(
            self._rows,
            row * _ROW.size,
            article,
            content,
            exact,
            story,
            offset,
            seen,
            sequence & _LOW_32,
            partition,
            *scores,
            revision,
            older,
            repeated,
            slot,
            topic,
            verdict,
            rule,
            what | place << 2,
        )
        if rule == _SAME_CONTENT and self._leader(story) == NONE:
            exact = _NO_EXACT  # a repetition of what has ended must not hide a living copy
        self._enter(article, exact, row, before)
        if slot != NONE and rule != _SAME_CONTENT:
            if self._restoring:
                self._restoring.post(keys, slot)
            else:
                self._post(keys, slot)
            while self._stories > self.max_stories:
                soonest = self._soonest()
                assert soonest is not None, "every living text waits for its end"
                before_that = self._stories
                self._end_expired(heappop(self._soon))
                self.pushed_out += before_that - self._stories
        if place == TOLD or (place == LONGER and verdict != _DUPLICATE):
            self._tell(story, signature)

    def _place(
        self, story: bytes, row: int, place: int, signature: bytes, event: int, published: int
    ) -> int:
        """Give a text a slot of its own: as its story's leader, or as the leader's longer one."""
        leader = self._leader(story) if place == LONGER else NONE
        if place == LONGER and leader == NONE:
            return NONE
        slot = self._new_slot()
        self._signatures[slot] = (
            np.frombuffer(signature, dtype=SIGNATURE)[0] if signature else _NO_SIGNATURE
        )
        self._published[slot] = min(max(0, published // _SECOND_MS), _LAST_SECOND)
        self._expires[slot] = self._seconds(event + self.window_ms)
        self._owners[slot] = row
        self._longer[slot] = NONE
        if leader == NONE:
            self._leaders[slot] = slot
            self._stories += 1
        else:
            self._leaders[slot] = leader
            self._longer[leader] = slot
        self._schedule(slot)
        return slot

    def _tell(self, story: bytes, signature: bytes) -> None:
        """Readers have seen these words in this story, too."""
        leader = self._leader(story)
        if leader != NONE and signature:
            self._hear(leader, signature[:FILTER_BYTES])

    def _hear(self, leader: int, filters: bytes) -> None:
        self._told[leader] = (self._told.get(leader, b"") + filters)[-TELLINGS * FILTER_BYTES :]

    def _end(self, slot: int) -> None:
        """End a living text; a leader ends its story and takes its representative along."""
        self._expires[slot] = 0
        self._dead_slots.append(slot)
        leader = int(self._leaders[slot])
        if self._restoring:
            self._restoring.end(slot)
        if leader != slot:
            self._longer[leader] = NONE
            return
        self._stories -= 1
        self._told.pop(slot, None)
        if self._longer[slot] != NONE:
            self._end(int(self._longer[slot]))

    def _end_expired(self, expiry: int) -> None:
        """End the text that this item of the heap stands for, unless it has ended already."""
        slot = expiry & (1 << _SLOT_BITS) - 1
        sequence = expiry >> _SLOT_BITS & (1 << _SEQUENCE_BITS) - 1
        if self._expires[slot] == expiry >> _DUE_BITS and self._age(slot) == sequence:
            self._end(slot)

    # --- slots ---

    def _new_slot(self) -> int:
        if not self._free_slots and self._slot_count == len(self._signatures):
            if not self._restoring and len(self._dead_slots) * 8 > self._slot_count:
                self._sweep_keys()
            else:
                self._grow_slots()
        if self._free_slots:
            return self._free_slots.pop()
        self._slot_count += 1
        return self._slot_count - 1

    def _grow_slots(self) -> None:
        more = max(1024, len(self._signatures) >> 4)
        self._signatures = _longer(self._signatures, more)
        self._published = _longer(self._published, more)
        self._expires = _longer(self._expires, more)
        self._owners = _longer(self._owners, more)
        self._leaders = _longer(self._leaders, more)
        self._longer = _longer(self._longer, more)

    def _leader(self, story: bytes) -> int:
        row = self._row_of(story)
        slot = NONE if row == NONE else self._slot_of(row)
        return slot if slot != NONE and self._leaders[slot] == slot else NONE

    def _oldest_first(self, slots: list[int]) -> list[int]:
        """These slots in the order of the decisions on their texts."""
        rows = np.frombuffer(self._rows, dtype=_ROW_HEADS)[self._owners[slots]]
        ages = np.uint32(self.last_sequence & _LOW_32) - rows["sequence"]  # modulo 2^32
        ordered: list[int] = np.array(slots)[np.argsort(ages)[::-1]].tolist()
        return ordered

    def _age(self, slot: int) -> int:
        """The sequence of the decision on this text."""
        return self._sequence(int(self._owners[slot]))

    def _schedule(self, slot: int) -> None:
        expires = int(self._expires[slot])
        hour = expires // _HOUR
        if hour <= self._soon_hour:
            heappush(self._soon, expires << _DUE_BITS | self.last_sequence << _SLOT_BITS | slot)
        else:
            self._later.setdefault(hour, array("i")).append(slot)

    def _soonest(self) -> int | None:
        """What expires first of all, as an item of the heap; it may have ended already."""
        while not self._soon and self._later:
            self._soon_hour = min(self._later)
            slots = np.unique(np.frombuffer(self._later.pop(self._soon_hour), dtype=np.int32))
            slots = slots[self._expires[slots] // _HOUR == self._soon_hour]
            rows = np.frombuffer(self._rows, dtype=_ROW_HEADS)[self._owners[slots]]
            ages = np.uint32(self.last_sequence & _LOW_32) - rows["sequence"]
            self._soon = [
                expires << _DUE_BITS | (self.last_sequence - age) << _SLOT_BITS | slot
                for expires, age, slot in zip(
                    self._expires[slots].tolist(), ages.tolist(), slots.tolist(), strict=True
                )
            ]
            heapify(self._soon)
        return self._soon[0] if self._soon else None

    # --- keys ---

    def _post(self, keys: bytes, slot: int) -> None:
        """Enter a text under its keys; of more than `HOT_KEY` living texts the oldest one goes."""
        table = self._keys
        for (key,) in _UNPACK_KEYS(keys):
            slots, end = table.run(key)
            dead = next((each for each in slots if not self._expires[each]), NONE)
            if dead != NONE:
                table.replace(key, dead, slot)
            elif len(slots) >= HOT_KEY:
                table.replace(key, self._oldest_first(slots)[0], slot)
            elif not table.put(end, key, slot):
                self._sweep_keys()

    def _sweep_keys(self) -> None:
        self._keys.rebuild(lambda keys, slots: self._expires[slots] > 0)
        self._free_slots.extend(self._dead_slots)
        self._dead_slots = array("i")

    # --- rows ---

    def _new_row(self, seen: int) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
        else:
            row = self._row_count
            self._row_count += 1
            if self._row_count * _ROW.size > self._rows.nbytes:
                more = max(1024, self._row_count >> 4) * _ROW.size
                self._rows = _longer(np.frombuffer(self._rows, dtype=np.uint8), more).data
        hour = -(-seen // _HOUR)
        bucket = self._rows_by_hour.get(hour)
        if bucket is None:
            bucket = self._rows_by_hour[hour] = array("i")
            self._rows_due = min(self._rows_due, self._due(hour))
        bucket.append(row)
        return row

    def _due(self, hour: int) -> int:
        """When every row of this hour has left the window."""
        return hour * _HOUR * _SECOND_MS + self.window_ms

    def _free_expired_rows(self) -> None:
        for hour in [each for each in self._rows_by_hour if self._due(each) <= self.clock]:
            bucket = self._rows_by_hour.pop(hour)
            for row in bucket:
                _SEEN.pack_into(self._rows, row * _ROW.size + _SEEN_AT, 0)
                self._links.pop(row, None)
                self._matched.pop(row, None)
            self._free_rows.extend(bucket)
        self._rows_due = min(map(self._due, self._rows_by_hour), default=-_BEFORE)

    def _lives(self, row: int) -> bool:
        seen: int = _SEEN.unpack_from(self._rows, row * _ROW.size + _SEEN_AT)[0]
        return seen * _SECOND_MS + self.window_ms > self.clock and seen > 0

    def _slot_of(self, row: int) -> int:
        """Where the article's text stands, if it still lives there."""
        at = row * _ROW.size
        slot: int = _NUMBER.unpack_from(self._rows, at + _SLOT_AT)[0]
        if slot == NONE or not self._expires[slot]:
            return NONE
        owner = int(self._owners[slot]) * _ROW.size
        return slot if self._rows[owner : owner + 16] == self._rows[at : at + 16] else NONE

    def _sequence(self, row: int) -> int:
        low: int = _SEEN.unpack_from(self._rows, row * _ROW.size + _SEQUENCE_AT)[0]
        return self.last_sequence - (self.last_sequence - low & _LOW_32)

    def _chain(self, row: int, link: int) -> Iterator[int]:
        """The rows behind this one of the same article, one link after the other, newest first."""
        article = bytes(self._rows[row * _ROW.size : row * _ROW.size + 16])
        sequence = self._sequence(row)
        while True:
            row = _NUMBER.unpack_from(self._rows, row * _ROW.size + link)[0]
            # A row that was freed may be another decision's by now.
            if row == NONE or not self._lives(row):
                return
            at = row * _ROW.size
            if self._rows[at : at + 16] != article or self._sequence(row) >= sequence:
                return
            sequence = self._sequence(row)
            yield row

    def _row_of(self, article: bytes) -> int:
        """The article's newest row, while it lives."""
        rows: Sequence[int] = (
            self._restoring.articles.get(article, ())
            if self._restoring
            else self._articles.numbers(_hash(article))
        )
        for row in rows:
            if self._rows[row * _ROW.size : row * _ROW.size + 16] == article and self._lives(row):
                return row
        return NONE

    def _row_with(self, exact: bytes) -> int:
        """The newest row with this, while it lives."""
        if exact == _NO_EXACT:
            return NONE
        rows: Sequence[int] = (
            self._restoring.exact.get(exact, ())
            if self._restoring
            else self._exact.numbers(_hash(exact))
        )
        for row in rows:
            at = row * _ROW.size + _EXACT_AT
            if self._rows[at : at + 8] == exact and self._lives(row):
                return row
        return NONE

    def _enter(self, article: bytes, exact: bytes, row: int, before: int) -> None:
        """Let the tables lead to this row, instead of to the one `before` and of older ones."""
        if self._restoring:
            self._restoring.articles[article] = (row,)
            if exact != _NO_EXACT:
                self._restoring.exact[exact] = (row,)
            return
        with_exact = self._row_with(exact)
        for table, key, old in (
            (self._articles, article, before),
            (self._exact, exact, with_exact),
        ):
            if key == _NO_EXACT:
                continue
            if old == NONE:
                old = self._outdated(table, key, row)
            if old != NONE:
                table.replace(_hash(key), old, row)
            elif not table.add(_hash(key), row):
                table.rebuild(self._is_article if table is self._articles else self._is_exact)

    def _outdated(self, table: HashTable, key: bytes, row: int) -> int:
        """A row that the key led to before it expired. Left there it might be the key's again, and
        stand beside a newer one.
        """
        at = 0 if table is self._articles else _EXACT_AT
        for each in table.numbers(_hash(key)):
            start = each * _ROW.size + at
            differs = (_hash(self._rows[start : start + 8]) ^ _hash(key)) & (1 << HASH_BITS) - 1
            if each == row or differs or not self._lives(each):
                return each
        return NONE

    def _is_article(self, keys: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._is(keys, rows, "article")

    def _is_exact(self, keys: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._is(keys, rows, "exact")

    def _is(
        self, keys: NDArray[np.uint64], rows: NDArray[np.int64], name: str
    ) -> NDArray[np.bool_]:
        """Whether these rows are in use, and still those that the keys were entered for."""
        table = np.frombuffer(self._rows, dtype=_ROW_HEADS)
        same: NDArray[np.bool_] = table[name][rows] & np.uint64((1 << HASH_BITS) - 1) == keys
        same &= table["seen"][rows] > 0
        return same

    def _row(self, row: int) -> Row:
        (
            article,
            content,
            _,
            story,
            offset,
            seen,
            _,
            partition,
            jaccard,
            containment,
            likeness,
            novelty,
            news,
            revision,
            _,
            _,
            _,
            topic,
            verdict,
            rule,
            what,
        ) = _ROW.unpack_from(self._rows, row * _ROW.size)
        matched = (b"", article, story, self._matched.get(row, b""))[what & 3]
        decision = Decision(
            verdict=VERDICTS[verdict],
            story_id=story.hex(),
            revision=revision,
            sequence=self._sequence(row),
            rule=RULES[rule],
            matched=matched.hex(),
            jaccard=jaccard / SCORE_STEPS,
            containment=containment / SCORE_STEPS,
            likeness=likeness / SCORE_STEPS,
            novelty=novelty / SCORE_STEPS,
            news=news / NEWS_STEPS,
            # What replaces an earlier version of itself is that version's next.
            supersedes=revision - 1 if what & 3 == _ITSELF and verdict != _DUPLICATE else None,
            related=_related(self._links.get(row, b"")),
            place=what >> 2,
        )
        return Row(content, self._topics[topic], partition, offset, seen * _SECOND_MS, decision)

    def _topic(self, name: bytes) -> int:
        topic = name.decode()
        if topic not in self._topics:
            self._topics.append(topic)
        return self._topics.index(topic)

    @staticmethod
    def _seconds(milliseconds: int) -> int:
        """Rounded up, at least 1: nothing is forgotten before its time, and 0 means free."""
        return min(max(1, -(-milliseconds // _SECOND_MS)), _LAST_SECOND)

    # --- restoring ---

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Many entries are taken in within, by an index that was empty: its tables are made once,
        behind the last one.
        """
        if self.last_sequence:
            yield
            return
        self._restoring = made = _Restoring()
        try:
            yield
        finally:
            self._restoring = None
            for table, rows, is_that in (
                (self._articles, made.articles, self._is_article),
                (self._exact, made.exact, self._is_exact),
            ):
                keys = np.frombuffer(b"".join([key[:8] for key in rows]), dtype="<u8")
                keys = keys & np.uint64((1 << HASH_BITS) - 1)
                numbers = np.array([row for (row,) in rows.values()], dtype=np.int64)
                kept = is_that(keys, numbers) if len(numbers) else np.zeros(0, dtype=np.bool_)
                table.load(keys[kept], numbers[kept])
            keys, numbers = made.postings(self._expires)
            self._keys.load(keys, numbers)
            self._free_slots.extend(self._dead_slots)
            self._dead_slots = array("i")


class _Restoring:
    """What an index collects while it is restored, instead of filling its tables one by one."""

    def __init__(self) -> None:
        self.articles: dict[bytes, tuple[int]] = {}
        self.exact: dict[bytes, tuple[int]] = {}
        self._keys: list[bytes] = []
        self._slots = array("i")
        self._ended: dict[int, int] = {}  # slot → how many texts had been posted then

    def post(self, keys: bytes, slot: int) -> None:
        self._keys.append(keys)
        self._slots.append(slot)

    def end(self, slot: int) -> None:
        self._ended[slot] = len(self._slots)

    def postings(self, expires: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Keys and slots as they stand when all was posted one after the other."""
        counts = [len(keys) // 8 for keys in self._keys]
        keys = np.frombuffer(b"".join(self._keys), dtype="<u8") & np.uint64((1 << HASH_BITS) - 1)
        turns = np.repeat(np.arange(len(counts)), counts)
        slots = np.frombuffer(self._slots, dtype=np.int32).astype(np.int64)[turns]
        kept = expires[slots] > 0
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        bounds = np.flatnonzero(np.diff(ordered, prepend=~ordered[:1], append=~ordered[-1:]))
        for start, stop in zip(bounds.tolist(), bounds[1:].tolist(), strict=False):
            if stop - start > HOT_KEY:
                group = order[start:stop]
                kept[group] &= self._newest(turns[group].tolist(), slots[group].tolist())
        return keys[kept], slots[kept]

    def _newest(self, turns: list[int], slots: list[int]) -> list[bool]:
        """Which of a hot key's postings are left: an old one went when a new one found `HOT_KEY`
        living ones.
        """
        held: list[int] = []
        for at, turn in enumerate(turns):
            held = [each for each in held if self._ended.get(slots[each], turn + 1) > turn]
            if len(held) >= HOT_KEY:
                held.pop(0)
            held.append(at)
        left = set(held)
        return [at in left for at in range(len(turns))]


def _sequence(row: Row) -> int:
    return row.decision.sequence


def _hash(key: bytes | memoryview) -> int:
    return int.from_bytes(key[:8], "little")


def _longer(array: NDArray[Any], more: int) -> NDArray[Any]:
    return np.concatenate((array, np.zeros((more, *array.shape[1:]), dtype=array.dtype)))
