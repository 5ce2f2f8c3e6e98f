"""Why an article was decided as it was, and a story's life: from records, without Kafka."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UsageError
from pipelines.explain import (
    Marked,
    Part,
    compare,
    explain,
    identity,
    record_of,
    story,
    text_parts,
)
from pipelines.kafka.tail import Tailed
from pipelines.records import Article, Origin, RawMessage
from pipelines.report import explanation_object, explanation_text, story_object, story_text
from pipelines.settings import Settings
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import decode
from pipelines.stages.encode import article_record, duplicate_record
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize
from pipelines.terminal import width
from tests.test_terminal import EVIL, check

GOLDEN = Path(__file__).parent / "golden" / "explain.txt"
WIDTH = 88
HOUR_MS = 3_600_000
WIRE = (
    "أعلن حارس الفنار في بلدة الجرف الأبيض أن الضوء عاد إلى برجه بعد انقطاع دام 12 يوماً.\n\n"
    "وقال إن العمال بدّلوا المرآة القديمة، وإن السفن الصغيرة تستطيع دخول المرفأ ليلاً من جديد."
)
CHANGED = (
    "أعلن حارس الفنار في بلدة الجرف الأبيض أن الضوء عاد إلى برجه بعد انقطاع دام 14 يوماً.\n\n"
    "وقال إن العمال بدّلوا المرآة القديمة، وإن السفن الصغيرة تستطيع دخول المرفأ ليلاً من جديد. "
    "وأضاف أن احتفالاً صغيراً يقام مساء الخميس."
)


class Topics:
    """Stands for a Finder: `steps` of messages, newest first, and the raw messages by offset."""

    settings = Settings.of({})

    class registry:  # noqa: N801 - an attribute of a Finder
        @staticmethod
        def schema(schema_id: int) -> None:
            return None

    def __init__(self, *steps: list[Tailed], raw: dict[int, Tailed | str] | None = None) -> None:
        self.steps, self.raw, self.read = steps, raw or {}, 0
        self.keys: list[bytes | None] = []

    def newest_first(
        self, topics: list[str], wanted: Callable[[bytes], bool], key: bytes | None = None
    ) -> Iterator[list[Tailed]]:
        assert topics == ["news.articles", "news.duplicates"]
        self.keys.append(key)
        for step in self.steps:
            messages = [m for m in step if key is None or self.partition(m.key) == m.partition]
            self.read += len(messages)
            yield [m for m in messages if wanted(json.dumps(m.record, default=str).encode())]

    def partition(self, key: bytes | None) -> int:
        return 0

    def message(self, topic: str, partition: int, offset: int) -> Tailed | str:
        return self.raw.get(offset, "it has expired")


def sent(offset: int, title: str, body: str, **fields: str) -> RawMessage:
    value = {"title": title, "body": body, "source": "صدى الفنار", **fields}
    return RawMessage(
        Origin("news.raw", 0, offset, 1_741_000_000_000 + offset * HOUR_MS),
        None,
        json.dumps(value, ensure_ascii=False).encode(),
    )


def as_raw(raw: RawMessage) -> Tailed:
    at = raw.origin
    return Tailed(at.topic, at.partition, at.offset, at.timestamp, None, raw.value, [], None)


def decided(raw: RawMessage, partition: int = 0, **decision: Any) -> Tailed:
    """The record of a message as the pipeline would have written it with this decision."""
    article = normalize(clean(decode(raw, lambda _: None)))
    given = {"sequence": raw.origin.offset, "story_id": article.article_id, **decision}
    article = replace(article, decision=replace(article.decision, **given))
    return written(article, raw.origin, partition)


def lived(*raws: RawMessage) -> Topics:
    """What the pipeline decides of these messages."""
    index = Index()
    return Topics(
        [
            written(
                decide(
                    fingerprint(normalize(clean(decode(raw, lambda _: None)))), raw.origin, index
                ),
                raw.origin,
            )
            for raw in raws
        ],
        raw={raw.origin.offset: as_raw(raw) for raw in raws},
    )


def written(article: Article, origin: Origin, partition: int = 0) -> Tailed:
    is_copy = article.decision.verdict == "duplicate"
    of = duplicate_record if is_copy else article_record
    record: dict[str, Any] = of(article, origin, "")
    for name in ("published_at", "ingested_at"):  # as Avro's reader gives them back
        if record[name] is not None:
            record[name] = datetime.fromtimestamp(record[name] / 1000, UTC)
    kind = "news.duplicates" if is_copy else "news.articles"
    key = record["story_id"].encode()
    return Tailed(kind, partition, origin.offset, 1, key, b"", [], record)


def url(name: str) -> str:
    return f"https://fanar.example/{name}"


RAW = {
    1: sent(1, "عودة الضوء إلى الفنار", WIRE, url=url("1"), published_at="2025-03-03T09:00:00Z"),
    2: sent(2, "فنار الجرف الأبيض يضيء", CHANGED, url=url("2"), source="مرآة المرفأ"),
    3: sent(3, "عودة الضوء إلى الفنار", WIRE, url=url("1")),
    4: sent(4, "الفنار يضيء من جديد", CHANGED, url=url("1"), published_at="2025-03-04T09:00:00Z"),
}
OPENER, OTHER = identity(url("1")), identity(url("2"))
NEW = decided(RAW[1], rule="no-match")
DUPLICATE = decided(
    RAW[2],
    verdict="duplicate",
    story_id=OPENER,
    rule="likeness",
    matched=OPENER,
    jaccard=0.62,
    containment=0.9,
    likeness=0.7149,
    novelty=0.2,
    news=31.75,
)
AGAIN = decided(
    RAW[3],
    verdict="duplicate",
    rule="same-content",
    matched=OPENER,
    jaccard=1.0,
    containment=1.0,
    likeness=1.0,
    novelty=0.0,
)
REVISION = decided(
    RAW[4],
    verdict="revision",
    rule="same-id",
    matched=OPENER,
    revision=2,
    supersedes=1,
    jaccard=0.61,
    containment=0.85,
    likeness=0.75,
    novelty=0.25,
)
EVERYTHING = [NEW, DUPLICATE, AGAIN, REVISION]
MORE = (
    " وذكرت مصلحة الموانئ أن غواصين عثروا أسفل الرصيف الشرقي على صندوق نحاسي ثقيل فيه خرائط بحرية "
    "مرسومة باليد ودفتر يوميات كتبه ربان مجهول قبل قرنين."
)
NEWS = sent(
    5,
    "صندوق نحاسي تحت فنار الجرف الأبيض",
    WIRE + MORE,
    url=url("5"),
    published_at="2025-03-03T12:30:00Z",
)
MUSEUM = (
    "أعلنت أكاديمية الملاحة افتتاح متحف صغير يعرض عدسات زجاجية ومصابيح زيتية وأجراساً برونزية "
    "وسترات نجاة تبرعت بها عائلات صيادين متقاعدين."
)
FERRY = (
    "تنطلق العبّارة الحمراء فجر الأربعاء محملة بأخشاب وأسمنت وألواح شمسية نحو جزيرة النورس، حسب "
    "جدول علقه ربابنة ميناء السنديان أمس."
)
TWELVE = WIRE.replace("12", "14")
OTHER_NEWS = (
    "سجلت محطة الرصد هزة خفيفة قرب وادي السنديان دون أضرار.\n\nافتتحت مكتبة البلدية قاعة قراءة "
    "للأطفال تضم ألفي كتاب مصور.\n\nفاز فريق النوارس بكأس الشاطئ بعد ركلات ترجيح مثيرة أمام فريق "
    "المنارة.\n\nوقعت شركة الحديد عقداً لتوريد قضبان سكة قطار جديدة تربط المنجم بالميناء الجنوبي."
)
TEXTS: dict[int, Tailed | str] = {offset: as_raw(raw) for offset, raw in RAW.items()}


def said(marked: Marked | None) -> list[str]:
    assert marked is not None
    return [each.text for part in marked.parts.values() for each in part if each.new]


def shown(topics: Topics, name: str) -> str:
    return explanation_text(explain(topics, name), 4, WIDTH, colour=False)  # type: ignore[arg-type]


def test_golden() -> None:
    """The explanations of a copy and of an update, line by line: verdict, scores, what they were
    held to, and both texts with their marks."""
    copy = shown(Topics(EVERYTHING, raw=TEXTS), OTHER)
    update = shown(lived(RAW[1], NEWS), identity(url("5")))
    assert f"{copy}\n\n{update}\n" == GOLDEN.read_text(encoding="utf-8")


def test_a_duplicate() -> None:
    """A held-back article's text is made again from its raw message; the number that changed and
    the sentence that came on are new, the rest is shared."""
    found = explain(Topics(EVERYTHING, raw=TEXTS), OTHER)  # type: ignore[arg-type]
    assert (found.decided, found.against, found.leader) == (DUPLICATE, NEW, None)
    assert said(found.marked)[-2:] == ["14", "وأضاف أن احتفالاً صغيراً يقام مساء الخميس."]
    assert said(found.against_marked) == ["عودة", "12"]
    assert not found.text.note


def test_a_revision() -> None:
    """A revision is held against the revision that it supersedes; all decisions are there, newest
    first."""
    found = explain(Topics(EVERYTHING, raw=TEXTS), OPENER)  # type: ignore[arg-type]
    assert (found.decided, found.against) == (REVISION, NEW)
    assert found.decisions == [REVISION, AGAIN, NEW]
    text = explanation_text(found, 4, WIDTH, colour=False)
    assert "revision 2" in text
    assert "2 other decisions" in text
    assert "novelty 0.25" in text


def test_repetitions_do_not_hide_what_was_decided() -> None:
    """An article that came again unchanged is explained by what was decided of it at first, and
    the repetitions are counted."""
    again = [replace(AGAIN, record={**(AGAIN.record or {}), "sequence": n}) for n in range(3, 9)]
    found = explain(Topics([NEW, *again], raw=TEXTS), OPENER)  # type: ignore[arg-type]
    assert found.decided == NEW
    assert "revision 1, and 5 more of these" in explanation_text(found, 4, WIDTH, colour=False)
    # Its first decision has expired: the newest repetition is what there is.
    found = explain(Topics(again), OPENER)  # type: ignore[arg-type]
    assert found.decided == again[-1]
    assert "came again unchanged" in explanation_text(found, 4, WIDTH, colour=False)


def test_search_ends_where_the_article_began() -> None:
    """Nothing older is read than the article's first decision, and no decision of an earlier life
    counts: ids and revisions are unique within the window only."""
    older = replace(NEW, record={**(NEW.record or {}), "sequence": 0})
    topics = Topics([REVISION, AGAIN], [DUPLICATE, NEW, older], [DUPLICATE] * 50)
    assert explain(topics, OPENER).decisions == [REVISION, AGAIN, NEW]  # type: ignore[arg-type]
    assert topics.read == 5


def test_expired_text() -> None:
    """Where the raw message has expired, that is said, and the rest is told."""
    found = explain(Topics(EVERYTHING), OTHER)  # type: ignore[arg-type]
    assert found.text.parts is None
    assert found.marked is None
    text = explanation_text(found, 4, WIDTH, colour=False)
    assert "this article: The text was in news.raw 0:2, and it has expired." in text
    assert "likeness 0.71" in text


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (as_raw(RAW[1]), "another message stands there now"),
        (as_raw(sent(2, "", "", url=url("2"))), "is not taken: empty"),
        (as_raw(sent(2, "غيره", "نص آخر", url=url("2"))), "not quite the one that was decided on"),
    ],
)
def test_another_message(there: Tailed, words: str) -> None:
    """A message that is no longer the one that was decided on is never shown as if it were."""
    found = explain(Topics(EVERYTHING, raw={2: there}), OTHER)  # type: ignore[arg-type]
    assert words in found.text.note
    assert (found.text.parts is None) == ("not quite" not in words)


def test_leader_instead_of_a_lost_text() -> None:
    """Where the text it was held against is gone, the story's first article stands beside it."""
    third = decided(
        sent(5, "فنار", CHANGED, url=url("3")),
        verdict="duplicate",
        story_id=OPENER,
        rule="exact",
        matched=OTHER,
    )
    raw = {5: as_raw(sent(5, "فنار", CHANGED, url=url("3")))}
    found = explain(Topics([*EVERYTHING, third], raw=raw), identity(url("3")))  # type: ignore[arg-type]
    assert (found.against, found.leader) == (DUPLICATE, REVISION)
    text = explanation_text(found, 4, WIDTH, colour=False)
    assert "first of the story" in text
    assert explanation_object(found, 4)["leader"]["offset"] == 4


def test_what_it_was_held_against_came_to_life_again() -> None:
    """An old copy is held against the text of its time, although that article was forgotten since
    and has opened a story anew."""
    anew = replace(NEW, offset=99, record={**(NEW.record or {}), "sequence": 99})
    topics = Topics([anew], [DUPLICATE, NEW], raw=TEXTS)
    assert explain(topics, OTHER).against == NEW  # type: ignore[arg-type]


def test_nothing_left_of_what_it_was_held_against() -> None:
    """A match whose records have expired is named all the same."""
    found = explain(Topics([DUPLICATE], raw=TEXTS), OTHER)  # type: ignore[arg-type]
    assert found.against is None
    text = explanation_text(found, 1, WIDTH, colour=False)
    assert f"held against {OPENER}, of which no decision is left" in text


def test_unknown() -> None:
    """An id of nothing says where it was looked for, in how much, and what to type."""
    for find in (explain, story):
        with pytest.raises(UsageError, match=r"news\.articles or news\.duplicates; all 4") as error:
            find(Topics(EVERYTHING), "0" * 32)  # type: ignore[operator]
        assert "`khabar tail dead-letters`" in str(error.value)
        assert "\n" not in str(error.value)


def test_foreign_records() -> None:
    """Records of somebody else's on our topics are passed over."""
    foreign = replace(NEW, record={"article_id": OTHER, "name": "no decision"})
    broken = replace(NEW, record=None)
    found = explain(Topics([foreign, broken, *EVERYTHING], raw=TEXTS), OTHER)  # type: ignore[arg-type]
    assert found.decided == DUPLICATE


@pytest.mark.parametrize(
    ("given_text", "page"),
    [
        (url("1"), url("1")),
        ("fanar.example/1?utm_source=x", url("1")),
        (f" {OPENER.upper()} ", url("1")),
    ],
)
def test_identity(given_text: str, page: str) -> None:
    """An article is named by its id or by any spelling of its address."""
    assert identity(given_text) == identity(page)


@pytest.mark.parametrize(
    "given_text", ["", "x", "abc123", "https://fanar.example/", "خبر", "\ud800"]
)
def test_no_identity(given_text: str) -> None:
    """What names no article says what does."""
    with pytest.raises(UsageError, match="32 hex digits"):
        identity(given_text)


# --- why ----------------------------------------------------------------------------------------


def test_update_by_news() -> None:
    """An update is explained by what its whole story had not told, although the text that it was
    held against lacks more of it."""
    topics = lived(
        RAW[1],
        NEWS,
        sent(6, "متحف في الفنار", f"{WIRE} {MUSEUM}", url=url("6")),
        sent(7, "متحف في فنار الجرف", f"{WIRE} {MUSEUM} {FERRY}", url=url("7")),
    )
    found = [explain(topics, identity(url(name))) for name in "567"]  # type: ignore[arg-type]
    news = [each.news.news for each in found if each.news]
    assert [record_of(each.decided)["rule"] for each in found] == ["news"] * 3
    assert [text.split()[0] for text in news] == ["غواصين", "أعلنت", "تنطلق"]
    last = found[-1]
    assert last.against is not None
    assert record_of(last.against)["article_id"] == OPENER
    assert any("متحف صغير" in text for text in said(last.marked))
    text = explanation_text(last, 4, WIDTH, colour=False)
    assert "asked of one story: 0.623, as they are 9.1 hours apart, within 60" in text
    assert "64 make an update" in " ".join(text.split())
    told = explanation_object(last, 4)
    assert told["news"]["most_new"] == news[-1]
    assert told["hours_apart"] == last.hours
    life = story(topics, OPENER)  # type: ignore[arg-type]
    assert [each.news for each in life.news.values()] == news
    # Without the text that opened the story nobody can tell what was new to it.
    lost = Topics(topics.steps[0][1:], raw=topics.raw)
    assert explain(lost, identity(url("7"))).news is None  # type: ignore[arg-type]
    assert not story(lost, OPENER).news  # type: ignore[arg-type]


def test_update_by_numbers() -> None:
    """Where only a number differs, it is what is marked, and the limit on the rest is said."""
    found = explain(lived(RAW[1], sent(2, "", TWELVE, url=url("2"))), OTHER)  # type: ignore[arg-type]
    assert record_of(found.decided)["rule"] == "numbers"
    assert (said(found.marked), found.news and found.news.news) == (["14"], "14")
    text = " ".join(explanation_text(found, 2, WIDTH, colour=False).split())
    assert "the same text with another number, likeness 0." in text
    assert "up to 0.05, another number makes an update" in text


@pytest.mark.parametrize(
    ("cue", "verdict", "words"),
    [
        ("تصحيح", "correction", "it says that it corrects the story"),
        ("متابعة", "update", "it says that the story goes on"),
    ],
)
def test_cues(cue: str, verdict: str, words: str) -> None:
    """What the newsroom itself says of the article is named, with the cue."""
    raw = sent(2, f"{cue}: عودة الضوء إلى الفنار", WIRE + " هكذا.", url=url("2"))
    found = explain(lived(RAW[1], raw), OTHER)  # type: ignore[arg-type]
    record = record_of(found.decided)
    assert record["verdict"] == verdict
    text = explanation_text(found, 2, WIDTH, colour=False)
    assert words in text
    assert f"cues: {record['cues'][0]}" in text
    assert f"{verdict} of {OPENER}, containment 1.00\n" in text


def test_a_part() -> None:
    """A part of a longer text and a text that has such a part: both stay stories of their own, and
    the link says so."""
    item = sent(2, "الفنار", WIRE, url=url("2"))
    digest = sent(3, "نشرة", f"{OTHER_NEWS}\n\n{MUSEUM}\n\n{FERRY}\n\n{WIRE}", url=url("3"))
    topics = lived(replace(digest, origin=replace(digest.origin, offset=1)), item)
    found = explain(topics, OTHER)  # type: ignore[arg-type]
    digest_id = identity(url("3"))
    assert record_of(found.decided)["verdict"] == "part_of"
    text = explanation_text(found, 2, WIDTH, colour=False)
    for words in (
        "a part of a longer text, containment 1.00",
        "below that, a containment of 0.8 links them",
        f"part of {digest_id}, containment 1.00, a story of its own",
    ):
        assert words in " ".join(text.split())
    assert not said(found.marked)
    # As it opens a story, nothing older is read for that.
    life = story(topics, OTHER)  # type: ignore[arg-type]
    assert life.decisions == [found.decided]
    assert f"part of {digest_id}" in story_text(life, 2, WIDTH, colour=False, everything=False)

    topics = lived(replace(item, origin=replace(item.origin, offset=1)), digest)
    text = shown(topics, digest_id)
    assert text.startswith("⁨نشرة⁩")
    assert f"contains {OTHER}, containment 0.99, a story of its own" in text


def test_late() -> None:
    """Days apart more likeness is asked; the hours are those that the decision counted: the
    broker's time stands in for an unknown one and for one to come."""
    copy = sent(90, "عودة الضوء إلى الفنار", WIRE + " هكذا.", url=url("2"))
    found = explain(lived(RAW[1], copy), OTHER)  # type: ignore[arg-type]
    assert record_of(found.decided)["rule"] == "likeness-late"
    assert found.hours is not None
    assert f"0.7, as they are {found.hours:.1f} hours apart, more than 60" in explanation_text(
        found, 2, WIDTH, colour=False
    )
    to_come = sent(1, "", WIRE, url=url("1"), published_at="2031-01-01T00:00:00Z")
    assert explain(lived(to_come, copy), OTHER).hours == 89  # type: ignore[arg-type]


# --- a story ------------------------------------------------------------------------------------


def test_a_story() -> None:
    """A story's life in order, whichever of its articles names it; copies are folded, and what is
    new in a revision is told."""
    for name in (OPENER, OTHER):
        topics = Topics([REVISION, DUPLICATE], [NEW, AGAIN])
        found = story(topics, name)  # type: ignore[arg-type]
        assert (found.story_id, found.decisions) == (OPENER, EVERYTHING)
        assert list(found.news) == [4]
    text = story_text(found, 4, WIDTH, colour=False, everything=False)
    assert "2 articles of 2 sources, 2 published, 2 held back\n" in text
    assert "2 held back: ⁨مرآة المرفأ⁩, ⁨صدى الفنار⁩" in text
    assert "new, 8 of 43 words: ⁨وأضاف أن احتفالاً صغيراً يقام مساء الخميس⁩" in text
    assert text.index("no-match") < text.index("held back: ") < text.index("same-id")
    unfolded = story_text(found, 4, WIDTH, colour=False, everything=True)
    assert "nearly the same text, likeness 0.71 · rule likeness" in unfolded
    assert "held back: " not in unfolded
    told = story_object(found, 4)
    assert [each["offset"] for each in told["decisions"]] == [1, 2, 3, 4]
    assert told["decisions"][3]["news"]["new_words"] > 0
    assert json.dumps(told)


def test_a_story_without_its_opener() -> None:
    """A story is found by its id although the article that opened it has expired."""
    found = story(Topics([DUPLICATE]), OPENER)  # type: ignore[arg-type]
    assert found.decisions == [DUPLICATE]
    text = story_text(found, 1, WIDTH, colour=False, everything=False)
    assert "no longer in the topics" in text


def test_a_story_of_the_same_name_before() -> None:
    """What an earlier story of the same id had, a window ago, is no part of this one."""
    before = [
        replace(each, record={**(each.record or {}), "sequence": each.offset - 10})
        for each in EVERYTHING
    ]
    found = story(Topics(EVERYTHING + before), OPENER)  # type: ignore[arg-type]
    assert found.decisions == EVERYTHING


def test_another_partitioner() -> None:
    """Only the partition of the story's key is read; when its opener is not there, or not all of
    what is known, all are."""

    class Two(Topics):
        def partition(self, key: bytes | None) -> int:
            return 1

    here = [replace(each, partition=1) for each in EVERYTHING]
    topics = Two(here)
    assert story(topics, OTHER).decisions == here  # type: ignore[arg-type]
    assert topics.keys == [None, OPENER.encode()]
    for messages in (EVERYTHING, [*EVERYTHING[:1], *here[1:]], [*here[:1], *EVERYTHING[1:]]):
        topics = Two(messages)
        assert story(topics, OTHER).decisions == messages  # type: ignore[arg-type]
        assert topics.keys == [None, OPENER.encode(), None]


# --- texts beside each other --------------------------------------------------------------------


def text_of(title: str, body: str, language: str = "ar") -> tuple[Part, ...]:
    return text_parts(title, "", body, language)


def test_spelling_is_not_new() -> None:
    """Harakat, digits of another script, quotes and case make nothing new: words of the match
    layer are compared."""
    one = text_of("", "قال «الحارس» إنّ 12 سفينة دخلت المرفأ القديم")
    other = text_of("", 'قال "الحارس" إن ١٢ سفينة دخلت المرفأ القديم')
    assert said(compare(one, other)) == said(compare(other, one)) == []


def test_a_moved_passage_is_shared() -> None:
    """Paragraphs in another order are shared: the measures know no order either."""
    one = text_of("", "دخلت السفن المرفأ ليلاً\n\nعاد الضوء إلى البرج العالي")
    other = text_of("", "عاد الضوء إلى البرج العالي\n\nدخلت السفن المرفأ ليلاً")
    assert not compare(one, other).new


def test_passages_are_read() -> None:
    """Common words within a new passage are marked with it and not counted; a name or a number that
    both have stays shared."""
    one = text_of("", "عاد الضوء إلى البرج. قال الحارس إن السفن في المرفأ القديم")
    other = text_of("", "قال إن العمال في المرفأ عاد")
    marked = compare(one, other)
    assert (said(marked), marked.new) == (
        ["الضوء إلى البرج. قال الحارس إن السفن", "القديم"],
        5,
    )


def test_numbers_are_words() -> None:
    """A number is the same in digits and as a word, as it is for the measures."""
    assert not compare(text_of("", "غرقت ثلاث سفن"), text_of("", "غرقت 3 سفن")).new


def test_short_texts() -> None:
    """Texts of one or two words are compared by those; an empty one shares nothing."""
    assert not compare(text_of("الفنار", ""), text_of("الفنار", "")).new
    assert said(compare(text_of("الفنار القديم", ""), text_of("القديم", ""))) == ["الفنار"]
    assert compare(text_of("الفنار", ""), text_of("", "")).new == 1
    assert compare(text_of("", ""), text_of("الفنار", "")).words == 0


bodies = st.lists(
    st.sampled_from(["الفنار", "المرفأ", "عاد", "12", "«ليلاً»", "—", "a-b", "...", "\n\n", "يَوْم"]),
    max_size=25,
).map(" ".join)


@given(bodies, bodies, st.sampled_from(["ar", "en"]))
def test_stretches_are_the_text(one: str, other: str, language: str) -> None:
    """The stretches of each part, joined, are its display text; those next to each other differ,
    and a text beside itself has nothing new."""
    first, second = text_of("عنوان", one, language), text_of("", other, language)
    marked = compare(first, second)
    for name, text in (("title", "عنوان"), ("standfirst", ""), ("body", one)):
        part = marked.parts[name]
        assert "".join(each.text for each in part) == text
        assert all(a.new != b.new for a, b in pairwise(part))
    assert 0 <= marked.new <= marked.words
    assert bool(said(marked)) == bool(marked.new)
    assert compare(first, first).new == 0


evil = pytest.mark.parametrize("text", EVIL.values(), ids=EVIL.keys())


def evil_story(text: str) -> Topics:
    """A story whose opener, copy and revision say `text` wherever they can."""
    text = text.encode("utf-8", "ignore").decode()  # what Avro can hold
    taken = text.replace("\0", "")  # what Decode takes
    messages = [
        sent(n, f"{n} {taken}", f"{WIRE} {n}\n\n{taken}", url=url(str(1 + n % 2)), source=taken)
        for n in (2, 3, 4)
    ]
    new, copy, revision = (
        decided(messages[0], rule=text),
        decided(messages[1], verdict="duplicate", story_id=OPENER, matched=OPENER, rule=text),
        decided(messages[2], verdict="revision", matched=OPENER, revision=2, supersedes=1),
    )
    for each in (new, revision):
        value = each.record or {}
        value.update(title=text, standfirst=text, outlet=text, url=text)
        assert value["article_id"] == OPENER
    return Topics([new, copy, revision], raw={3: as_raw(messages[1])})


@evil
def test_on_a_terminal(text: str) -> None:
    """Explanation and story of hostile texts take a row for each line, and change neither cursor
    nor other rows; colours are those of our marks."""
    topics = evil_story(text[:30])  # all of it has to fit on the screen
    for columns, colour in ((79, True), (55, False)):
        for name in (OPENER, OTHER):
            found = explain(topics, name)  # type: ignore[arg-type]
            assert found.marked is not None
            check(explanation_text(found, 3, columns, colour) + "\n", styled=colour)
        life = story(topics, OPENER)  # type: ignore[arg-type]
        check(story_text(life, 3, columns, colour, everything=True) + "\n", styled=colour)


@given(bodies, bodies, st.integers(45, 130), st.booleans())
def test_lines_fit(one: str, other: str, columns: int, colour: bool) -> None:
    """No line is longer than it may be, and the line between the texts is straight."""
    topics = Topics(
        [
            decided(sent(1, "عنوان", other or "نص", url=url("1"))),
            decided(
                sent(2, "عنوان", one, url=url("2")),
                verdict="duplicate",
                story_id=OPENER,
                matched=OPENER,
            ),
        ],
        raw={2: as_raw(sent(2, "عنوان", one, url=url("2")))},
    )
    text = explanation_text(explain(topics, OTHER), 2, columns, colour)  # type: ignore[arg-type]
    text += "\n" + story_text(story(topics, OTHER), 2, columns, colour, True)  # type: ignore[arg-type]
    shown = re.sub(r"\x1b\[(1;3[12]|0|1)m", "", text)
    for line in shown.splitlines():
        assert line.count("\u2068") == line.count("\u2069")
        assert width(line) <= columns, line
    between = {width(line.partition("│")[0]) for line in shown.splitlines() if "│" in line}
    assert len(between) == (columns >= 60 and "this article" in shown)


def test_for_programs() -> None:
    """The object holds the decision, both texts as stretches, and every decision; any JSON writer
    takes it."""
    found = explain(Topics(EVERYTHING, raw=TEXTS), OTHER)  # type: ignore[arg-type]
    told = json.loads(json.dumps(explanation_object(found, 4)))
    assert told["article_id"] == OTHER
    assert told["decision"]["value"]["rule"] == "likeness"
    assert told["against"]["value"]["article_id"] == OPENER
    assert {"text": "14", "new": True} in told["text"]["parts"]["body"]
    assert {"text": "12", "new": True} in told["against_text"]["parts"]["body"]
    assert told["text"]["new_words"] > 0
    assert told["read"] == 4
    alone = explanation_object(explain(Topics([NEW]), OPENER), 1)  # type: ignore[arg-type]
    assert alone["text"]["parts"]["body"] == [{"text": WIRE}]
    assert alone["against"] is None
