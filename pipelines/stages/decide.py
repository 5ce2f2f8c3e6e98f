"""Decide: is this article new, a copy of one that was seen, or does it tell more of a story?

The one stage that is not pure: it asks the writer's index and leaves its decision there. The same
articles in the same order give the same decisions, in one run or across a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pipelines.records import (
    Article,
    Decision,
    Fingerprint,
    Origin,
    Related,
    Removal,
    Verdict,
    changed,
)
from pipelines.stages.entry import (
    LEADER,
    LONGER,
    NEWS_STEPS,
    NOWHERE,
    REMOVED,
    SAME_CONTENT,
    SCORE_STEPS,
    TEXTLESS,
    TOLD,
    pack_entry,
    short,
)
from pipelines.stages.fingerprint import FILTER_BYTES, signature_weight
from pipelines.stages.index import STATE_VERSION, Found, Index, Known
from pipelines.stages.likeness import NEXT_TO_NOTHING, Likeness, holds, novelty, tokens_of
from pipelines.stages.store import NONE, TELLINGS
from pipelines.stages.weights import RARE, UNITS, changed_numbers

__all__ = ["STATE_VERSION", "Index", "decide", "entry_of", "event_time", "place_of"]

HOUR_MS = 3600 * 1000

# Most copies come within a day, while templates (weather, market closes) look alike at two days and
# more: after that more likeness is asked. All of these are measured on labelled pairs of Arabic
# news, see docs/evaluation.md.
NEAR_MS = 60 * HOUR_MS
NEAR_LIKENESS = 0.623
LATE_LIKENESS = 0.70
# Of the words of the one that says less, by weight.
CONTAINED = 0.8
# Nats of words that a story had not used, among 21 in a row: thirteen rare ones, or more others.
NEWS = 64.0
# Links of an article at most, those that hold the most of it first: a year's digest has hundreds.
MOST_LINKS = 32
# What else may be new in a text in which the numbers have changed, by weight.
OTHERWISE_EQUAL = 0.05

# Rare words that the earlier text may have beside the numbers that were changed.
_BESIDE_NUMBERS = 2

# What a newsroom says of its own article; the first that fits counts.
_CUES: tuple[tuple[str, Verdict, str], ...] = (
    ("withdrawal", "retraction", "cue-retraction"),
    ("correction", "correction", "cue-correction"),
)
_NEWS_CUES = frozenset({"update", "follow_up", "denial"})
_RELATION = {
    "update": "update_of",
    "revision": "revision_of",
    "correction": "correction_of",
    "retraction": "retraction_of",
}


def event_time(article: Article, window_ms: int) -> int:
    """When the article happened for the index, in milliseconds since 1970 UTC.

    Its publication time where the broker's time bears it out, which no source can set: within the
    window before it, and up to an hour after it for clocks that run fast. Otherwise the broker's.
    """
    claimed = article.published.utc
    now = article.ingested_at
    return claimed if claimed is not None and now - window_ms <= claimed <= now + HOUR_MS else now


def published_time(article: Article) -> int:
    """What gaps between articles are counted from: the publication time, unless it is still to come
    or unknown; then the broker's.
    """
    claimed = article.published.utc
    now = article.ingested_at
    return claimed if claimed is not None and claimed <= now + HOUR_MS else now


def decide(article: Article, origin: Origin, index: Index) -> Article:
    """Fill `article.decision` and `article.entry`, and take the decision into `index`: this stage
    changes its argument.

    A message that was decided before (same topic, partition, offset) gets the stored decision
    again and changes nothing; kept are those on the last 8 contents of an article and on its last
    8 repetitions. A removed article is held back as long as it is remembered, whatever its text.
    """
    found = index.ask(article.article_id, article.fingerprint, article.ingested_at)
    known = found.known
    again = known.of_message(origin, article.match.content_hash) if known else None
    if again:
        decision = changed(again.decision, event_time=event_time(article, index.window_ms))
        return changed(article, decision=decision, entry=entry_of(article, decision, origin))
    if article.removal:
        decision = _remove(article.article_id, article.removal, known)
    elif known and known.removed:
        # No other article is held against what no reader may see.
        article = changed(article, fingerprint=Fingerprint())
        decision = _held_back(article.article_id, known)
    elif known:
        decision = _judge_again(article, index, found, known)
    else:
        decision = _judge(article, index, found, 1)
    decision = changed(
        decision,
        sequence=index.last_sequence + 1,
        event_time=event_time(article, index.window_ms),
        place=place_of(article, decision, index),
    )
    entry = entry_of(article, decision, origin, told_before(decision, known, index))
    index.restore(entry)
    return changed(article, decision=decision, entry=entry)


def entry_of(article: Article, decision: Decision, origin: Origin, told: bytes = b"") -> bytes:
    """What `news.index` keeps of a decision on an article; `told` comes from `told_before`."""
    return pack_entry(
        article.article_id,
        article.match.content_hash,
        origin,
        article.ingested_at,
        published_time(article),
        decision,
        article.fingerprint,
        told,
    )


def told_before(decision: Decision, known: Known | None, index: Index) -> bytes:
    """What readers have seen of the story whose leader's text is replaced: filters of words."""
    if decision.place != LEADER or known is None or known.slot == NONE:
        return b""
    if index.story(known.slot) != decision.story_id:
        return b""
    return index.told(known.slot).tobytes()[-TELLINGS * FILTER_BYTES :]


def place_of(article: Article, decision: Decision, index: Index) -> int:
    """What the article's text becomes in its story's memory."""
    if decision.rule in TEXTLESS:
        return NOWHERE
    if decision.story_id == article.article_id:
        return LEADER
    weight = signature_weight(article.fingerprint)
    if weight and index.stands_in(decision.story_id, article.article_id, weight):
        return LONGER
    return NOWHERE if decision.verdict == "duplicate" else TOLD


def _remove(article_id: str, removal: Removal, known: Known | None) -> Decision:
    """A request to delete the article: what was published last of it, where readers have it."""
    rows = known.rows if known else ()
    return Decision(
        verdict="removal",
        story_id=removal.story_id or (rows[-1].decision.story_id if rows else article_id),
        revision=max(removal.revision, *(row.decision.revision for row in rows), 0),
        rule=REMOVED,
        novelty=0.0,
    )


def _held_back(article_id: str, known: Known) -> Decision:
    """A new message of an article that was removed."""
    last = known.rows[-1].decision
    return Decision(
        verdict="duplicate",
        story_id=last.story_id,
        revision=last.revision + 1,
        rule=REMOVED,
        matched=article_id,
        novelty=0.0,
    )


def _judge_again(article: Article, index: Index, found: Found, known: Known) -> Decision:
    """A known article in a new message: a repetition, a new revision, or to be judged anew."""
    same = known.with_content(article.match.content_hash)
    if same:
        return Decision(
            verdict="duplicate",
            story_id=known.rows[-1].decision.story_id,
            revision=same.decision.revision,
            rule=SAME_CONTENT,
            matched=article.article_id,
            jaccard=1.0,
            containment=1.0,
            likeness=1.0,
            novelty=0.0,
        )
    last = max(row.decision.revision for row in known.rows)
    story_id = known.rows[-1].decision.story_id
    # What was held back has no story of its own; the repetition of what was published has.
    if not any(
        row.decision.verdict != "duplicate" or row.decision.story_id == article.article_id
        for row in known.rows
    ):
        return _judge(article, index, found, last + 1, story_id)
    slot = index.leader(story_id)
    verdict, rule = _cued(article) or ("revision", "same-id")
    own = known.slot if known.slot != NONE else slot
    like = _Compared(own)
    if own != NONE and index.compares(own) and article.fingerprint.signature:
        how = index.likeness(article.fingerprint, [own])
        (like,) = _compare(article, index, [own], how, with_itself=True)
    new, news = _novelty(article, index, slot)
    return Decision(
        verdict=verdict,
        # The story has ended: what goes on under this article's id is a story of its own.
        story_id=article.article_id if slot == NONE else story_id,
        revision=last + 1,
        rule=rule,
        matched=article.article_id,
        jaccard=like.jaccard,
        containment=like.containment,
        likeness=like.likeness,
        novelty=new,
        news=news,
        supersedes=last,
        related=(Related(article.article_id, _RELATION[verdict], like.jaccard, like.containment),),
    )


def _judge(
    article: Article, index: Index, found: Found, revision: int, story_id: str | None = None
) -> Decision:
    """An article that no reader has seen; `story_id` is where an earlier text of it belonged."""
    if found.same:
        matched, story, content = found.same
        same_title = content == short(article.match.content_hash.encode())
        verdict: Verdict = "duplicate"
        rule = "exact" if same_title else "exact-text"
        # A headline can take back what the text under it repeats word for word.
        cued = None if same_title else _cued(article)
        if cued:
            verdict, rule = cued
        return Decision(
            verdict=verdict,
            story_id=story,
            revision=revision,
            rule=rule,
            matched=matched,
            jaccard=1.0,
            containment=1.0,
            likeness=1.0,
            novelty=0.0,
            related=(Related(matched, _RELATION[verdict], 1.0, 1.0),) if cued else (),
        )
    if not article.fingerprint.signature:
        return Decision(story_id=article.article_id, revision=revision, rule="no-match")
    own_story = list(filter(index.compares, index.texts(story_id))) if story_id else []
    likeness = index.likeness(article.fingerprint, own_story) if own_story else []
    compared: list[_Compared] = []
    for slots, how in ((own_story, likeness), (found.slots, found.likeness)):
        compared = _compare(article, index, slots, how)
        same = [each for each in compared if each.rule]
        if same:
            # max keeps the first of equals, and slots come oldest first.
            return _told_again(article, index, revision, max(same, key=_by_likeness))
    linked = [each for each in compared if each.relation]
    if len(linked) > MOST_LINKS:
        linked = sorted(linked, key=_by_containment, reverse=True)[:MOST_LINKS]
    related = tuple(
        Related(index.owner(each.slot), each.relation, each.jaccard, each.containment)
        for each in linked
    )
    within = [each for each in linked if each.relation == "part_of"]
    if within:
        best = max(within, key=_by_containment)
        new, news = _novelty(article, index, best.slot)
        return Decision(
            verdict="part_of",
            story_id=article.article_id,
            revision=revision,
            rule="contained",
            matched=index.owner(best.slot),
            jaccard=best.jaccard,
            containment=best.containment,
            likeness=best.likeness,
            novelty=new,
            news=news,
            related=related,
        )
    return Decision(
        story_id=article.article_id, revision=revision, rule="no-match", related=related
    )


def _told_again(article: Article, index: Index, revision: int, like: _Compared) -> Decision:
    """An article of a story that readers know: held back, unless it says more or takes back."""
    new, news = _novelty(article, index, like.slot)
    verdict: Verdict = "duplicate"
    rule = like.rule
    cued = _cued(article)
    if cued:
        verdict, rule = cued
    elif news >= NEWS:
        verdict, rule = "update", "news"
    elif _numbers_changed(article, index, like, new):
        verdict, rule = "update", "numbers"
    elif not _NEWS_CUES.isdisjoint(article.display.cues):
        verdict, rule = "update", "cue-update"
    matched = index.owner(like.slot)
    related: tuple[Related, ...] = ()
    if verdict != "duplicate":
        related = (Related(matched, _RELATION[verdict], like.jaccard, like.containment),)
    return Decision(
        verdict=verdict,
        story_id=index.story(like.slot),
        revision=revision,
        rule=rule,
        matched=matched,
        jaccard=like.jaccard,
        containment=like.containment,
        likeness=like.likeness,
        novelty=new,
        news=news,
        related=related,
    )


def _cued(article: Article) -> tuple[Verdict, str] | None:
    """The verdict, and its rule, that the newsroom's own words ask for."""
    cues = article.display.cues
    return next(((verdict, rule) for cue, verdict, rule in _CUES if cue in cues), None)


def _novelty(article: Article, index: Index, slot: int) -> tuple[float, float]:
    """The share of the article's words that its story has not used, and the most news in a row."""
    if slot == NONE or not article.fingerprint.signature:
        return 1.0, 0.0
    share, news = novelty(article.fingerprint, index.told(slot))
    return _step(share), round(news * NEWS_STEPS) / NEWS_STEPS


def _numbers_changed(article: Article, index: Index, like: _Compared, new: float) -> bool:
    """Whether the story's text had other numbers where the rest is the same; `new` is the share of
    the article's words that the story has not used.
    """
    weight = signature_weight(article.fingerprint) / (RARE * UNITS)
    # Each new one took the place of another, and neither text has much beside them.
    most = like.left_out + _BESIDE_NUMBERS
    if like.left_out < 1 or not 0 < new * weight <= most + OTHERWISE_EQUAL * weight:
        return False
    text = f"{article.match.standfirst} {article.match.body}".strip()
    tokens = tokens_of(article.fingerprint.text)
    count = changed_numbers(text, tokens, partial(holds, index.told(like.slot)))
    return (
        count > 0
        and (new * weight - count) <= OTHERWISE_EQUAL * weight
        and like.left_out <= count + _BESIDE_NUMBERS
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """How an article stands to one text: the rule that makes them one story, or their relation."""

    slot: int
    likeness: float = 0.0
    jaccard: float = 0.0
    containment: float = 0.0
    left_out: float = 0.0
    rule: str = ""
    relation: str = ""


def _by_likeness(compared: _Compared) -> float:
    return compared.likeness


def _by_containment(compared: _Compared) -> float:
    return compared.containment


def _compare(
    article: Article,
    index: Index,
    slots: list[int],
    likeness: list[Likeness],
    *,
    with_itself: bool = False,
) -> list[_Compared]:
    """What it means how an article stands to the texts in these slots, but for its own.

    What one holds of the other is mostly a digest's item where they are not otherwise alike, so
    such texts are linked and stay apart.
    """
    published = published_time(article)
    compared = []
    for slot, like in zip(slots, likeness, strict=True):
        if like is NEXT_TO_NOTHING:
            continue
        if not with_itself and index.owner(slot) == article.article_id:
            continue
        score, contained = _step(like.likeness), _step(like.containment)
        near = abs(published - index.published(slot)) <= NEAR_MS
        rule = relation = ""
        if score >= LATE_LIKENESS and not near:
            rule = "likeness-late"
        elif score >= NEAR_LIKENESS and near:
            rule = "likeness"
        elif contained >= CONTAINED and like.certain:
            relation = "part_of" if like.shorter else "contains"
        compared.append(
            _Compared(slot, score, _step(like.jaccard), contained, like.left_out, rule, relation)
        )
    return compared


def _step(score: float) -> float:
    """Rounded to what is stored and published of it."""
    return round(score * SCORE_STEPS) / SCORE_STEPS
