from __future__ import annotations

import hashlib
import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.records import Article, Display, Fingerprint, Match, Origin, Passage, Related, Time
from pipelines.stages.decide import STATE_VERSION, Index, decide, index_entry
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import content_hash, normalize

HOUR = 3600 * 1000
DAY = 24 * HOUR
NOON = 1_500_000_000_000


def words(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [
        "".join(rng.choices("ابتثجحخدرسشصعفقكلمنهوي", k=rng.randint(2, 8))) for _ in range(count)
    ]


def text(count: int = 100, seed: int = 1) -> str:
    return " ".join(words(count, seed))


def edited(body: str, changes: int, seed: int = 1) -> str:
    """The same text with evenly spread words replaced: each change costs three of its shingles."""
    old = body.split()
    for at in range(0, len(old), len(old) // changes):
        old[at] = f"{old[at]}{seed}"
    return " ".join(old)


def article(
    name: str,
    body: str,
    at: int = NOON,
    published: int | None = None,
    title: str = "",
) -> Article:
    """An article that reached the broker at `at`; published then, too, unless told otherwise."""
    match = Match(title=title, body=body, content_hash=content_hash(title, "", body))
    return fingerprint(
        Article(
            article_id=article_id(name),
            published=Time(utc=at if published is None else published),
            ingested_at=at,
            match=match,
        )
    )


def article_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class Writer:
    """Decides articles one after the other and keeps what would go to news.index."""

    def __init__(self, **options: int) -> None:
        self.index = Index(**options)
        self.entries: list[dict[str, Any]] = []
        self.offset = 0

    def __call__(self, one: Article, offset: int | None = None) -> Article:
        if offset is None:
            offset = self.offset
            self.offset += 1
        origin = Origin("news.raw", 0, offset, one.ingested_at)
        decided = decide(one, origin, self.index)
        self.entries.append(index_entry(decided, origin, generation=1))
        return decided


def restored(entries: list[dict[str, Any]], **options: int) -> Index:
    index = Index(**options)
    for entry in entries:
        index.restore(entry)
    return index


# --- one article after another ---


def test_the_first_article_opens_a_story():
    """Its story is named after it."""
    found = Writer()(article("a", text())).decision
    assert (found.verdict, found.story_id, found.revision) == ("new", article_id("a"), 1)
    assert (found.sequence, found.matched, found.supersedes) == (1, "", None)


def test_an_unrelated_article_opens_its_own_story():
    """Sharing nothing means two stories, numbered in the order of the decisions."""
    write = Writer()
    write(article("a", text(seed=1)))
    found = write(article("b", text(seed=2))).decision
    assert (found.verdict, found.story_id, found.sequence) == ("new", article_id("b"), 2)
    assert len(write.index) == 2


def test_an_exact_copy_is_a_duplicate():
    """The same match layer from another outlet, even of a text too short to compare."""
    write = Writer()
    write(article("a", "خبر قصير"))
    found = write(article("b", "خبر قصير", at=NOON + DAY)).decision
    assert (found.verdict, found.rule, found.matched) == ("duplicate", "exact", article_id("a"))
    assert (found.story_id, found.jaccard, found.containment) == (article_id("a"), 1.0, 1.0)


def test_spelling_variants_are_exact_copies():
    """What two newsrooms write differently is gone in the match layer."""
    write = Writer()

    def spelled(name: str, body: str) -> Article:
        display = Display(body=Passage(body), language="ar")
        read = normalize(Article(article_id(name), display=display, ingested_at=NOON))
        return fingerprint(read)

    write(spelled("a", "أعلنت «الوزارة» أنّ ١٥ شخصاً على متن الطائرة"))
    found = write(spelled("b", 'اعلنت "الوزاره" ان 15 شخصا علي متن الطائرة')).decision
    assert (found.verdict, found.rule) == ("duplicate", "exact")


def test_a_title_alone_matches_exactly_only():
    """A message without a body is compared by its title, as a short text."""
    write = Writer()
    title = text(30)
    write(article("a", "", title=title))
    assert write(article("b", "", title=title)).decision.rule == "exact"
    assert write(article("c", "", title=f"{title} ايضا")).decision.verdict == "new"


def test_empty_texts_are_not_copies_of_each_other():
    """Two articles whose match layers are empty have nothing in common."""
    write = Writer()
    write(article("a", ""))
    assert write(article("b", "")).decision.verdict == "new"


def test_an_edited_copy_is_a_duplicate():
    """A Jaccard similarity of .27 and more makes one story within 2.5 days."""
    write = Writer()
    write(article("a", text()))
    found = write(article("b", edited(text(), 8), at=NOON + 2 * DAY)).decision
    assert (found.verdict, found.rule, found.matched) == ("duplicate", "jaccard", article_id("a"))
    assert found.jaccard == pytest.approx(74 / 122, abs=0.15)
    assert found.containment == pytest.approx(74 / 98, abs=0.15)


def test_after_two_days_and_a_half_more_likeness_is_asked():
    """Templates come back after days: then .46 is the bound."""
    weak, strong = edited(text(), 16), edited(text(), 6)
    write = Writer()
    write(article("a", text()))
    assert write(article("b", weak, at=NOON + 60 * HOUR)).decision.rule == "jaccard"
    assert write(article("c", strong, at=NOON + 61 * HOUR)).decision.rule == "jaccard-late"
    assert write(article("d", edited(text(), 16, seed=5), at=NOON + 61 * HOUR)).decision.rule == (
        "no-match"
    )


def test_the_gap_is_between_publications():
    """An old text that arrives late is as far away as its publication time says."""
    write = Writer()
    write(article("a", text()))
    old = article("b", edited(text(), 16), at=NOON + HOUR, published=NOON - 4 * DAY)
    assert write(old).decision.verdict == "new"


def test_a_longer_text_that_holds_an_article_is_linked_not_merged():
    """A digest is no copy of what it collects: it is published, and says what it contains."""
    short, more = text(60), text(300, seed=2)
    write = Writer()
    write(article("a", short))
    found = write(article("b", f"{short} {more}")).decision
    assert (found.verdict, found.story_id) == ("new", article_id("b"))
    (link,) = found.related
    assert (link.article_id, link.relation) == (article_id("a"), "contains")
    assert link.containment >= 0.8


def test_an_article_out_of_a_digest_is_linked_not_merged():
    """The other way round it is part of the digest, and published as well."""
    short, more = text(60), text(300, seed=2)
    write = Writer()
    write(article("a", f"{short} {more}"))
    found = write(article("b", short)).decision
    assert found.verdict == "new"
    assert [(each.article_id, each.relation) for each in found.related] == [
        (article_id("a"), "part_of")
    ]


def test_the_best_match_wins_and_the_earliest_of_equals():
    """Of two stories that are alike enough, the more similar one."""
    write = Writer()
    write(article("far", edited(text(), 16, seed=2), at=NOON))
    write(article("near", edited(text(), 20, seed=3), at=NOON + 3 * DAY))
    assert len(write.index) == 2
    middle = article("b", edited(text(), 20, seed=3) + " وكذلك", at=NOON + 3 * DAY)
    assert write(middle).decision.matched == article_id("near")


def test_a_copy_of_a_copy_is_held_against_the_leader():
    """No chains: what is like a copy but not like the leader opens a story."""
    one = words(100)
    two = one[:60] + words(40, seed=2)
    three = words(40, seed=3) + two[40:]
    write = Writer()
    write(article("a", " ".join(one)))
    assert write(article("b", " ".join(two))).decision.story_id == article_id("a")
    assert write(article("c", " ".join(three))).decision.verdict == "new"


def test_a_longer_version_stands_in_for_its_story():
    """One text at least 1.25 times the leader's length is compared as well."""
    one = words(100)
    longer = one + words(60, seed=2)
    tail = words(30, seed=3) + longer[60:]
    write = Writer()
    write(article("a", " ".join(one)))
    assert write(article("b", " ".join(longer))).decision.rule == "jaccard"
    found = write(article("c", " ".join(tail))).decision
    assert (found.verdict, found.story_id, found.matched) == (
        "duplicate",
        article_id("a"),
        article_id("b"),
    )


def test_there_is_one_longer_version_at_most():
    """A second longer text of the story is not compared: stories do not creep."""
    one = words(100)
    write = Writer()
    write(article("a", " ".join(one)))
    write(article("b", " ".join(one + words(60, seed=2))))
    write(article("c", " ".join(one + words(70, seed=3))))
    assert len(write.index.texts(article_id("a"))) == 2
    assert write(article("d", " ".join(words(20, 4) + words(70, 3)))).decision.verdict == "new"


def test_a_hot_key_keeps_its_newest_64_texts():
    """A phrase that everybody prints finds the latest 64 texts that have it, and no older ones."""
    rng = np.random.default_rng(1)
    sketches = [rng.bytes(256) for _ in range(70)]
    keys = np.uint64(7).tobytes()

    def hot(name: str, sketch: bytes) -> Article:
        plain = article(name, name)
        return replace(plain, fingerprint=Fingerprint(keys, sketch, words=30, shingles=28))

    write = Writer()
    for number, sketch in enumerate(sketches):
        write(hot(f"hot {number}", sketch))
    assert len(write.index.candidates(keys)) == 64
    assert write(hot("old", sketches[6])).decision.matched == article_id("hot 6")
    assert write(hot("older", sketches[5])).decision.verdict == "new"


# --- the same article again ---


def test_redelivery_gets_the_stored_decision():
    """The same message again: the same decision, sequence included, and nothing has changed."""
    write = Writer()
    first = write(article("a", text()))
    copy = write(article("b", edited(text(), 6)))
    digest = write(article("c", f"{text()} {text(500, seed=3)}"))
    assert digest.decision.related
    before = (write.index.last_sequence, len(write.index), write.index.clock)
    for offset, decided in enumerate((first, copy, digest)):
        bare = replace(decided, decision=Article("").decision)
        assert write(bare, offset=offset).decision == decided.decision
    assert (write.index.last_sequence, len(write.index), write.index.clock) == before


def test_the_same_content_again_is_a_duplicate_of_itself():
    """A new message of a known article with a content that it had: rule same-content."""
    write = Writer()
    write(article("a", text()))
    found = write(article("a", text(), at=NOON + HOUR)).decision
    assert (found.verdict, found.rule, found.matched) == (
        "duplicate",
        "same-content",
        article_id("a"),
    )
    assert (found.revision, found.sequence, found.story_id) == (1, 2, article_id("a"))


def test_a_changed_text_is_a_revision():
    """It stays in its story, counts on and says which revision it replaces."""
    write = Writer()
    write(article("a", text()))
    for number in (2, 3):
        found = write(article("a", edited(text(), 4, seed=number), at=NOON + HOUR)).decision
        assert (found.verdict, found.rule, found.story_id) == (
            "revision",
            "same-id",
            article_id("a"),
        )
        assert (found.revision, found.supersedes) == (number, number - 1)
    assert len(write.index) == 1


def test_an_earlier_revision_again_is_known():
    """Going back to the first text is no third one, as long as it is among the last 8."""
    write = Writer()
    for number in range(9):
        write(article("a", text(seed=number)))
    back = write(article("a", text(seed=1))).decision
    assert (back.rule, back.revision) == ("same-content", 2)
    assert write(article("a", text(seed=0))).decision.verdict == "revision"


def test_copies_are_held_against_the_newest_revision():
    """The revised leader's text takes the place of the earlier one."""
    write = Writer()
    write(article("a", text(seed=1)))
    write(article("a", text(seed=2)))
    found = write(article("b", edited(text(seed=2), 6))).decision
    assert (found.verdict, found.story_id) == ("duplicate", article_id("a"))
    assert write(article("c", edited(text(seed=1), 6))).decision.verdict == "new"


def test_a_copy_that_changes_little_stays_a_copy():
    """What was held back and still matches its leader is held back, as its next revision."""
    write = Writer()
    write(article("a", text()))
    write(article("b", edited(text(), 4, seed=2)))
    found = write(article("b", edited(text(), 4, seed=3))).decision
    assert (found.verdict, found.rule, found.revision) == ("duplicate", "jaccard", 2)
    assert found.matched == article_id("a")


def test_a_copy_that_becomes_its_own_text_is_published():
    """What was held back and no longer matches opens a story; nothing that was read is replaced."""
    write = Writer()
    write(article("a", text(seed=1)))
    write(article("b", edited(text(seed=1), 4)))
    found = write(article("b", text(seed=2))).decision
    assert (found.verdict, found.story_id, found.revision) == ("new", article_id("b"), 2)
    assert found.supersedes is None
    again = write(article("b", edited(text(seed=2), 4))).decision
    assert (again.verdict, again.revision, again.supersedes) == ("revision", 3, 2)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6 * 24)), max_size=20))
@settings(max_examples=30, deadline=None)
def test_repetition_is_known_whatever_lies_between(between):
    """An article that comes twice within the window is never published twice."""
    write = Writer()
    write(article("a", text(seed=99)))
    for number, (seed, hours) in enumerate(between):
        write(article(f"other {number}", text(40, seed=seed), at=NOON + hours * HOUR))
    at = max([NOON, *(NOON + hours * HOUR for _, hours in between)])
    assert write(article("a", text(seed=99), at=at)).decision.rule == "same-content"


# --- time ---


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (NOON - 7 * DAY, NOON - 7 * DAY),
        (NOON - 7 * DAY - 1, NOON),
        (NOON + HOUR, NOON + HOUR),
        (NOON + HOUR + 1, NOON),
    ],
)
def test_event_time_is_bounded_by_the_brokers(published, expected):
    """A publication time counts from a window before the broker's time to an hour after it."""
    decided = Writer()(article("a", text(), at=NOON, published=published))
    assert decided.decision.event_time == expected


def test_event_time_without_a_publication_time_is_the_brokers():
    """Nothing is guessed."""
    bare = replace(article("a", text()), published=Time())
    assert Writer()(bare).decision.event_time == NOON


@pytest.mark.parametrize(("later", "verdict"), [(7 * DAY - 1, "duplicate"), (7 * DAY, "new")])
def test_a_leader_expires_one_window_after_its_own_event_time(later, verdict):
    """To the millisecond, for exact copies as for edited ones; then a copy opens a new story."""
    for copy in (text(), edited(text(), 2)):
        write = Writer()
        write(article("a", text()))
        assert write(article("b", copy, at=NOON + later)).decision.verdict == verdict


def test_copies_do_not_prolong_a_story():
    """A copy on the sixth day does not keep its leader beyond the seventh."""
    write = Writer()
    write(article("a", text()))
    write(article("b", text(), at=NOON + 6 * DAY))
    found = write(article("c", text(), at=NOON + 8 * DAY)).decision
    assert (found.verdict, found.story_id) == ("new", article_id("c"))


def test_a_wrong_clock_does_not_empty_the_window():
    """Times that a source claims, far ahead or long ago, make nothing expire."""
    write = Writer()
    write(article("a", text()))
    write(article("b", text(seed=2), published=NOON + 4000 * DAY))
    write(article("c", text(seed=3), published=0))
    write(article("d", text(seed=4), at=NOON - 30 * DAY))
    assert write(article("e", text(), at=NOON + DAY)).decision.matched == article_id("a")


def test_an_article_that_keeps_coming_is_not_published_again():
    """A feed that lists an old article for weeks repeats it; its story has long ended."""
    write = Writer()
    for day in range(20):
        found = write(article("a", text(), at=NOON + day * DAY, published=NOON)).decision
        assert found.rule == ("same-content" if day else "no-match")
    assert len(write.index) == 0


def test_a_revision_after_the_storys_end_opens_it_again():
    """The article is still known when its story has ended: revision 2, not a second revision 1."""
    write = Writer()
    write(article("a", text(), published=NOON - 5 * DAY))
    found = write(article("a", text(seed=2), at=NOON + 3 * DAY)).decision
    assert (found.verdict, found.revision, found.story_id) == ("revision", 2, article_id("a"))
    assert len(write.index) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=40))
@settings(max_examples=50, deadline=None)
def test_expiry_takes_what_is_old_and_nothing_younger(steps):
    """Against a plain list: a copy is new exactly when its story is a window old."""
    write = Writer()
    now, leaders = NOON, {}
    for number, (seed, hours) in enumerate(steps):
        now += hours * HOUR
        found = write(article(str(number), text(30, seed=seed), at=now)).decision
        alive = seed in leaders and leaders[seed] + 7 * DAY > now
        assert found.verdict == ("duplicate" if alive else "new")
        if not alive:
            leaders[seed] = now
    assert len(write.index) == sum(start + 7 * DAY > now for start in leaders.values())


def test_beyond_the_limit_the_story_that_would_expire_first_goes():
    """`max_stories` bounds the memory, at the cost of the oldest stories."""
    write = Writer(max_stories=3)
    for number in range(5):
        write(article(f"a{number}", text(seed=number), at=NOON + number))
    assert len(write.index) == 3
    verdicts = [
        write(article(f"b{number}", text(seed=number), at=NOON + 9)).decision.verdict
        for number in (4, 2, 1)
    ]
    assert verdicts == ["duplicate", "duplicate", "new"]


def test_slots_are_used_again_and_lead_to_the_right_texts():
    """Weeks of stories in the space of one week's, and every living one is still found."""
    rng = np.random.default_rng(1)
    write = Writer(window_ms=DAY)
    prints = {}
    for number in range(3600):
        keys = np.sort(rng.integers(0, 1 << 62, 12, dtype=np.uint64)).tobytes()
        prints[number] = Fingerprint(keys, rng.bytes(256), words=100, shingles=98)
        at = NOON + number * (DAY // 1200)
        write(replace(article(str(number), str(number), at=at), fingerprint=prints[number]))
    assert len(write.index) == 1200
    for number in (2400, 3000, 3599):
        slots = write.index.candidates(prints[number].keys)
        assert [write.index.owner(slot) for slot in slots] == [article_id(str(number))]
    for number in (0, 2000, 2399):
        assert write.index.candidates(prints[number].keys) == []
    assert write.index.memory_bytes() < 2400 * 1024


# --- restart ---

# Texts that match in every way: copies, edited ones, longer ones, digests, short ones.
POOL = [
    *(text(60, seed) for seed in range(3)),
    *(edited(text(60, seed), 3) for seed in range(3)),
    *(edited(text(60, seed), 9) for seed in range(2)),
    f"{text(60, 0)} {text(30, 7)}",
    f"{text(30, 7)} {text(40, 8)}",
    f"{text(60, 1)} {text(240, 9)}",
    "خبر قصير",
    "",
]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 9),  # article
        st.integers(0, len(POOL) - 1),
        st.sampled_from([0, 1, 5, 20, 70]),  # hours on
        st.sampled_from([0, 0, 0, 2, 30, 100, -1, -9]),  # hours since it was published
        st.booleans(),  # delivered twice
    ),
    max_size=40,
)


def stream(steps: list[tuple[int, int, int, int, bool]]) -> list[tuple[int, Article]]:
    """Articles with their offsets."""
    now, found = NOON, []
    for offset, (name, body, hours, age, twice) in enumerate(steps):
        now += hours * HOUR
        one = article(str(name), POOL[body], at=now, published=now - age * HOUR)
        found += [(offset, one)] * (2 if twice else 1)
    return found


@given(STEPS, st.integers(0, 80), st.sampled_from([{}, {"max_stories": 3}, {"window_ms": 2 * DAY}]))
@settings(max_examples=80, deadline=None)
def test_a_restart_changes_no_decision(steps, cut, options):
    """An index restored from its entries decides all that follows as the live one does."""
    live = Writer(**options)
    again = None
    for number, (offset, one) in enumerate(stream(steps)):
        if number == cut:
            again = Writer(**options)
            again.index = restored(live.entries, **options)
            assert again.index.last_sequence == live.index.last_sequence
        expected = live(one, offset=offset).decision
        if again is not None:
            assert again(one, offset=offset).decision == expected
            assert len(again.index) == len(live.index)


def test_a_restart_at_every_point_of_a_long_stream():
    """The same at each of many cuts of one long stream with expiry, and by sequence numbers
    without a gap.
    """
    rng = random.Random(5)
    steps = [
        (rng.randint(0, 60), rng.randrange(len(POOL)), rng.choice([0, 1, 5]), 0, rng.random() < 0.1)
        for _ in range(300)
    ]
    live = Writer()
    articles = stream(steps)
    decided = [live(one, offset=offset).decision for offset, one in articles]
    assert {each.rule for each in decided} >= {"no-match", "exact", "jaccard", "same-content"}
    assert {each.verdict for each in decided} == {"new", "duplicate", "revision"}
    assert sorted({each.sequence for each in decided}) == list(range(1, len(steps) + 1))
    for cut in range(0, len(articles), 30):
        again = Writer()
        again.index = restored(live.entries[:cut])
        for (offset, one), expected in zip(articles[cut : cut + 40], decided[cut:], strict=False):
            assert again(one, offset=offset).decision == expected


def test_what_has_left_the_log_is_not_missed():
    """The log keeps a window and two days: what is older changes no decision any more."""
    rng = random.Random(6)
    steps = [
        (number // 3 + rng.randint(0, 3), rng.randrange(len(POOL)), rng.choice([0, 1, 9]), 0, False)
        for number in range(300)
    ]
    live = Writer()
    articles = stream(steps)
    decided = [live(one, offset=offset).decision for offset, one in articles]
    for cut in range(150, 300, 30):
        now = articles[cut][1].ingested_at
        kept = [each for each in live.entries[:cut] if each["ingested_at"] > now - 9 * DAY]
        assert len(kept) < cut
        again = Writer()
        again.index = restored(kept)
        for (offset, one), expected in zip(articles[cut:], decided[cut:], strict=True):
            assert again(one, offset=offset).decision == expected


def test_entries_survive_their_schema():
    """What is written to news.index, strictly, is what comes back from it."""
    path = Path(__file__).parents[2] / "schemas" / "news.index.avsc"
    schema = fastavro.parse_schema(json.loads(path.read_text(encoding="utf-8")))
    write = Writer()
    write(article("a", text()))
    write(article("b", edited(text(), 5)))
    write(article("c", f"{text()} {text(500, seed=2)}"))
    write(replace(article("d", "قصير"), published=Time()))
    for entry in write.entries:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, schema, entry, strict=True)
        buffer.seek(0)
        assert fastavro.schemaless_reader(buffer, schema, None) == entry


def test_an_entry_that_is_already_known_changes_nothing():
    """Redelivery writes an entry again; restoring it twice is restoring it once."""
    write = Writer()
    write(article("a", text()))
    write(article("a", text()), offset=0)
    index = restored(write.entries)
    assert (len(write.entries), index.last_sequence, len(index)) == (2, 1, 1)


def test_an_entry_of_another_version_is_refused():
    """Hashes of two versions are never compared."""
    write = Writer()
    write(article("a", text()))
    with pytest.raises(ValueError, match="version 'older'"):
        Index().restore({**write.entries[0], "state_version": "older"})
    assert write.entries[0]["state_version"] == STATE_VERSION


def test_related_articles_are_part_of_the_stored_decision():
    """They come back after a restart, with their scores."""
    write = Writer()
    write(article("a", text(60)))
    one = article("b", f"{text(60)} {text(300, seed=2)}")
    expected = write(one).decision
    assert isinstance(expected.related[0], Related)
    again = Writer()
    again.index = restored(write.entries)
    assert again(one, offset=1).decision == expected
