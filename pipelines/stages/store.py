"""The index's memory, packed into arrays, and the loops that change and search it.

Rows are decisions: those of one article are chained from the newest, all of them in the order in
which they came. Slots are the living texts that others are held against: a story's leader, and at
most one longer text that stands in for it. Hash tables lead to them. What is free is chained.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.stages.compiled import allocating, compiled, signed
from pipelines.stages.entry import (
    DECISION,
    DECISION_BYTES,
    HEAD,
    KIND_BITS,
    LEADER,
    LINK,
    LINK_BYTES,
    LONGER,
    MATCHED,
    OTHER,
    REMOVED,
    RULES,
    SAME_CONTENT,
    TOLD,
    VERDICTS,
)
from pipelines.stages.fingerprint import FILTER_BYTES, KEYS, SIGNATURE, U8
from pipelines.stages.hashtable import (
    FULL,
    U64,
    behind,
    empty,
    home,
    is_under,
    number_of,
    packed_entry,
    refill,
)
from pipelines.stages.likeness import hold_against

I32 = NDArray[np.int32]
Bools = NDArray[np.bool_]
Records = NDArray[np.void]

# A key that many texts share is a boilerplate phrase: its newest entries find what is current.
HOT_KEY = 64
# How many published texts of a story are remembered beside its leader, to tell what is new.
TELLINGS = 31
# How many contents, and apart from them how many repetitions, an article is remembered by.
REVISIONS = 8

NONE = -1  # no slot, no row, no end of a chain

ROW = np.dtype(
    [
        *DECISION,
        ("seen", "<u4"),  # seconds, rounded up; 0: free
        ("sequence", "<u4"),  # its low half
        ("older", "<i4"),  # the article's row with the content before this one
        ("repeated", "<i4"),  # that of the repetition before
        ("slot", "<i4"),  # where the article's text stands
        ("links", "<i4"),  # the first of its links
        ("next", "<i4"),  # the row that came next, or the next free one
    ]
)
SLOT = np.dtype(
    [
        ("published", "<u4"),  # seconds
        ("expires", "<u4"),  # seconds, rounded up; 0: nothing lives here
        ("sequence", "<u4"),  # of the decision on this text, its low half
        ("owner", "<i4"),  # its article's row with that decision
        ("partner", "<i4"),  # a leader's longer text or NONE; of a longer text _LED_BY - its leader
        ("in_heap", "<i4"),  # its place there; of a free slot the next one
        ("told", "<i4"),  # of a leader the first filter of what else readers saw
    ]
)
POOLED_LINK = np.dtype([*LINK, ("next", "<i4")])
STATE = np.dtype(
    [
        (name, "<i8")
        for name in (
            *("window", "max_stories"),  # the window in seconds
            *("clock", "last_sequence", "stories", "pushed_out"),  # the clock in milliseconds
            *("rows", "free_row", "oldest_row", "newest_row"),
            *("slots", "free_slot", "dead_slots", "heap"),
            *("told", "free_told", "links", "free_link"),
            *("articles", "exact", "keys"),  # entries in the tables
        )
    ]
)
BEFORE = -(1 << 62)  # before any time that a record can carry

LINK_ROOM = 255  # that an entry can have

_LED_BY = -2
_SECOND_MS = 1000
_LAST_SECOND = (1 << 32) - 1
_BITS = (1 << KIND_BITS) - 1
_SAME_CONTENT, _REMOVED = RULES.index(SAME_CONTENT), RULES.index(REMOVED)
_DUPLICATE = VERDICTS.index("duplicate")
_SIGNATURE_BYTES = SIGNATURE.itemsize
_NOTHING, _BYTE = np.uint64(0), np.uint64(8)
_HALF, _LOW_32 = np.uint64(32), np.uint64((1 << 32) - 1)
HEAD_BYTES = HEAD.itemsize
_RELATION_AT = 16


class Store(NamedTuple):
    """The arrays; all that grow may be longer than what is in use."""

    state: Records  # one `STATE`
    rows: Records
    row_bytes: U8
    slots: Records
    signatures: Records  # one for each slot
    signature_bytes: U8
    heap: I32  # slots of living texts; the one that expires first is on top, of equals the oldest
    told: U8  # filters of texts
    told_next: I32
    links: Records
    link_bytes: U8
    articles: U64  # article → its newest row
    exact: U64  # what exact copies share → the newest row with it
    keys: U64  # key → slots
    head: Records  # the entry that is taken in
    head_bytes: U8


def new_store(window_ms: int, max_stories: int) -> Store:
    """An empty one."""
    state = np.zeros(1, dtype=STATE)
    state["window"], state["max_stories"] = -(-window_ms // _SECOND_MS), max_stories
    state["clock"] = BEFORE
    for name in ("free_row", "oldest_row", "newest_row", "free_slot", "free_told", "free_link"):
        state[name] = NONE
    rows, links, head = np.zeros(0, ROW), np.zeros(0, POOLED_LINK), np.zeros(1, HEAD)
    signatures = np.zeros(0, SIGNATURE)
    return Store(
        state,
        rows,
        _bytes_of(rows),
        np.zeros(0, SLOT),
        signatures,
        _bytes_of(signatures),
        np.zeros(0, np.int32),
        np.zeros((0, FILTER_BYTES), np.uint8),
        np.zeros(0, np.int32),
        links,
        _bytes_of(links),
        empty(),
        empty(),
        empty(),
        head,
        _bytes_of(head),
    )


def with_room(store: Store, more: int = 1) -> Store:
    """The same with room for at least one more entry of any kind: what has ended is swept out of
    the tables, and what is full is made longer by a sixteenth, or for so many `more` entries.
    """
    state = store.state[0]
    if state["free_row"] == NONE and state["rows"] == len(store.rows):
        rows = _longer(store.rows, more)
        store = store._replace(rows=rows, row_bytes=_bytes_of(rows))
    if state["free_slot"] == NONE and state["slots"] == len(store.slots):
        if state["dead_slots"] * 8 > state["slots"]:
            store = _sweep_keys(store, more)
        else:
            signatures = _longer(store.signatures, more)
            store = store._replace(
                slots=_longer(store.slots, more),
                signatures=signatures,
                signature_bytes=_bytes_of(signatures),
                heap=_longer(store.heap, more),
            )
    if not _fits(store.keys, state["keys"], KEYS):
        store = _sweep_keys(store, more)
    for name, of_exact in (("articles", 0), ("exact", 1)):
        table = getattr(store, name)
        if not _fits(table, state[name], 1):
            kept = np.zeros(len(table), np.bool_)
            _mark_rows(store, table, of_exact, kept)
            made, state[name] = refill(table, kept, more)
            store = store._replace(**{name: made})  # type: ignore[arg-type]  # of these two names
    if state["told"] + TELLINGS >= len(store.told):
        told, following = _longer(store.told), _longer(store.told_next)
        store = store._replace(told=told, told_next=following)
    if state["links"] + LINK_ROOM > len(store.links):
        links = _longer(store.links)
        store = store._replace(links=links, link_bytes=_bytes_of(links))
    return store


def _sweep_keys(store: Store, more: int) -> Store:
    state = store.state[0]
    kept = np.zeros(len(store.keys), np.bool_)
    _mark_slots(store, kept)
    made, state["keys"] = refill(store.keys, kept, KEYS * more)
    _free_dead_slots(store)
    return store._replace(keys=made)


def _bytes_of(records: Records) -> U8:
    return records.view(np.uint8).reshape(len(records), records.dtype.itemsize)


def _longer(array: NDArray[Any], more: int = 1) -> NDArray[Any]:
    more = max(1024, len(array) >> 4, more)
    longer = np.zeros((len(array) + more, *array.shape[1:]), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


@compiled
def _fits(table: U64, used: int, more: int) -> bool:
    return used + more <= len(table) * FULL


@compiled
def _mark_rows(s: Store, table: U64, of_exact: int, kept: Bools) -> None:
    """Marks the places of a table at which a row stands that is in use, and still what it was
    entered for.
    """
    for at in range(len(table)):
        if table[at]:
            row = s.rows[number_of(table[at])]
            key = row.exact if of_exact else row.article
            kept[at] = row.seen > 0 and is_under(table[at], key)


@compiled
def _mark_slots(s: Store, kept: Bools) -> None:
    """Marks the places of the table of keys at which a living text stands."""
    for at in range(len(s.keys)):
        if s.keys[at]:
            kept[at] = s.slots[number_of(s.keys[at])].expires > 0


@compiled
def _free_dead_slots(s: Store) -> None:
    """Lets all slots be used again in which nothing lives: no table leads to them any more."""
    state = s.state[0]
    state.free_slot, state.dead_slots = NONE, 0
    for slot in range(state.slots - 1, -1, -1):
        if s.slots[slot].expires == 0:
            s.slots[slot].in_heap = state.free_slot
            state.free_slot = slot


@compiled
def _copy(records: U8, number: int, packed: U8, start: int, size: int) -> None:
    """Fills a record's first bytes; a slice would be checked for overlaps, which takes ten times as
    long.
    """
    for at in range(size):
        records[number, at] = packed[start + at]


# --- time ---


@compiled
def _seconds(milliseconds: int) -> np.uint32:
    """Rounded up, at least 1: nothing is forgotten before its time, and 0 means free."""
    return np.uint32(min(max(1, -(-milliseconds // _SECOND_MS)), _LAST_SECOND))


@compiled
def _lives(s: Store, row: int) -> bool:
    seen = signed(s.rows[row].seen)
    return bool(seen > 0 and (seen + s.state[0].window) * _SECOND_MS > s.state[0].clock)


@compiled
def expire(s: Store, now: int) -> None:
    """Moves the clock to `now`, never back, and forgets what is a window older."""
    state = s.state[0]
    state.clock = max(state.clock, now)
    while state.heap and signed(s.slots[s.heap[0]].expires) * _SECOND_MS <= state.clock:
        _end(s, signed(s.heap[0]))
    while state.oldest_row != NONE and not _lives(s, state.oldest_row):
        row = s.rows[state.oldest_row]
        freed = state.oldest_row
        state.oldest_row = row.next
        if row.next == NONE:
            state.newest_row = NONE
        row.seen = 0
        row.next = state.free_row
        state.free_row = freed
        while row.links != NONE:
            link = row.links
            row.links = s.links[link].next
            s.links[link].next = state.free_link
            state.free_link = link


# --- the heap ---


@compiled
def _age(s: Store, slot: int) -> np.uint32:
    """How many decisions ago the one on this text was, modulo 2^32."""
    return np.uint32(np.uint32(s.state[0].last_sequence) - s.slots[slot].sequence)


@compiled
def _is_sooner(s: Store, one: int, other: int) -> bool:
    a, b = s.slots[one].expires, s.slots[other].expires
    return bool(a < b or (a == b and _age(s, one) > _age(s, other)))


@compiled
def _settle(s: Store, at: int) -> None:
    """Moves what stands at this place of the heap up or down to where it belongs."""
    size, slot = s.state[0].heap, signed(s.heap[at])
    while at and _is_sooner(s, slot, signed(s.heap[(at - 1) // 2])):
        s.heap[at] = s.heap[(at - 1) // 2]
        s.slots[s.heap[at]].in_heap = at
        at = (at - 1) // 2
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _is_sooner(s, signed(s.heap[child + 1]), signed(s.heap[child])):
            child += 1
        if not _is_sooner(s, signed(s.heap[child]), slot):
            break
        s.heap[at] = s.heap[child]
        s.slots[s.heap[at]].in_heap = at
        at = child
    s.heap[at] = slot
    s.slots[slot].in_heap = at


# --- slots ---


@compiled
def _end(s: Store, slot: int) -> None:
    """Ends a living text; a leader ends its story and takes its longer text along."""
    partner = signed(s.slots[slot].partner)
    if partner < NONE:
        s.slots[_LED_BY - partner].partner = NONE
    else:
        s.state[0].stories -= 1
        if partner != NONE:
            _drop(s, partner)
    _drop(s, slot)


@compiled
def _drop(s: Store, slot: int) -> None:
    state, text = s.state[0], s.slots[slot]
    at = signed(text.in_heap)
    state.heap -= 1
    if at < state.heap:
        s.heap[at] = s.heap[state.heap]
        _settle(s, at)
    text.expires = 0
    state.dead_slots += 1
    while text.told != NONE:
        _forget_first(s, slot)


@compiled
def _forget_first(s: Store, leader: int) -> None:
    """Frees the oldest filter of what a story has told."""
    text, state = s.slots[leader], s.state[0]
    first = text.told
    text.told = s.told_next[first]
    s.told_next[first] = state.free_told
    state.free_told = first


@compiled
def _hear(s: Store, leader: int, bits: U8) -> None:
    """Readers have seen these words in this story, too."""
    state = s.state[0]
    new = state.free_told
    if new == NONE:
        new = state.told
        state.told += 1
    else:
        state.free_told = s.told_next[new]
    _copy(s.told, new, bits, 0, FILTER_BYTES)
    s.told_next[new] = NONE
    last, count, at = NONE, 1, s.slots[leader].told
    while at != NONE:
        last, count, at = at, count + 1, s.told_next[at]
    if last == NONE:
        s.slots[leader].told = new
    else:
        s.told_next[last] = new
    if count > TELLINGS:
        _forget_first(s, leader)


@compiled
def _place(s: Store, row: int, place: int, signature: U8) -> int:
    """Gives the text of the entry a slot of its own, as its story's leader or as the leader's
    longer text; none to one whose leader has ended.
    """
    state, head = s.state[0], s.head[0]
    leader = _leader_of(s, head.story, head.story_rest) if place == LONGER else NONE
    if place == LONGER and leader == NONE:
        return NONE
    slot: int = state.free_slot
    if slot == NONE:
        slot = state.slots
        state.slots += 1
    else:
        state.free_slot = s.slots[slot].in_heap
    if len(signature):
        _copy(s.signature_bytes, slot, signature, 0, _SIGNATURE_BYTES)
    else:
        s.signature_bytes[slot] = 0
    text = s.slots[slot]
    text.published = min(max(0, head.published // _SECOND_MS), _LAST_SECOND)
    text.expires = _seconds(head.event + state.window * _SECOND_MS)
    text.owner, text.sequence, text.told = row, np.uint32(head.sequence), NONE
    if leader == NONE:
        text.partner = NONE
        state.stories += 1
    else:
        text.partner = _LED_BY - leader
        s.slots[leader].partner = slot
    s.heap[state.heap] = slot
    state.heap += 1
    _settle(s, state.heap - 1)
    return slot


@compiled
def lead(s: Store, slot: int) -> int:
    """The slot of the leader of a text's story."""
    partner = s.slots[slot].partner
    led_by: int = _LED_BY - partner if partner < NONE else slot
    return led_by


# --- rows ---


@compiled
def row_of(s: Store, article: U64) -> int:
    """An article's newest row, while it lives, or `NONE`."""
    return _row_of(s, article[0], article[1])


@compiled
def _row_of(s: Store, article: np.uint64, rest: np.uint64) -> int:
    at = home(s.articles, article)
    while s.articles[at]:
        if is_under(s.articles[at], article):
            number = number_of(s.articles[at])
            row = s.rows[number]
            if row.article == article and row.article_rest == rest and _lives(s, number):
                return number
        at = behind(s.articles, at)
    return NONE


@compiled
def _row_with(s: Store, exact: np.uint64) -> int:
    """The newest row with this, while it lives."""
    if exact == _NOTHING:
        return NONE
    at = home(s.exact, exact)
    while s.exact[at]:
        if is_under(s.exact[at], exact):
            number = number_of(s.exact[at])
            if s.rows[number].exact == exact and _lives(s, number):
                return number
        at = behind(s.exact, at)
    return NONE


@compiled
def slot_of(s: Store, number: int) -> int:
    """Where the article's text stands, if it still lives there."""
    row = s.rows[number]
    if row.slot == NONE or s.slots[row.slot].expires == 0:
        return NONE
    owner = s.rows[s.slots[row.slot].owner]
    same = owner.article == row.article and owner.article_rest == row.article_rest
    return row.slot if same else NONE


@compiled
def leader_of(s: Store, story: U64) -> int:
    """The slot of a living story's leader, or `NONE`."""
    return _leader_of(s, story[0], story[1])


@compiled
def _leader_of(s: Store, story: np.uint64, rest: np.uint64) -> int:
    row = _row_of(s, story, rest)
    slot = slot_of(s, row) if row != NONE else NONE
    return slot if slot != NONE and s.slots[slot].partner >= NONE else NONE


@compiled
def chained(s: Store, newest: int, found: I32) -> int:
    """Fills `found` with the newest of an article's rows and those behind it, so many that the last
    `REVISIONS` contents and the last `REVISIONS` repetitions are among them. Returns their number.
    """
    found[0] = newest
    count = 1
    for repeated in range(2):
        number = newest
        for _ in range(REVISIONS + 1):
            last, row = number, s.rows[number]
            number = row.repeated if repeated else row.older
            # A row that was freed may be another decision's by now.
            if number == NONE or not _lives(s, number):
                break
            before = s.rows[number]
            if before.article != row.article or before.article_rest != row.article_rest:
                break
            if _row_age(s, number) <= _row_age(s, last):
                break
            found[count] = number
            count += 1
    return count


@compiled
def _row_age(s: Store, row: int) -> np.uint32:
    return np.uint32(np.uint32(s.state[0].last_sequence) - s.rows[row].sequence)


@compiled
def _append_row(s: Store, seen: np.uint32, before: int) -> int:
    """A row of the decision in the entry, without slot and links."""
    state, head = s.state[0], s.head[0]
    number: int = state.free_row
    if number == NONE:
        number = state.rows
        state.rows += 1
    else:
        state.free_row = s.rows[number].next
    _copy(s.row_bytes, number, s.head_bytes[0], 0, DECISION_BYTES)
    row = s.rows[number]
    row.seen, row.sequence = seen, np.uint32(head.sequence)
    row.older, row.repeated = NONE, NONE
    row.slot, row.links, row.next = NONE, NONE, NONE
    if before != NONE:
        row.older, row.repeated = s.rows[before].older, s.rows[before].repeated
        if _is_repetition(s.rows[before].verdict_rule):
            row.repeated = before
        else:
            row.older = before
    if state.newest_row == NONE:
        state.oldest_row = number
    else:
        s.rows[state.newest_row].next = number
    state.newest_row = number
    return number


@compiled
def _is_repetition(verdict_rule: np.uint8) -> bool:
    rule = verdict_rule & _BITS
    return bool(rule == _SAME_CONTENT) or bool(rule == _REMOVED)


@compiled
def _keep_links(s: Store, row: int, packed: U8) -> None:
    state, last = s.state[0], NONE
    for at in range(0, len(packed), LINK_BYTES):
        link = state.free_link
        if link == NONE:
            link = state.links
            state.links += 1
        else:
            state.free_link = s.links[link].next
        _copy(s.link_bytes, link, packed, at, LINK_BYTES)
        s.links[link].next = NONE
        if last == NONE:
            s.rows[row].links = link
        else:
            s.links[last].next = link
        last = link


@compiled
def _enter(s: Store, table: U64, key: np.uint64, of_exact: int, old: int, row: int) -> int:
    """Lets the table of articles, or that `of_exact`, lead to this row instead of to the `old` one.
    Returns how many entries more it has.

    Without an old one it takes the place of a row that the key led to before it expired: left there
    it might be the key's again, and stand beside a newer one.
    """
    at, instead = home(table, key), NONE
    while table[at]:
        if is_under(table[at], key):
            number = number_of(table[at])
            if number == old:
                instead = at
                break
            if old == NONE and instead == NONE:
                other = s.rows[number].exact if of_exact else s.rows[number].article
                if number == row or not is_under(table[at], other) or not _lives(s, number):
                    instead = at
        at = behind(table, at)
    if instead != NONE:
        at = instead
    table[at] = packed_entry(key, row)
    return 1 if instead == NONE else 0


@compiled
def _post(s: Store, slot: int, key: np.uint64) -> None:
    """Enters a text under a key, in the place of one that has ended; or of the oldest one, where
    there are `HOT_KEY` already.
    """
    at, instead, oldest, living = home(s.keys, key), NONE, NONE, 0
    while s.keys[at]:
        if is_under(s.keys[at], key):
            number = number_of(s.keys[at])
            if s.slots[number].expires == 0:
                instead = at
                break
            living += 1
            if oldest == NONE or _age(s, number) > _age(s, number_of(s.keys[oldest])):
                oldest = at
        at = behind(s.keys, at)
    if instead == NONE and living >= HOT_KEY:
        instead = oldest
    if instead == NONE:
        s.state[0].keys += 1
    else:
        at = instead
    s.keys[at] = packed_entry(key, slot)


# --- what an entry changes ---


@compiled
def _has_room(s: Store) -> bool:
    state = s.state[0]
    return (
        (state.free_row != NONE or state.rows < len(s.rows))
        and (state.free_slot != NONE or state.slots < len(s.slots))
        and state.told + TELLINGS < len(s.told)
        and state.links + LINK_ROOM <= len(s.links)
        and _fits(s.keys, state.keys, KEYS)
        and _fits(s.articles, state.articles, 1)
        and _fits(s.exact, state.exact, 1)
    )


@compiled
def take_in(s: Store, entries: U8, ends: NDArray[np.int64], start: int) -> int:
    """Takes in packed entries, from that number on; `ends` says where each one ends.

    Returns the number of the first one that was not taken in: all, or there is no room for it, or
    it is none.
    """
    state, head = s.state[0], s.head[0]
    for number in range(start, len(ends)):
        entry = entries[ends[number - 1] if number else 0 : ends[number]]
        if not is_entry(s, entry):
            return number
        if head.sequence <= state.last_sequence:
            continue
        expire(s, head.ingested)
        if not _has_room(s):
            return number
        state.last_sequence = head.sequence
        _take_in(s, entry)
    return len(ends)


@compiled
def is_entry(s: Store, entry: U8) -> bool:
    """Whether this can be an entry; fills `head` from it."""
    head = s.head[0]
    if len(entry) < HEAD_BYTES:
        return False
    _copy(s.head_bytes, 0, entry, 0, HEAD_BYTES)
    place, matched = head.place_matched >> KIND_BITS, head.place_matched & _BITS
    if head.verdict_rule >> KIND_BITS >= len(VERDICTS) or place > TOLD or matched > OTHER:
        return False
    if head.verdict_rule & _BITS >= len(RULES) or head.signed > 1:
        return False
    if head.keys > KEYS or head.told > TELLINGS:
        return False
    links = len(entry) - head.links * LINK_BYTES
    before = _SIGNATURE_BYTES * head.signed + 8 * head.keys + FILTER_BYTES * head.told
    if links != HEAD_BYTES + before:
        return False
    known = True
    for at in range(links, len(entry), LINK_BYTES):
        known &= bool(entry[at + _RELATION_AT] <= MATCHED)
    return known


@compiled
def _take_in(s: Store, entry: U8) -> None:
    state, head = s.state[0], s.head[0]
    place, repeated = head.place_matched >> KIND_BITS, _is_repetition(head.verdict_rule)
    signature = entry[HEAD_BYTES : HEAD_BYTES + _SIGNATURE_BYTES * head.signed]
    at_keys = HEAD_BYTES + len(signature)
    at_told = at_keys + 8 * head.keys
    before = _row_of(s, head.article, head.article_rest)
    slot = slot_of(s, before) if before != NONE else NONE
    row = _append_row(s, _seconds(max(state.clock, head.event)), before)
    _keep_links(s, row, entry[len(entry) - head.links * LINK_BYTES :])
    placed = NONE
    if not repeated:
        if slot != NONE:
            _end(s, slot)
        slot = NONE
        if place in (LEADER, LONGER):
            slot = placed = _place(s, row, place, signature)
            for at in range(head.told):
                start = at_told + at * FILTER_BYTES
                _hear(s, slot, entry[start : start + FILTER_BYTES])
    s.rows[row].slot = slot
    exact = head.exact
    if repeated and _leader_of(s, head.story, head.story_rest) == NONE:
        exact = _NOTHING  # a repetition of what has ended must not hide a living copy
    with_exact = _row_with(s, exact)
    state.articles += _enter(s, s.articles, head.article, 0, before, row)
    if exact != _NOTHING:
        state.exact += _enter(s, s.exact, exact, 1, with_exact, row)
    if placed != NONE:
        for at in range(at_keys, at_told, 8):
            key = _NOTHING
            for byte in range(7, -1, -1):
                key = key << _BYTE | np.uint64(entry[at + byte])
            _post(s, placed, key)
        while state.stories > state.max_stories:
            stories = state.stories
            _end(s, signed(s.heap[0]))
            state.pushed_out += stories - state.stories
    if place == TOLD or (place == LONGER and head.verdict_rule >> KIND_BITS != _DUPLICATE):
        leader = _leader_of(s, head.story, head.story_rest)
        if leader != NONE and len(signature):
            _hear(s, leader, signature[:FILTER_BYTES])


# --- what is asked ---


@allocating
def ask(
    s: Store,
    now: int,
    article: U64,
    exact: U64,
    keys: U64,
    text: U64,
    distinct: U64,
    title: U64,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All that a decision on an article asks for first; forgets what is a window older than `now`.

    The article's newest row; the row of another one in a living story that shares `exact` (each may
    be `NONE`); and where there is no such other the slots of living texts that share one of the
    keys, oldest first, with what `hold_against` says of them.
    """
    expire(s, now)
    newest = _row_of(s, article[0], article[1])
    same = _same_content(s, exact[0], article[0], article[1]) if len(exact) else NONE
    found = np.empty(len(keys) * HOT_KEY, np.uint64)
    count = _posted(s, keys, found) if same == NONE else 0
    numbers = np.empty(2 + count, np.int64)
    numbers[0], numbers[1] = newest, same
    for at in range(count):
        numbers[2 + at] = signed(found[at] & _LOW_32)
    return numbers, hold_against(s.signatures, numbers[2:], text, distinct, title)


@compiled
def _posted(s: Store, keys: U64, found: U64) -> int:
    """Fills `found` with the slots under all keys in the order of their age, the oldest first;
    above each its age. Returns how many there are.
    """
    count = 0
    for key in keys:
        at = home(s.keys, key)
        while s.keys[at]:
            if is_under(s.keys[at], key):
                slot = number_of(s.keys[at])
                if s.slots[slot].expires and count < len(found):
                    young = np.uint64(~_age(s, slot)) << _HALF | np.uint64(slot)
                    count = _put_in_order(found, count, young)
            at = behind(s.keys, at)
    return count


@compiled
def _put_in_order(numbers: U64, count: int, number: np.uint64) -> int:
    """Puts a number among the first `count`, which rise, unless it is there; returns how many."""
    at = count
    while at and numbers[at - 1] > number:
        at -= 1
    if at and numbers[at - 1] == number:
        return count
    for behind_it in range(count, at, -1):
        numbers[behind_it] = numbers[behind_it - 1]
    numbers[at] = number
    return count + 1


@compiled
def _same_content(s: Store, exact: np.uint64, article: np.uint64, rest: np.uint64) -> int:
    """The row of another article in a living story that shares `exact`, or `NONE`.

    The story's leader's if it is one of them, else that of the article that came last.
    """
    number = _row_with(s, exact)
    if number == NONE:
        return NONE
    row = s.rows[number]
    if _leader_of(s, row.story, row.story_rest) == NONE:
        return NONE
    if row.story != article or row.story_rest != rest:
        leader = _row_of(s, row.story, row.story_rest)
        if leader != NONE and s.rows[leader].exact == exact:
            return leader
    return NONE if row.article == article and row.article_rest == rest else number


@allocating
def told(s: Store, slot: int) -> U8:
    """What readers have seen in a text's story: filters of words, the leader's first."""
    leader = lead(s, slot)
    count, at = 1, s.slots[leader].told
    while at != NONE:
        count, at = count + 1, s.told_next[at]
    found = np.empty((count, FILTER_BYTES), np.uint8)
    found[0] = s.signature_bytes[leader, :FILTER_BYTES]
    at = s.slots[leader].told
    for number in range(1, count):
        found[number] = s.told[at]
        at = s.told_next[at]
    return found
