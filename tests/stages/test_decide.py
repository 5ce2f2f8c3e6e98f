from __future__ import annotations

import hashlib
import io
import random
from dataclasses import replace

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import schemas
from pipelines.records import (
    Article,
    Decision,
    Display,
    Fingerprint,
    Match,
    Origin,
    Passage,
    Related,
    Time,
)
from pipelines.stages.decide import NEWS, STATE_VERSION, Index, decide, event_time
from pipelines.stages.encode import index_record
from pipelines.stages.entry import HEAD, LINK_BYTES
from pipelines.stages.fingerprint import FILTER_BYTES, FINGERPRINT_VERSION, fingerprint
from pipelines.stages.normalize import content_hash, normalize
from pipelines.stages.store import HOT_KEY, NONE

HOUR = 3600 * 1000
DAY = 24 * HOUR
NOON = 1_500_000_000_000


def words(count: int, seed: int = 1) -> list[str]:
    """Words that no text of the news has: each of them is rare."""
    rng = random.Random(seed)
    return [
        "".join(rng.choices("ابتثجحخدرسشصعفقكلمنهوي", k=rng.randint(4, 8))) for _ in range(count)
    ]


def text(count: int = 100, seed: int = 1) -> str:
    return " ".join(words(count, seed))


def edited(body: str, changes: int, seed: int = 1) -> str:
    """The same text with the last `changes` of every ten words replaced, so that some runs of five
    words stay. With one the likeness is .87, with two .76, with three .65.
    """
    return " ".join(
        f"{word}{seed}" if at % 10 >= 10 - changes else word for at, word in enumerate(body.split())
    )


STRONG, WEAK = 1, 3


def article(
    name: str,
    body: str,
    at: int = NOON,
    published: int | None = None,
    title: str = "",
    cues: tuple[str, ...] = (),
) -> Article:
    """An article that reached the broker at `at`; published then, too, unless told otherwise."""
    match = Match(title=title, body=body, content_hash=content_hash(title, "", body))
    return fingerprint(
        Article(
            article_id=article_id(name),
            published=Time(utc=at if published is None else published),
            ingested_at=at,
            display=Display(cues=cues),
            match=match,
        )
    )


def article_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class Writer:
    """Decides articles one after the other and keeps what would go to news.index."""

    def __init__(self, index: Index | None = None, **options: int) -> None:
        self.index = Index(**options) if index is None else index
        self.entries: list[bytes] = []
        self.offset = 0

    def __call__(self, one: Article, offset: int | None = None) -> Article:
        if offset is None:
            offset = self.offset
            self.offset += 1
        decided = decide(one, Origin("news.raw", 0, offset, one.ingested_at), self.index)
        self.entries.append(decided.entry)
        return decided


def without_told(entry: bytes) -> bytes:
    """An entry as a redelivered message makes it, which changes nothing: what readers had been told
    before is not looked up again.
    """
    head = np.frombuffer(entry[: HEAD.itemsize], HEAD).copy()
    end = len(entry) - int(head["links"][0]) * LINK_BYTES
    told = int(head["told"][0]) * FILTER_BYTES
    head["told"] = 0
    return head.tobytes() + entry[HEAD.itemsize : end - told] + entry[end:]


def restored(entries: list[bytes], **options: int) -> Index:
    """As a start does it: many entries at once."""
    index = Index(**options)
    index.restore(*entries)
    return index


# --- one article after another ---


def test_the_first_article_opens_a_story():
    """Its story is named after it."""
    found = Writer()(article("a", text())).decision
    assert (found.verdict, found.story_id, found.revision) == ("new", article_id("a"), 1)
    assert (found.sequence, found.matched, found.supersedes) == (1, "", None)
    assert (found.rule, found.related, found.novelty, found.news) == ("no-match", (), 1.0, 0.0)


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
    write(article("a", "خبر قصير جدا"))
    found = write(article("b", "خبر قصير جدا", at=NOON + DAY)).decision
    assert (found.verdict, found.rule, found.matched) == ("duplicate", "exact", article_id("a"))
    assert (found.story_id, found.jaccard, found.containment) == (article_id("a"), 1.0, 1.0)
    assert (found.likeness, found.novelty, found.news) == (1.0, 0.0, 0.0)


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


@pytest.mark.parametrize("count", [3, 9, 10, 19])
def test_a_short_text_matches_exactly_only(count):
    """Below 20 words a single other word makes another story."""
    write = Writer()
    body = text(count)
    write(article("a", body))
    assert write(article("b", body)).decision.rule == "exact"
    assert write(article("c", f"{body}ا")).decision.verdict == "new"


def test_from_twenty_words_on_texts_are_compared():
    """The bound is below 20 words, not at 20."""
    write = Writer()
    body = text(20)
    write(article("a", body))
    assert write(article("b", f"{body}ا")).decision.rule == "likeness"


def test_a_title_alone_matches_exactly_only():
    """A message without a body is compared by its title, as a short text."""
    write = Writer()
    title = text(30)
    write(article("a", "", title=title))
    assert write(article("b", "", title=title)).decision.rule == "exact"
    assert write(article("c", "", title=f"{title} ايضا")).decision.verdict == "new"


@pytest.mark.parametrize("title", ["", "كاريكاتير", "كاريكاتير اليوم"])
def test_next_to_no_text_is_no_copy(title):
    """Two pages of which nothing but a rubric is left have nothing in common."""
    write = Writer()
    write(article("a", "", title=title))
    assert write(article("b", "", title=title)).decision.verdict == "new"


def test_the_same_text_under_another_title_is_an_exact_text():
    """From ten words on the text alone says that it came before, the title notwithstanding."""
    write = Writer()
    body = text(10)
    write(article("a", body, title="عنوان"))
    found = write(article("b", body, title="خبر اخر")).decision
    assert (found.verdict, found.rule, found.matched) == (
        "duplicate",
        "exact-text",
        article_id("a"),
    )


def test_a_text_of_nine_words_needs_its_title():
    """Below ten words the same text under another title is another article."""
    write = Writer()
    write(article("a", text(9), title="عنوان"))
    assert write(article("b", text(9), title="خبر اخر")).decision.verdict == "new"
    assert write(article("c", text(9), title="عنوان")).decision.rule == "exact"


def test_an_edited_copy_is_a_duplicate():
    """Most of the same rare words within 60 hours make one story; scores say how many."""
    write = Writer()
    write(article("a", text()))
    found = write(article("b", edited(text(), STRONG), at=NOON + 2 * DAY)).decision
    assert (found.verdict, found.rule, found.matched) == ("duplicate", "likeness", article_id("a"))
    assert found.jaccard == pytest.approx(90 / 110, abs=0.04)
    assert found.containment == pytest.approx(90 / 100, abs=0.03)
    assert found.novelty == pytest.approx(10 / 100, abs=0.03)
    assert found.news == pytest.approx(3 * 5, abs=1)
    assert found.likeness > 0.8


def test_words_that_every_text_has_do_not_count():
    """Two texts with other names and the same common words between them stay apart."""
    common = ["في", "من", "علي", "ان", "الي", "عن", "مع", "هذا", "التي", "الذي", "بعد", "بين"]

    def mixed(seed: int) -> str:
        return " ".join(
            word for pair in zip(words(60, seed), common * 5, strict=False) for word in pair
        )

    opening = " ".join(common)
    write = Writer()
    write(article("a", f"{opening} {mixed(1)}"))
    found = write(article("b", f"{opening} {mixed(2)}")).decision
    other = article("b", f"{opening} {mixed(2)}")
    assert write.index.ask(other.article_id, other.fingerprint).slots
    assert (found.verdict, found.related) == ("new", ())


def test_after_two_days_and_a_half_more_likeness_is_asked():
    """Templates come back after days: then .70 is the bound, to 60 hours .623."""
    write = Writer()
    write(article("a", text()))
    weak = edited(text(), WEAK)
    assert write(article("b", weak, at=NOON + 60 * HOUR)).decision.rule == "likeness"
    strong = edited(text(), STRONG)
    assert write(article("c", strong, at=NOON + 61 * HOUR)).decision.rule == "likeness-late"
    other = edited(text(), WEAK, seed=5)
    assert write(article("d", other, at=NOON + 61 * HOUR)).decision.rule == "no-match"


def test_the_gap_is_between_publications():
    """An old text that arrives late is as far away as its publication time says."""
    write = Writer()
    write(article("a", text()))
    old = article("b", edited(text(), WEAK), at=NOON + HOUR, published=NOON - 4 * DAY)
    assert write(old).decision.verdict == "new"


def test_the_gap_is_between_publications_beyond_the_window_as_well():
    """Event time is bounded by the window, the gap is not: a text of last month that arrives now is
    late by weeks.
    """
    write = Writer()
    write(article("a", text()))
    old = article("b", edited(text(), WEAK), at=NOON + HOUR, published=NOON - 30 * DAY)
    assert write(old).decision.verdict == "new"


@pytest.mark.parametrize("late", ["a", "b"])
def test_a_time_that_is_still_to_come_makes_no_gap(late):
    """A source's clock that runs days ahead counts as the broker's, for either of two copies."""
    write = Writer()
    ahead = {late: NOON + 4 * DAY}
    write(article("a", text(), published=ahead.get("a")))
    found = write(article("b", edited(text(), WEAK), published=ahead.get("b"))).decision
    assert found.rule == "likeness"


def test_a_longer_text_that_holds_an_article_is_linked_not_merged():
    """A digest is no copy of what it collects: it is published, and says what it contains."""
    short, more = text(60), text(300, seed=2)
    write = Writer()
    write(article("a", short))
    found = write(article("b", f"{more} {short}")).decision
    assert (found.verdict, found.story_id) == ("new", article_id("b"))
    (link,) = found.related
    assert (link.article_id, link.relation) == (article_id("a"), "contains")
    assert link.containment >= 0.8


def test_a_digest_names_each_article_that_it_holds():
    """Both of two articles, oldest first."""
    write = Writer()
    for seed in (1, 2):
        write(article(str(seed), text(60, seed)))
    filler = [text(90, seed) for seed in (7, 8, 9)]
    digest = f"{filler[0]} {text(60, 1)} {filler[1]} {text(60, 2)} {filler[2]}"
    found = write(article("b", digest)).decision
    assert [(each.article_id, each.relation) for each in found.related] == [
        (article_id("1"), "contains"),
        (article_id("2"), "contains"),
    ]


def test_a_digest_of_very_many_articles_names_32():
    """However much it holds, its decision fits into an entry."""
    write = Writer()
    keys = bytes([7, *bytes(7)])

    def keyed(name: str, body: str) -> Article:
        plain = article(name, body)
        return replace(plain, fingerprint=replace(plain.fingerprint, keys=keys))

    parts = [text(25, seed) for seed in range(60)]
    for number, part in enumerate(parts):
        write(keyed(str(number), part))
    found = write(keyed("digest", " ".join(parts))).decision
    assert found.verdict == "new"
    assert len(found.related) == 32
    assert {each.relation for each in found.related} == {"contains"}


def test_an_article_out_of_a_digest_is_part_of_it():
    """The other way round it is published as part of the digest, which stays another story."""
    short, more = text(60), text(300, seed=2)
    write = Writer()
    write(article("a", f"{more} {short}"))
    found = write(article("b", short)).decision
    assert (found.verdict, found.rule, found.matched) == ("part_of", "contained", article_id("a"))
    assert found.story_id == article_id("b")
    assert [(each.article_id, each.relation) for each in found.related] == [
        (article_id("a"), "part_of")
    ]
    assert found.containment == found.related[0].containment >= 0.8


def test_a_copy_of_a_part_belongs_to_the_part():
    """What is published as part of a digest opens a story as any other."""
    write = Writer()
    write(article("a", f"{text(300, seed=2)} {text(60)}"))
    write(article("b", text(60)))
    assert write(article("c", edited(text(60), STRONG))).decision.matched == article_id("b")


def test_the_best_match_wins():
    """Of two stories that are alike enough, the more similar one."""
    write = Writer()
    write(article("far", edited(text(), 3, seed=2), at=NOON))
    write(article("near", edited(text(), 2, seed=3), at=NOON + 3 * DAY))
    assert len(write.index) == 2
    middle = article("b", edited(text(), 2, seed=3) + " وكذلك", at=NOON + 3 * DAY)
    assert write(middle).decision.matched == article_id("near")


def test_the_earliest_of_equals_wins():
    """Two stories that have the same in common with an article: it belongs to the earlier one."""
    first, second = words(45, 2), words(45, 3)
    common = words(60)
    write = Writer()
    write(article("one", " ".join(common + first)))
    write(article("two", " ".join(common + second), at=NOON + 4 * DAY))
    assert len(write.index) == 2
    found = write(article("b", " ".join(common), at=NOON + 2 * DAY)).decision
    assert found.matched == article_id("one")


def test_a_copy_of_a_copy_is_held_against_the_leader():
    """No chains: what is like a copy but not like the leader opens a story."""
    one = text()
    two = edited(one, WEAK, seed=2)
    three = " ".join(f"{word}3" if at % 10 < 3 else word for at, word in enumerate(two.split()))
    write = Writer()
    write(article("a", one))
    assert write(article("b", two)).decision.story_id == article_id("a")
    assert write(article("c", three)).decision.verdict == "new"


LONGER = " ".join(
    [
        *words(100)[:50],
        *(w for i in range(5) for w in (*words(8, 20 + i), *words(100)[50 + 10 * i : 60 + 10 * i])),
    ]
)


def test_a_longer_version_stands_in_for_its_story():
    """A text that weighs at least 1.25 times as much as the leader's is compared as well."""
    write = Writer()
    write(article("a", text()))
    found = write(article("b", LONGER)).decision
    assert (found.story_id, found.rule) == (article_id("a"), "likeness")
    assert len(write.index.texts(article_id("a"))) == 2
    tail = " ".join(LONGER.split()[30:] + words(10, 3))
    found = write(article("c", tail)).decision
    assert (found.verdict, found.story_id, found.matched) == (
        "duplicate",
        article_id("a"),
        article_id("b"),
    )


def test_there_is_one_longer_version_at_most():
    """A second longer text of the story is not compared: stories do not creep."""
    write = Writer()
    write(article("a", text()))
    write(article("b", LONGER))
    write(article("c", f"{LONGER} {text(12, seed=3)}"))
    slots = write.index.texts(article_id("a"))
    assert [write.index.owner(slot) for slot in slots] == [article_id("a"), article_id("b")]


def test_a_hot_key_keeps_its_newest_64_texts():
    """A phrase that everybody prints finds the latest 64 texts that have it, and no older ones."""
    texts = [article(f"hot {number}", text(30, seed=number)) for number in range(HOT_KEY + 6)]
    keys = texts[0].fingerprint.keys
    write = Writer()
    for one in texts:
        write(replace(one, fingerprint=replace(one.fingerprint, keys=keys)))
    slots = write.index.ask("ff" * 16, Fingerprint(keys=keys)).slots
    found = [write.index.owner(slot) for slot in slots]
    assert found == [article_id(f"hot {number}") for number in range(6, HOT_KEY + 6)]


def test_a_very_long_text_is_compared_and_revised():
    """A text of thousands of words fills its filter to the last bit: it is still decided, and exact
    copies of it are found.
    """
    body = text(9000)
    write = Writer()
    write(article("a", body))
    assert write(article("b", body)).decision.rule == "exact"
    assert write(article("c", f"{body} اضافه")).decision.verdict in ("new", "duplicate")
    found = write(article("a", f"{body} اضافه")).decision
    assert (found.verdict, found.revision) == ("revision", 2)


def test_a_text_of_words_that_weigh_nothing_is_decided():
    """Neither as new nor as a revision does it divide by zero."""
    nothing = " ".join(["في", "من", "ان"] * 10)
    write = Writer()
    assert write(article("a", nothing)).decision.verdict == "new"
    assert write(article("b", f"{nothing} في")).decision.verdict == "new"
    assert write(article("a", text())).decision.verdict == "revision"
    found = write(article("a", f"{nothing} من")).decision
    assert (found.verdict, found.jaccard) == ("revision", 0.0)


# --- what is new of a story ---

# 40 rare words, one number, 40 rare words.
CASUALTIES = f"{text(40, 5)} اصيب {{}} شخصا {text(40, 6)}"


def test_a_paragraph_of_unseen_words_is_an_update():
    """More than 62 nats of news in 20 words in a row: published again, in its story."""
    write = Writer()
    write(article("a", text()))
    found = write(article("b", f"{text()} {text(16, seed=2)}")).decision
    assert (found.verdict, found.rule, found.matched) == ("update", "news", article_id("a"))
    assert (found.story_id, found.supersedes) == (article_id("a"), None)
    assert found.news >= NEWS
    assert [(each.article_id, each.relation) for each in found.related] == [
        (article_id("a"), "update_of")
    ]
    assert found.related[0].jaccard == found.jaccard


def test_a_few_unseen_words_are_no_news():
    """As many as in the update above, but spread over the text: an edited copy."""
    write = Writer()
    write(article("a", text(200)))
    found = write(article("b", edited(text(200), STRONG))).decision
    assert (found.verdict, found.rule) == ("duplicate", "likeness")
    assert found.news < NEWS


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("5", "6", "numbers"),
        ("5", "خمسه", "likeness"),
        ("خمسه", "5", "likeness"),
        ("خمسه", "سته", "numbers"),
        ("خمس", "خمسه", "likeness"),
        ("1500", "1600", "numbers"),
    ],
)
def test_another_number_in_an_equal_text_is_an_update(before, after, rule):
    """However it is written: the same number spelled out is no other number."""
    write = Writer()
    write(article("a", CASUALTIES.format(before)))
    found = write(article("b", f"{CASUALTIES.format(after)} وقال")).decision
    assert (found.verdict, found.rule) == ("update" if rule == "numbers" else "duplicate", rule)


def test_an_equal_number_that_is_added_is_none():
    """A number that stands in the story already, said once more, is nothing new."""
    write = Writer()
    write(article("a", CASUALTIES.format(5)))
    found = write(article("b", f"{CASUALTIES.format(5)} وكانوا خمسه")).decision
    assert (found.verdict, found.rule) == ("duplicate", "likeness")


def test_a_number_that_is_added_replaces_none():
    """Where the story's text had no other number in its place, the text only says more of it."""
    write = Writer()
    write(article("a", CASUALTIES.format(5)))
    found = write(article("b", f"{CASUALTIES.format(5)} منهم 3")).decision
    assert (found.verdict, found.rule) == ("duplicate", "likeness")


def test_other_numbers_in_another_wording_are_no_update_by_numbers():
    """Where a tenth of the other words has changed as well, numbers alone say nothing."""
    write = Writer()
    write(article("a", CASUALTIES.format(5)))
    found = write(article("b", edited(CASUALTIES.format(6), STRONG, seed="ا"))).decision
    assert (found.verdict, found.rule) == ("duplicate", "likeness")


@pytest.mark.parametrize("cue", ["update", "follow_up", "denial"])
def test_a_cue_makes_a_copy_an_update(cue):
    """What a newsroom calls an update, a follow-up or a denial is published, be it much like what
    there was.
    """
    write = Writer()
    write(article("a", text()))
    found = write(article("b", edited(text(), STRONG), cues=("urgent", cue))).decision
    assert (found.verdict, found.rule) == ("update", "cue-update")
    assert found.related[0].relation == "update_of"


@pytest.mark.parametrize("cue", ["urgent", "exclusive", "update"])
def test_a_cue_does_not_make_an_exact_copy_an_update(cue):
    """The same words again are the same, whatever stands above them."""
    write = Writer()
    write(article("a", text()))
    assert write(article("b", text(), cues=(cue,))).decision.rule == "exact"


@pytest.mark.parametrize(
    ("cue", "verdict", "rule"),
    [
        ("correction", "correction", "cue-correction"),
        ("withdrawal", "retraction", "cue-retraction"),
    ],
)
def test_a_cue_takes_back(cue, verdict, rule):
    """A correction or withdrawal of a story is published as such: of another outlet's text without
    replacing it, of its own with `supersedes`.
    """
    write = Writer()
    write(article("a", text()))
    found = write(article("b", edited(text(), STRONG), cues=(cue,))).decision
    assert (found.verdict, found.rule, found.matched) == (verdict, rule, article_id("a"))
    assert (found.revision, found.supersedes) == (1, None)
    assert [(each.article_id, each.relation) for each in found.related] == [
        (article_id("a"), f"{verdict}_of")
    ]
    own = write(article("a", edited(text(), STRONG, seed=2), cues=(cue,))).decision
    assert (own.verdict, own.rule, own.matched) == (verdict, rule, article_id("a"))
    assert (own.revision, own.supersedes, own.story_id) == (2, 1, article_id("a"))
    assert own.related[0].relation == f"{verdict}_of"


def test_a_withdrawal_counts_before_a_correction():
    """Of several cues the one that takes back most."""
    write = Writer()
    write(article("a", text()))
    cues = ("correction", "update", "withdrawal")
    assert write(article("b", edited(text(), 1), cues=cues)).decision.verdict == "retraction"


def test_a_cue_without_a_story_is_news():
    """A follow-up of what nobody published here opens a story."""
    found = Writer()(article("a", text(), cues=("update", "correction"))).decision
    assert (found.verdict, found.rule) == ("new", "no-match")


def test_the_same_news_again_is_a_duplicate():
    """An update's words count as told from then on, in another outlet's wording as well."""
    write = Writer()
    write(article("a", text()))
    news = text(16, seed=2)
    assert write(article("b", f"{text()} {news}")).decision.rule == "news"
    found = write(article("c", f"{edited(text(), STRONG)} {news}")).decision
    assert (found.verdict, found.rule) == ("duplicate", "likeness")
    assert write(article("d", f"{text()} {text(16, seed=3)}")).decision.rule == "news"


def test_the_same_number_again_is_a_duplicate():
    """A changed number is told once."""
    write = Writer()
    write(article("a", CASUALTIES.format(5)))
    assert write(article("b", f"{CASUALTIES.format(8)} وقال")).decision.rule == "numbers"
    found = write(article("c", f"{CASUALTIES.format('ثمانيه')} واضاف")).decision
    assert found.verdict == "duplicate"


def test_what_was_held_back_was_not_told():
    """Nobody has read the words of a held-back copy, a longer one's neither: they stay news."""
    write = Writer()
    write(article("a", text()))
    assert write(article("b", LONGER)).decision.verdict == "duplicate"
    assert len(write.index.texts(article_id("a"))) == 2
    unseen = [word for word in LONGER.split() if word not in words(100)]
    found = write(article("c", f"{text()} {' '.join(unseen[:20])}")).decision
    assert (found.verdict, found.rule) == ("update", "news")


def test_a_revised_leader_keeps_what_was_told():
    """Readers have seen the words of the text before, of its updates, and of the new one."""
    write = Writer()
    write(article("a", text()))
    news, more = text(16, seed=2), text(16, seed=3)
    write(article("b", f"{text()} {news}"))
    assert write(article("a", f"{edited(text(), STRONG)} {more}")).decision.verdict == "revision"
    for number, told in enumerate((news, more)):
        found = write(article(f"c{number}", f"{text()} {told}")).decision
        assert (found.verdict, found.story_id) == ("duplicate", article_id("a"))


def test_an_update_that_is_revised_stays_in_its_story():
    """It replaces itself, not the leader."""
    write = Writer()
    write(article("a", text()))
    write(article("b", f"{text()} {text(16, seed=2)}"))
    found = write(article("b", f"{text()} {text(20, seed=3)}")).decision
    assert (found.verdict, found.rule, found.matched) == ("revision", "same-id", article_id("b"))
    assert (found.story_id, found.revision, found.supersedes) == (article_id("a"), 2, 1)
    assert found.related[0].relation == "revision_of"
    assert write.index.owner(write.index.leader(article_id("a"))) == article_id("a")


# --- the same article again ---


def undecided(decided: Article) -> Article:
    return replace(decided, decision=Decision(), entry=b"")


def test_redelivery_gets_the_stored_decision():
    """The same message again: the same decision, its scores, relations, place and sequence
    included, and nothing has changed.
    """
    write = Writer()
    bodies = {
        "new": text(),
        "copy": edited(text(), 1),
        "longer": LONGER,
        "update": f"{text()} {text(16, seed=2)}",
        "digest": f"{text(500, seed=3)} {text()}",
        "part": " ".join(words(500, seed=3)[200:300]),
        "exact": text(),
        "short": "خبر قصير جدا",
    }
    messages = [article(name, body) for name, body in bodies.items()]
    messages.append(article("new", edited(text(), 2)))
    messages.append(article("new", text()))
    decided = [write(one) for one in messages]
    assert {each.decision.rule for each in decided} == {
        *("no-match", "likeness", "news", "contained", "exact", "same-id", "same-content")
    }
    assert {each.decision.place for each in decided} == {0, 1, 2, 3}
    before = (write.index.last_sequence, len(write.index), write.index.clock)
    for offset, one in enumerate(decided):
        again = write(undecided(one), offset=offset)
        assert (again.decision, again.entry) == (one.decision, without_told(one.entry))
    assert (write.index.last_sequence, len(write.index), write.index.clock) == before


def test_a_topic_that_was_made_anew_counts_its_offsets_anew():
    """The same offset with another content is another message."""
    write = Writer()
    write(article("a", text()), offset=0)
    assert write(article("a", text(seed=2)), offset=0).decision.verdict == "revision"


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
    assert (found.jaccard, found.likeness, found.novelty) == (1.0, 1.0, 0.0)


def test_a_changed_text_is_a_revision():
    """It stays in its story, counts on and says which revision it replaces, and how alike."""
    write = Writer()
    write(article("a", text()))
    for number in (2, 3):
        found = write(article("a", edited(text(), 1, seed=number), at=NOON + HOUR)).decision
        assert (found.verdict, found.rule, found.story_id) == (
            "revision",
            "same-id",
            article_id("a"),
        )
        assert (found.revision, found.supersedes) == (number, number - 1)
        assert found.jaccard == pytest.approx(90 / 110, abs=0.04)
        assert [(each.article_id, each.relation) for each in found.related] == [
            (article_id("a"), "revision_of")
        ]
    assert len(write.index) == 1


def test_an_earlier_revision_again_is_known():
    """Going back to the first text is no third one, as long as it is among the last 8."""
    write = Writer()
    for number in range(9):
        write(article("a", text(seed=number)))
    back = write(article("a", text(seed=1))).decision
    assert (back.rule, back.revision) == ("same-content", 2)
    assert write(article("a", text(seed=0))).decision.verdict == "revision"


def test_repetitions_do_not_displace_contents():
    """However often one content comes, the 8 contents before are known, and so are the messages of
    the last 8 repetitions.
    """
    write = Writer()
    first = [write(article("a", text(seed=number))) for number in range(8)]
    repeated = [write(article("a", text(seed=7), at=NOON + n)) for n in range(20)]
    for offset, one in enumerate(first):
        assert write(undecided(one), offset=offset).decision == one.decision
    for offset, one in list(enumerate(repeated, 8))[-8:]:
        assert write(undecided(one), offset=offset).decision == one.decision
    assert write(undecided(repeated[0]), offset=8).decision.sequence == 29


def test_copies_are_held_against_the_newest_revision():
    """The revised leader's text takes the place of the earlier one."""
    write = Writer()
    write(article("a", text(seed=1)))
    write(article("a", text(seed=2)))
    found = write(article("b", edited(text(seed=2), 1))).decision
    assert (found.verdict, found.story_id) == ("duplicate", article_id("a"))
    assert write(article("c", edited(text(seed=1), 1))).decision.verdict == "new"


def test_a_copy_that_changes_little_stays_a_copy():
    """What was held back and still matches its leader is held back, as its next revision."""
    write = Writer()
    write(article("a", text()))
    write(article("b", edited(text(), 1, seed=2)))
    found = write(article("b", edited(text(), 1, seed=3))).decision
    assert (found.verdict, found.rule, found.revision) == ("duplicate", "likeness", 2)
    assert (found.matched, found.supersedes) == (article_id("a"), None)


def test_a_copy_that_comes_to_say_more_is_an_update():
    """What was held back and then brings news is published; it replaces nothing that was read."""
    write = Writer()
    write(article("a", text()))
    write(article("b", edited(text(), 1)))
    found = write(article("b", f"{text()} {text(16, seed=2)}")).decision
    assert (found.verdict, found.rule, found.revision) == ("update", "news", 2)
    assert (found.story_id, found.supersedes) == (article_id("a"), None)


@pytest.mark.parametrize("count", [12, 100])
def test_a_copy_under_another_title_of_its_own_stays_a_copy(count):
    """A held-back text that changes nothing but its headline still is the leader's text."""
    write = Writer()
    write(article("a", text(count), title="عنوان اول"))
    write(article("b", text(count), title="عنوان ثان"))
    found = write(article("b", text(count), title="عنوان ثالث")).decision
    assert (found.verdict, found.rule, found.matched) == (
        "duplicate",
        "exact-text",
        article_id("a"),
    )


def test_a_copy_that_becomes_its_own_text_is_published():
    """What was held back and no longer matches opens a story; nothing that was read is replaced."""
    write = Writer()
    write(article("a", text(seed=1)))
    write(article("b", edited(text(seed=1), 1)))
    found = write(article("b", text(seed=2))).decision
    assert (found.verdict, found.story_id, found.revision) == ("new", article_id("b"), 2)
    assert found.supersedes is None
    again = write(article("b", edited(text(seed=2), 1))).decision
    assert (again.verdict, again.revision, again.supersedes) == ("revision", 3, 2)


OTHERS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6 * 24)), max_size=20)


@given(OTHERS, st.sampled_from([3, 30]))
@settings(max_examples=30)
def test_repetition_is_known_whatever_lies_between(between, count):
    """An article that comes twice within the window is never published twice."""
    write = Writer()
    write(article("a", text(count, seed=99)))
    for number, (seed, hours) in enumerate(between):
        body = text(count, seed=seed) if seed else edited(text(count, seed=99), 1, seed=number)
        write(article(f"other {number}", body, at=NOON + hours * HOUR))
    at = max([NOON, *(NOON + hours * HOUR for _, hours in between)])
    assert write(article("a", text(count, seed=99), at=at)).decision.rule == "same-content"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 72), st.integers(0, 72)), max_size=14),
    st.sampled_from([3, 12, 40]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_the_order_changes_no_verdict_on_exact_copies(copies, count, rng):
    """Of several exact copies within the window one is published, whichever comes first, in
    whatever order the others and other articles come.
    """
    # Group, and hours: when it comes, and how long it has been published then.
    articles = [
        (group, article(f"{group} {number}", text(count, seed=group), NOON, NOON - age * HOUR))
        for number, (group, _, age) in enumerate(copies)
    ]
    for _ in range(2):
        rng.shuffle(articles)
        times = sorted(hours for _, hours, _ in copies)
        write = Writer()
        published = []
        for (group, one), hours in zip(articles, times, strict=True):
            found = write(replace(one, ingested_at=NOON + hours * HOUR)).decision
            if found.verdict == "duplicate":
                assert found.rule == "exact"
            else:
                published.append(group)
        assert sorted(published) == sorted({group for group, _ in articles})


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
    assert decided.decision.event_time == event_time(decided, 7 * DAY) == expected


def test_event_time_without_a_publication_time_is_the_brokers():
    """Nothing is guessed."""
    bare = replace(article("a", text()), published=Time())
    assert Writer()(bare).decision.event_time == NOON


@pytest.mark.parametrize(("later", "verdict"), [(7 * DAY - 1, "duplicate"), (7 * DAY, "new")])
def test_a_leader_expires_one_window_after_its_own_event_time(later, verdict):
    """To the millisecond, for exact copies as for edited ones; then a copy opens a new story."""
    for copy in (text(), edited(text(), 1)):
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


def test_a_repetition_does_not_hide_a_living_copy():
    """A copy of a story that has ended comes again: what was published since is still found."""
    write = Writer()
    body = "خبر قصير جدا"
    write(article("a", body, published=NOON - 6 * DAY))
    write(article("b", body))
    later = NOON + 2 * DAY
    assert write(article("c", body, at=later)).decision.verdict == "new"
    assert write(article("b", body, at=later)).decision.rule == "same-content"
    found = write(article("d", body, at=later)).decision
    assert (found.rule, found.matched) == ("exact", article_id("c"))


def test_a_wrong_clock_neither_empties_nor_freezes_the_window():
    """Times that a source claims, far ahead or long ago, make nothing expire and keep nothing."""
    write = Writer()
    write(article("a", text()))
    write(article("b", text(seed=2), published=NOON + 4000 * DAY))
    write(article("c", text(seed=3), published=0))
    write(article("d", text(seed=4), at=NOON - 30 * DAY))
    write(article("e", text(seed=5), published=-(10**15)))
    write(article("f", text(seed=6), published=10**15))
    names = {"a": 1, "b": 2, "c": 3, "e": 5, "f": 6}
    for name, seed in names.items():
        found = write(article(f"{name} again", text(seed=seed), at=NOON + DAY)).decision
        assert (found.verdict, found.matched) == ("duplicate", article_id(name))
    write(article("g", text(seed=7), at=NOON + 7 * DAY))
    assert len(write.index) == 1
    for name, seed in names.items():
        found = write(article(f"{name} late", text(seed=seed), at=NOON + 7 * DAY)).decision
        assert found.verdict == "new"


def test_a_broker_time_that_goes_back_changes_no_expiry():
    """The clock is the highest broker time so far: what has ended does not live again."""
    write = Writer()
    write(article("a", text()))
    write(article("b", text(seed=2), at=NOON + 7 * DAY))
    assert write(article("c", text(), at=NOON + DAY)).decision.verdict == "new"


def test_an_article_that_keeps_coming_is_not_published_again():
    """A feed that lists an old article for weeks repeats it; its story has long ended."""
    write = Writer()
    for day in range(20):
        found = write(article("a", text(), at=NOON + day * DAY, published=NOON)).decision
        assert found.rule == ("same-content" if day else "no-match")
    assert len(write.index) == 0


def test_an_article_that_comes_again_after_the_window_is_new():
    """It is not known any more, whatever it was."""
    write = Writer()
    write(article("a", text()))
    found = write(article("a", text(seed=2), at=NOON + 7 * DAY)).decision
    assert (found.verdict, found.revision) == ("new", 1)


def test_a_revision_after_the_storys_end_opens_it_again():
    """The article is still known when its story has ended: revision 2, not a second revision 1."""
    write = Writer()
    write(article("a", text(), published=NOON - 5 * DAY))
    found = write(article("a", text(seed=2), at=NOON + 3 * DAY)).decision
    assert (found.verdict, found.revision, found.story_id) == ("revision", 2, article_id("a"))
    assert len(write.index) == 1


def test_an_update_that_outlives_its_story_opens_its_own():
    """Its next revision goes on under its own id."""
    write = Writer()
    write(article("a", text(), published=NOON - 6 * DAY))
    write(article("b", f"{text()} {text(20, seed=2)}"))
    found = write(article("b", text(seed=3), at=NOON + 2 * DAY)).decision
    assert (found.verdict, found.story_id) == ("revision", article_id("b"))
    copy = write(article("c", edited(text(seed=3), 1), at=NOON + 2 * DAY)).decision
    assert (copy.verdict, copy.story_id) == ("duplicate", article_id("b"))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.booleans()), max_size=40),
    st.sampled_from([3, 30]),
)
@settings(max_examples=50)
def test_expiry_takes_what_is_old_and_nothing_younger(steps, count):
    """Against a plain list: a copy is new exactly when its story is a window old, and an article is
    known exactly for a window after it came last.
    """
    write = Writer()
    now, leaders, seen = NOON, {}, {}
    for number, (seed, hours, edit) in enumerate(steps):
        now += hours * HOUR
        body = text(count, seed=seed)
        copy = edited(body, 1, seed=number) if edit and count > 20 else body
        found = write(article(str(number), copy, at=now)).decision
        alive = seed in leaders and leaders[seed] + 7 * DAY > now
        assert found.verdict == ("duplicate" if alive else "new")
        if not alive:
            leaders[seed] = now
        seen[number] = now
        for name, last in seen.items():
            assert (write.index.known(article_id(str(name))) is not None) == (last + 7 * DAY > now)
    assert len(write.index) == sum(start + 7 * DAY > now for start in leaders.values())


def test_beyond_the_limit_the_story_that_would_expire_first_goes():
    """`max_stories` bounds the memory, at the cost of the oldest stories, which are counted."""
    write = Writer(max_stories=3)
    for number in range(5):
        write(article(f"a{number}", text(seed=number), at=NOON + number))
    assert (len(write.index), write.index.pushed_out) == (3, 2)
    verdicts = [
        write(article(f"b{number}", text(seed=number), at=NOON + 9)).decision.verdict
        for number in (4, 2, 1)
    ]
    assert verdicts == ["duplicate", "duplicate", "new"]


def test_only_stories_count_as_pushed_out():
    """Not the text before a revision, not a longer one of a story that stays, not what expires."""
    write = Writer(max_stories=2)
    write(article("a", text(seed=9), at=NOON))
    write(article("b", text(), at=NOON + HOUR))
    write(article("c", LONGER, at=NOON + HOUR, published=NOON - DAY))
    assert len(write.index.texts(article_id("b"))) == 2
    for number in range(3):
        write(article("a", text(seed=10 + number), at=NOON + 2 * HOUR + number))
    assert (len(write.index), write.index.pushed_out) == (2, 0)
    write(article("d", text(seed=20), at=NOON + 3 * HOUR))
    assert (len(write.index), write.index.pushed_out) == (2, 1)
    assert write.index.leader(article_id("b")) == NONE
    write(article("e", text(seed=21), at=NOON + 20 * DAY))
    assert (len(write.index), write.index.pushed_out) == (1, 1)


# --- restart ---

# Texts that match in every way: copies, edited ones, updates, longer ones, digests, short ones.
POOL = [
    *(text(60, seed) for seed in range(3)),
    *(edited(text(60, seed), 1) for seed in range(3)),
    *(edited(text(60, seed), 3) for seed in range(2)),
    f"{text(60, 0)} {text(30, 7)}",
    f"{text(30, 7)} {text(40, 8)}",
    f"{text(240, 9)} {text(60, 1)}",
    *(f"{text(60, 2)} {text(16, seed)}" for seed in (10, 11)),
    *(f"{text(30, 2)} اصيب {number} {text(30, 12)}" for number in (5, 6, "خمسه")),
    text(12, 3),
    "خبر قصير جدا",
    "",
]
TITLES = ("", "عنوان الخبر", "خبر اخر")
CUES = ((), (), (), (), ("update",), ("correction",), ("withdrawal",))
STEPS = st.lists(
    st.tuples(
        st.integers(0, 9),  # article
        st.integers(0, len(POOL) - 1),
        st.sampled_from([0, 1, 5, 20, 70]),  # hours on
        st.sampled_from([0, 0, 0, 2, 30, 100, -1, -9]),  # hours since it was published
        st.booleans(),  # delivered twice
        st.integers(0, len(TITLES) * len(CUES) - 1),
    ),
    max_size=40,
)
Step = tuple[int, int, int, int, bool, int]


def stream(steps: list[Step]) -> list[tuple[int, Article]]:
    """Articles with their offsets."""
    now, found = NOON, []
    for offset, (name, body, hours, age, twice, head) in enumerate(steps):
        now += hours * HOUR
        one = article(
            str(name),
            POOL[body],
            at=now,
            published=now - age * HOUR,
            title=TITLES[head % len(TITLES)],
            cues=CUES[head // len(TITLES)],
        )
        found += [(offset, one)] * (2 if twice else 1)
    return found


def random_steps(seed: int, count: int, names: int, hours: tuple[int, ...]) -> list[Step]:
    rng = random.Random(seed)
    return [
        (
            rng.randint(0, names),
            rng.randrange(len(POOL)),
            rng.choice(hours),
            rng.choice([0, 0, 0, 2, 30]),
            rng.random() < 0.1,
            rng.randrange(len(TITLES) * len(CUES)),
        )
        for _ in range(count)
    ]


@given(STEPS, st.integers(0, 80), st.sampled_from([{}, {"max_stories": 3}, {"window_ms": 2 * DAY}]))
@settings(max_examples=80)
def test_a_restart_changes_no_decision(steps, cut, options):
    """An index restored from its entries decides all that follows as the live one does."""
    live = Writer(**options)
    again = None
    for number, (offset, one) in enumerate(stream(steps)):
        if number == cut:
            again = Writer(restored(live.entries, **options))
            assert again.index.last_sequence == live.index.last_sequence
        expected = live(one, offset=offset)
        if again is not None:
            found = again(one, offset=offset)
            assert (found.decision, found.entry) == (expected.decision, expected.entry)
            assert len(again.index) == len(live.index)


def test_a_restart_at_every_point_of_a_long_stream():
    """The same at each of many cuts of one long stream with expiry, and by sequence numbers
    without a gap.
    """
    steps = random_steps(5, 400, 60, (0, 1, 5))
    live = Writer()
    articles = stream(steps)
    decided = [live(one, offset=offset).decision for offset, one in articles]
    assert {each.rule for each in decided} >= {
        *("no-match", "same-content", "same-id", "exact", "exact-text", "likeness", "news"),
        *("numbers", "cue-update", "cue-correction", "cue-retraction"),
    }
    assert sorted({each.sequence for each in decided}) == list(range(1, len(steps) + 1))
    for cut in range(0, len(articles), 30):
        again = Writer(restored(live.entries[:cut]))
        for (offset, one), expected in zip(articles[cut : cut + 40], decided[cut:], strict=False):
            assert again(one, offset=offset).decision == expected


def test_entries_survive_their_schema():
    """What is written to news.index, strictly, is what comes back from it."""
    write = Writer()
    decided = [
        write(article("a", text())),
        write(article("b", edited(text(), 1))),
        write(article("c", f"{text(500, seed=2)} {text()}")),
        write(replace(article("d", "قصير"), published=Time())),
    ]
    schema = schemas.parsed(schemas.INDEX)
    for one in decided:
        record = index_record(one, generation=1)
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, schema, record, strict_allow_default=True)
        buffer.seek(0)
        found = fastavro.schemaless_reader(buffer, schema, None)
        assert {name: found[name] for name in record} == record
        assert (found["state"], found["sequence"]) == (one.entry, one.decision.sequence)


def test_an_entry_that_is_already_known_changes_nothing():
    """Redelivery writes an entry again; restoring it twice is restoring it once."""
    write = Writer()
    write(article("a", text()))
    write(article("a", text()), offset=0)
    index = restored(write.entries)
    assert (len(write.entries), index.last_sequence, len(index)) == (2, 1, 1)
    assert write.entries[0] == write.entries[1]


def test_the_state_has_a_version():
    """It names layout, fingerprint and spelling profile, and every entry carries it: hashes of two
    versions are never compared.
    """
    decided = Writer()(article("a", text()))
    assert FINGERPRINT_VERSION in STATE_VERSION
    assert index_record(decided, 1)["state_version"] == STATE_VERSION


def test_related_articles_are_part_of_the_stored_decision():
    """They come back after a restart, with their scores."""
    write = Writer()
    write(article("a", text(60)))
    one = article("b", f"{text(300, seed=2)} {text(60)}")
    expected = write(one).decision
    assert isinstance(expected.related[0], Related)
    assert Writer(restored(write.entries))(one, offset=1).decision == expected
