from __future__ import annotations

import random
import struct
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.records import Article, Decision, Fingerprint, Origin, Related, Removal
from pipelines.stages.entry import LEADER, RELATIONS, RULES, VERDICTS, pack_entry, short_topic
from pipelines.stages.index import Index
from pipelines.stages.store import HOT_KEY, NONE
from tests.stages.test_decide import (
    CUES,
    DAY,
    HOUR,
    LONGER,
    NOON,
    POOL,
    STRONG,
    TITLES,
    Writer,
    article,
    article_id,
    edited,
    random_steps,
    restored,
    stream,
    text,
)

COUNT = 340
OPTIONS = [{}, {"max_stories": 40}, {"window_ms": DAY}, {"max_stories": 90, "window_ms": 3 * DAY}]
# One of many texts and one of fewer; of the first the low 36 bits are 0.
HOT = np.array([1 << 40, 7], dtype=np.uint64)


@cache
def drawn(body: int, title: int, cue: int) -> Article:
    """Bodies from 0 on are texts of their own, those below are of the pool that has much in common.
    Most texts have one of two boilerplate phrases.
    """
    one = article(
        "drawn",
        text(24, 100 + body) if body >= 0 else POOL[body],
        title=TITLES[title],
        cues=CUES[cue],
    )
    keys = np.frombuffer(one.fingerprint.keys, dtype="<u8")
    if len(keys) and body % 5:
        keys = np.unique(np.append(keys[:-1], HOT[int(body % 3 == 0)]))
    return replace(one, fingerprint=replace(one.fingerprint, keys=keys.tobytes()))


def crowded_stream(seed: int, count: int, hours: float = 0.5) -> list[tuple[int, Article]]:
    """Articles with their offsets: hundreds of texts under hot keys, copies, revisions,
    repetitions, links, redelivered messages, removals, and many that expire in the same second.
    """
    rng, removing = random.Random(seed), random.Random(-seed - 1)
    now, found = NOON, []
    for offset in range(count):
        now += rng.choice([0, 0, 1, 2]) * int(hours * HOUR)
        body = rng.randrange(-len(POOL), 0) if rng.random() < 0.3 else rng.randrange(900)
        one = replace(
            drawn(body, rng.randrange(3) if body < 0 else 0, rng.randrange(7) if body < 0 else 0),
            article_id=article_id(str(rng.randrange(count))),
            ingested_at=now,
        )
        published = now - rng.choice([0, 0, 0, 0, 1, 1, 30, 100, -2]) * HOUR
        one = replace(one, published=replace(one.published, utc=published))
        if removing.random() < 0.01:
            one = Article(one.article_id, ingested_at=now, removal=Removal("asked for"))
        found += [(offset, one)] * rng.choice([1, 1, 1, 1, 2])
    return found


def candidates(index: Index, keys: bytes) -> list[int]:
    """The living texts that a stranger with these keys would be held against."""
    return index.ask("ff" * 16, Fingerprint(keys=keys)).slots


def same_content(index: Index, exact: bytes) -> object:
    """What a stranger that shares `exact` would be a copy of."""
    return index.ask("ff" * 16, Fingerprint(exact=exact)).same


def answers(index: Index, articles: list[tuple[int, Article]]) -> object:
    """All that the index says of these articles and of their keys."""
    said: list[object] = []
    keys: set[bytes] = set()
    for one in {one.article_id: one for _, one in articles}.values():
        known = index.known(one.article_id)
        asked = index.ask(one.article_id, one.fingerprint)
        assert asked.known == known
        said.append(
            (
                known and known.rows,
                known and known.slot != NONE and index.owner(known.slot),
                same_content(index, one.fingerprint.exact),
                (asked.same, list(map(index.owner, asked.slots)), asked.likeness),
                [index.owner(slot) for slot in index.texts(one.article_id)],
            )
        )
        keys.update(
            struct.pack("<Q", key) for (key,) in struct.iter_unpack("<Q", one.fingerprint.keys)
        )
    found = {key: candidates(index, key) for key in sorted(keys)}
    for slot in {slot: None for slots in found.values() for slot in slots}:
        said.append((index.owner(slot), index.story(slot), index.published(slot)))
        said.append((index.told(slot).tobytes(), index._store.signatures[slot].tobytes()))
    said += [(key, [index.owner(slot) for slot in slots]) for key, slots in found.items()]
    return said, len(index), index.clock, index.last_sequence, index.pushed_out


# --- a live index and restored ones ---


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_live_and_restored_indexes_answer_alike(seed, options):
    """Restored at once, restored one by one and never stopped: all that can be asked has the same
    answer, then and after as much again, with hot keys, revisions, repetitions, links and expiry.
    """
    articles = crowded_stream(seed, COUNT)
    cut = len(articles) // 2
    live = Writer(**options)
    for offset, one in articles[:cut]:
        live(one, offset=offset)
    one_by_one = Index(**options)
    for entry in live.entries:
        one_by_one.restore(entry)
    others = [Writer(restored(live.entries, **options)), Writer(one_by_one)]
    expected = answers(live.index, articles)
    for other in others:
        assert answers(other.index, articles) == expected
    for offset, one in articles[cut:]:
        decided = live(one, offset=offset)
        for other in others:
            found = other(one, offset=offset)
            assert (found.decision, found.entry) == (decided.decision, decided.entry)
    others.append(Writer(restored(live.entries, **options)))
    expected = answers(live.index, articles)
    for other in others:
        assert answers(other.index, articles) == expected


def test_the_streams_have_what_they_are_to_prove():
    """A hot key that lost its oldest texts, all rules (those of removals among them), links,
    revisions and pushed-out stories.
    """
    decided = []
    for seed in range(2):
        live, hot = Writer(), set()
        for offset, one in crowded_stream(seed, COUNT):
            decided.append(live(one, offset=offset).decision)
            if HOT[0].tobytes() in one.fingerprint.keys and decided[-1].rule == "no-match":
                hot.add(one.article_id)
        assert HOT_KEY - 5 < len(candidates(live.index, HOT[0].tobytes())) <= HOT_KEY
        assert len(hot) > HOT_KEY + 10
    assert {each.rule for each in decided} >= set(RULES) - {"contained", "likeness-late"}
    assert any(each.related for each in decided)
    assert max(each.revision for each in decided) > 2
    live = Writer(max_stories=40)
    for offset, one in crowded_stream(0, COUNT):
        live(one, offset=offset)
    assert live.index.pushed_out > 20


@given(st.integers(0, 1 << 30), st.integers(0, 80), st.sampled_from(OPTIONS))
@settings(max_examples=25)
def test_a_restored_index_answers_alike_at_any_point(seed, cut, options):
    """The same for short random streams in which hours pass, and wherever they are cut."""
    articles = crowded_stream(seed, 60, hours=8)
    options = {**options, **({"max_stories": 6} if "max_stories" in options else {})}
    live = Writer(**options)
    for offset, one in articles[:cut]:
        live(one, offset=offset)
    other = Writer(restored(live.entries, **options))
    assert answers(other.index, articles) == answers(live.index, articles)
    for offset, one in articles[cut:]:
        assert other(one, offset=offset).entry == live(one, offset=offset).entry


def test_repetitions_do_not_keep_a_text_under_a_hot_key():
    """The newest 64 are those whose texts came last, live and restored: an old one that is repeated
    does not count as new.
    """
    texts = [drawn(number, 0, 0) for number in range(200)]
    hot = [each for each in texts if HOT[0].tobytes() in each.fingerprint.keys][: HOT_KEY + 20]
    live = Writer()
    messages = [replace(one, article_id=article_id(f"hot {n}")) for n, one in enumerate(hot)]
    for one in messages[:HOT_KEY]:
        live(one)
    for one in messages[:10]:
        assert live(one).decision.rule == "same-content"
    for one in messages[HOT_KEY:]:
        live(one)
    expected = [one.article_id for one in messages[-HOT_KEY:]]
    for index in (live.index, restored(live.entries)):
        found = candidates(index, HOT[0].tobytes())
        assert [index.owner(slot) for slot in found] == expected


@pytest.mark.parametrize("restart", [False, True])
def test_of_stories_that_expire_in_one_second_the_oldest_is_pushed_out(restart):
    """In the order of the decisions, wherever the texts lie; a restart changes nothing in that."""
    write = Writer(max_stories=20)
    for number in range(50):
        write(article(f"a{number}", f"خبر قصير {number}"))
    if restart:
        write.index = restored(write.entries, max_stories=20)
    for number in range(50, 75):
        write(article(f"a{number}", f"خبر قصير {number}"))
    living = [n for n in range(75) if write.index.leader(article_id(f"a{n}")) != NONE]
    assert living == list(range(55, 75))
    assert write.index.pushed_out == 55


def test_what_has_left_the_log_is_not_missed():
    """The log keeps a window and two days: what is older changes no answer any more."""
    steps = [
        (number // 3 + step[0], *step[1:])
        for number, step in enumerate(random_steps(6, 300, 3, (0, 1, 9)))
    ]
    live = Writer()
    articles = stream(steps)
    decided = [live(one, offset=offset) for offset, one in articles]
    for cut in range(len(articles) // 2, len(articles), 30):
        now = articles[cut][1].ingested_at
        kept = [
            entry
            for entry, (_, one) in zip(live.entries[:cut], articles, strict=False)
            if one.ingested_at > now - 9 * DAY
        ]
        assert len(kept) < cut
        again = Writer(restored(kept))
        for (offset, one), expected in zip(articles[cut:], decided[cut:], strict=True):
            found = again(one, offset=offset)
            assert (found.decision, found.entry) == (expected.decision, expected.entry)


def test_what_was_told_survives_the_log():
    """A story that its leader's revisions keep alive for weeks knows what it told before the log
    begins, restored as live.
    """
    news = text(16, seed=2)
    live = Writer()
    live(article("a", text()))
    live(article("b", f"{text()} {news}"))
    for day in (5, 10):
        live(article("a", edited(text(), STRONG, seed=day), at=NOON + day * DAY))
    again = Writer(restored(live.entries[2:]))
    last = article("c", f"{text()} {news}", at=NOON + 11 * DAY)
    assert again(last, offset=9).decision == live(last, offset=9).decision


def test_two_restored_halves_are_one_whole():
    """Restoring goes on where it stopped: a standby catches up again and again."""
    articles = crowded_stream(4, 200)
    live = Writer()
    for offset, one in articles:
        live(one, offset=offset)
    index = Index()
    for start in range(0, len(live.entries), 60):
        index.restore(*live.entries[start : start + 60])
    assert answers(index, articles) == answers(live.index, articles)


def test_restoring_nothing():
    """An empty log makes an empty index that decides."""
    index = restored([])
    assert (len(index), index.last_sequence) == (0, 0)
    assert Writer(index)(article("a", text())).decision.verdict == "new"


# --- what is used again ---


def test_memory_does_not_grow_over_many_windows():
    """Rows and slots of what has expired are used again: after 8 windows no more is held than
    after two, and what lives is found, what has expired is not.
    """
    write = Writer(window_ms=DAY)
    bodies = [article("drawn", text(24, seed)) for seed in range(400)]
    held = []
    for number in range(8 * 400):
        at = NOON + number * (DAY // 400)
        body = bodies[number % 400]
        one = replace(
            body,
            article_id=article_id(str(number)),
            ingested_at=at,
            published=replace(body.published, utc=at),
        )
        decided = write(one).decision
        assert decided.verdict == "new", "its copy is a window old"
        if number % 400 == 399:
            held.append(write.index.memory_bytes())
            assert len(write.index) == 400
    assert max(held[2:]) <= held[1] * 1.1
    for number in (2800, 3000, 3199):
        found = candidates(write.index, bodies[number % 400].fingerprint.keys)
        assert [write.index.owner(slot) for slot in found] == [article_id(str(number))]
        assert write.index.known(article_id(str(number))) is not None
    assert write.index.known(article_id("2700")) is None


def test_memory_does_not_grow_with_restarts():
    """A restored index holds about what the live one holds."""
    articles = crowded_stream(5, COUNT)
    live = Writer()
    for offset, one in articles:
        live(one, offset=offset)
    index = restored(live.entries)
    assert index.memory_bytes() <= 1.3 * live.index.memory_bytes()


def test_an_article_that_gets_its_old_row_again_is_known_by_its_newest():
    """An article comes again after the window, its row is used again for it, and the tables are
    rebuilt: its latest decision counts, not that in the old row.
    """
    write = Writer(window_ms=DAY)
    write(article("a", "نص قصير قديم"))
    at = NOON + DAY + 2 * HOUR
    for number in range(3):
        write(article("a", f"نص قصير {number}", at=at))
    for number in range(1000):
        write(article(f"other {number}", f"خبر قصير {number}", at=at))
    known = write.index.known(article_id("a"))
    assert known is not None
    assert [row.decision.revision for row in known.rows] == [1, 2, 3]
    assert write(article("a", "نص قصير 2", at=at)).decision.rule == "same-content"


def test_a_leader_takes_its_longer_text_along():
    """A story ends as a whole: nothing of it is left that a copy could match."""
    write = Writer()
    write(article("a", text(), published=NOON - DAY))
    write(article("b", LONGER))
    keys = article("b", LONGER).fingerprint.keys
    assert len(candidates(write.index, keys)) == 2
    write(article("c", text(seed=9), at=NOON + 6 * DAY))
    assert candidates(write.index, keys) == write.index.texts(article_id("a")) == []
    assert len(write.index) == 1


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(-5, 300)), min_size=1, max_size=30),
    st.integers(0, 300),
)
@settings(max_examples=60)
def test_expiry_never_takes_what_is_younger_than_the_window(steps, more):
    """Text, story, article and its decision are there exactly until a window after their time, to
    the second, and then gone.
    """
    write = Writer()
    now, times = NOON, []
    for number, (hours, age) in enumerate(steps):
        now += hours * HOUR + 1
        one = article(str(number), text(20, seed=number), at=now, published=now - age * HOUR)
        times.append((one, write(one).decision.event_time, now))
    now += more * HOUR
    write.index.ask("ff" * 16, Fingerprint(), now)
    living = 0
    for one, event, seen in times:
        story = event + 7 * DAY
        known = max(event, seen) + 7 * DAY
        slot = write.index.leader(one.article_id)
        if now < story:
            assert [write.index.owner(each) for each in write.index.texts(one.article_id)] == [
                one.article_id
            ]
            assert slot in candidates(write.index, one.fingerprint.keys)
            assert same_content(write.index, one.fingerprint.exact) is not None
        if now >= story + 1000:
            assert slot == NONE
            assert candidates(write.index, one.fingerprint.keys) == []
            assert same_content(write.index, one.fingerprint.exact) is None
        if now < known:
            assert write.index.known(one.article_id) is not None
        if now >= known + 1000:
            assert write.index.known(one.article_id) is None
        living += slot != NONE
    assert len(write.index) == living


# --- entries ---


def entry(**changes: object) -> bytes:
    values = {
        "article_id": "a" * 32,
        "content_hash": "c" * 32,
        "origin": Origin("news.raw", 3, 12, NOON),
        "ingested_at": NOON,
        "published_at": NOON - HOUR,
        "decision": Decision(
            verdict="new",
            story_id="a" * 32,
            sequence=5,
            rule="no-match",
            event_time=NOON - HOUR,
            place=LEADER,
            related=(Related("b" * 32, "contains", 0.25, 0.875),),
        ),
        "fingerprint": replace(article("a", text()).fingerprint, exact=b"exactly8"),
    }
    return pack_entry(**{**values, **changes})


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("rule", RULES)
def test_every_decision_comes_back_as_it_was(verdict, rule):
    """Every verdict and rule, with all scores in steps of a ten-thousandth."""
    itself = verdict != "duplicate" and rule == "same-id"
    decision = Decision(
        verdict=verdict,
        story_id="d" * 32,
        revision=3,
        sequence=1 << 33,
        rule=rule,
        matched="a" * 32 if itself else "e" * 32,
        jaccard=0.1234,
        containment=0.9999,
        likeness=0.6231,
        novelty=0.0001,
        news=61.96875,
        supersedes=2 if itself else None,
        related=tuple(Related("b" * 32, each, 0.5, 0.7501) for each in RELATIONS),
        place=3 if verdict != "duplicate" else 0,
    )
    origin = Origin("موضوع", 65_535, 1 << 40, NOON)
    fingerprint = replace(article("a", text()).fingerprint, exact=b"")
    index = restored([entry(decision=decision, origin=origin, fingerprint=fingerprint)])
    known = index.known("a" * 32)
    assert known is not None
    (row,) = known.rows
    assert replace(row.decision, event_time=decision.event_time) == decision
    assert row.topic == short_topic(origin.topic)
    assert (row.partition, row.offset) == (origin.partition, origin.offset)
    assert known.of_message(origin, "c" * 32) == row
    assert known.of_message(origin, "d" * 32) is None
    assert known.of_message(replace(origin, offset=1), "c" * 32) is None


def test_an_entry_that_is_cut_off_or_goes_on_is_refused():
    """Every length but its own raises ValueError, and nothing of it is taken in."""
    good = entry()
    index = Index()
    for wrong in [*(good[:end] for end in range(len(good))), good + b"\0"]:
        with pytest.raises(ValueError, match="not as it was written"):
            index.restore(wrong)
    assert (len(index), index.last_sequence, index.known("a" * 32)) == (0, 0, None)
    index.restore(good)
    assert len(index) == 1


@given(st.binary(max_size=400))
def test_garbage_is_refused(garbage):
    """Bytes that are no entry raise ValueError."""
    with pytest.raises(ValueError, match="not as it was written"):
        Index().restore(garbage)


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_entry_raises_nothing_but_value_error(data):
    """Any byte of an entry may be another one: it is refused, or is an entry."""
    good = bytearray(entry())
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    index = Index()
    try:
        index.restore(bytes(good))
    except ValueError:
        assert (len(index), index.last_sequence) == (0, 0)


def test_a_story_without_a_leader_is_no_error():
    """Updates and longer texts whose leader has left the log are taken in as decisions alone."""
    for place in (2, 3):
        decision = Decision("update", "d" * 32, 1, 5, "news", "d" * 32, place=place)
        index = restored([entry(decision=decision)])
        assert len(index) == 0
        assert candidates(index, article("a", text()).fingerprint.keys) == []
        assert index.known("a" * 32) is not None


def test_a_fingerprint_without_keys_or_signature_leads_a_story():
    """A short text is found by what exact copies share."""
    index = restored([entry(fingerprint=Fingerprint(words=5, exact=b"exactly8"))])
    assert len(index) == 1
    found = same_content(index, b"exactly8")
    assert found is not None
    assert found[:2] == ("a" * 32, "a" * 32)
