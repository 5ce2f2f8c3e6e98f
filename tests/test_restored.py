"""A writer that is killed and starts again, over eleven days of real news."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._news import read_articles
from pipelines.records import Article, Decision, Origin
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize
from tests.stages.test_decide import without_told

pytestmark = pytest.mark.slow

DAY = 24 * 3600 * 1000
CUTS = (1, 3_000, 7_000, 11_000, 15_000)
# Messages before each cut that come again behind it.
AGAIN = 200


@pytest.fixture(scope="module")
def articles(shared: Path) -> list[Article]:
    """As Decide gets them, in the order of their publication."""
    return [fingerprint(normalize(clean(article))) for article in read_articles(shared)]


def decided(article: Article, offset: int, index: Index) -> Article:
    return decide(article, Origin("news.raw", 0, offset, article.ingested_at), index)


def restored(entries: list[bytes], options: dict[str, int]) -> Index:
    index = Index(**options)
    index.restore(*entries)
    return index


@pytest.mark.parametrize(
    "options",
    [{}, {"window_ms": 2 * DAY}, {"max_stories": 1500}],
    ids=["defaults", "two days", "under pressure"],
)
def test_a_killed_index_answers_like_the_one_that_went_on(
    articles: list[Article], options: dict[str, int]
) -> None:
    """All development articles, killed at several points: the index restored from its entries
    knows what it decided, and decides all that follows as the uninterrupted one does.
    """
    assert len(articles) == 15_042
    live = Index(**options)
    decisions: list[Decision] = []
    entries: list[bytes] = []
    others: dict[int, Index] = {}
    for offset, article in enumerate(articles):
        if offset in CUTS:
            index = others[offset] = restored(entries, options)
            assert (index.last_sequence, len(index)) == (offset, len(live))
            for before in range(max(0, offset - AGAIN), offset):
                again = decided(articles[before], before, index)
                assert again.decision == decisions[before]
                assert again.entry == without_told(entries[before])
        now = decided(article, offset, live)
        decisions.append(now.decision)
        entries.append(now.entry)
        for cut, index in others.items():
            found = decided(article, offset, index)
            assert found.decision == now.decision, f"killed before {cut}, differs at {offset}"
            assert found.entry == now.entry
    assert list(others) == list(CUTS)
    assert {len(index) for index in others.values()} == {len(live)}
    assert [each.sequence for each in decisions] == list(range(1, len(articles) + 1))
    assert (live.pushed_out > 0) == ("max_stories" in options)
