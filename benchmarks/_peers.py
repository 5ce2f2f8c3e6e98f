"""How others tell near-identical texts apart, at their usual settings, and the bare rule.

Each is used in two ways. First match: an article joins the story of the earliest kept text that it
matches, and is kept itself only when there is none, as streams are de-duplicated. Union-find: all
are kept, and all that match are one story, as batches are.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from datasketch import MinHash, MinHashLSH
from rensa import RMinHash, RMinHashDeduplicator
from simhash import Simhash, SimhashIndex

from benchmarks._scores import shingles, united
from pipelines.records import Article

PERMUTATIONS = 128
THRESHOLDS = (0.7, 0.8)
SHINGLES = (3, 5)
DISTANCE = 3
NEAR_MS = 60 * 3600 * 1000


class Found(NamedTuple):
    """A peer's stories, by URL, and what an article took it, in microseconds."""

    name: str
    stories: dict[str, str]
    micros: float


class Memory(Protocol):
    def find(self, sketch: Any) -> list[int]: ...

    def add(self, at: int, sketch: Any) -> None: ...


class _Datasketch:
    def __init__(self, threshold: float) -> None:
        self._lsh = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)

    def find(self, sketch: MinHash) -> list[int]:
        return self._lsh.query(sketch)

    def add(self, at: int, sketch: MinHash) -> None:
        self._lsh.insert(at, sketch, check_duplication=False)


class _Rensa:
    def __init__(self, threshold: float) -> None:
        self._kept = RMinHashDeduplicator(threshold, PERMUTATIONS, use_lsh=True)

    def find(self, sketch: RMinHash) -> list[int]:
        return [int(name) for name in self._kept.get_duplicates(sketch)]

    def add(self, at: int, sketch: RMinHash) -> None:
        self._kept.add(str(at), sketch)


class Wide(Simhash):
    """Simhash as it is by default; but its way to count a feature that occurs more than 50 times
    overflows with numpy 2, so all are counted in the other way, with the same result.
    """

    large_weight_cutoff = 1 << 30


class _Simhash:
    def __init__(self, distance: int) -> None:
        self._index = SimhashIndex([], k=distance)

    def find(self, sketch: Simhash) -> list[int]:
        return [int(name) for name in self._index.get_near_dups(sketch)]

    def add(self, at: int, sketch: Simhash) -> None:
        self._index.add(str(at), sketch)


def joined_shingles(text: str, n: int) -> list[str]:
    words = text.split()
    return list({" ".join(words[at : at + n]) for at in range(max(1, len(words) - n + 1))})


def datasketch_sketch(text: str, n: int, permutations: int = PERMUTATIONS) -> MinHash:
    sketch = MinHash(num_perm=permutations)
    sketch.update_batch([gram.encode() for gram in joined_shingles(text, n)])
    return sketch


def rensa_sketch(text: str, n: int, permutations: int = PERMUTATIONS) -> RMinHash:
    sketch = RMinHash(num_perm=permutations, seed=42)
    sketch.update(joined_shingles(text, n))
    return sketch


def first_match(sketches: Sequence[Any], memory: Memory) -> list[int]:
    """For each sketch the position of the text that opened its story."""
    stories = []
    for at, sketch in enumerate(sketches):
        found = memory.find(sketch)
        stories.append(min(found) if found else at)
        if not found:
            memory.add(at, sketch)
    return stories


def union_find(sketches: Sequence[Any], memory: Memory) -> list[int]:
    links = []
    for at, sketch in enumerate(sketches):
        links += [(f"{each:09}", f"{at:09}") for each in memory.find(sketch)]
        memory.add(at, sketch)
    tops = united(links)
    return [int(tops.get(f"{at:09}", at)) for at in range(len(sketches))]


def layers(articles: Sequence[Article]) -> dict[str, list[str]]:
    """What a peer reads: the text as it came, or the layer that Khabar itself compares."""
    match = [f"{each.match.standfirst} {each.match.body}".strip() for each in articles]
    return {
        "match": [text or each.match.title for text, each in zip(match, articles, strict=True)],
        "raw": [each.raw_body.strip() or each.raw_title for each in articles],
    }


def found_by_peers(articles: Sequence[Article]) -> Iterator[Found]:
    """`articles` come in stream order, normalized."""
    urls = [article.url for article in articles]
    uses = {"first match": first_match, "union-find": union_find}

    def assigned(
        name: str, make: Callable[[str], Any], texts: list[str], memories: dict[str, Any]
    ) -> Iterator[Found]:
        began = time.perf_counter()
        sketches = [make(text) for text in texts]
        sketching = time.perf_counter() - began
        for setting, memory in memories.items():
            for use, assign in uses.items():
                began = time.perf_counter()
                stories = assign(sketches, memory())
                taken = sketching + time.perf_counter() - began
                yield Found(
                    f"{name} {setting}, {use}",
                    dict(zip(urls, map(str, stories), strict=True)),
                    taken / len(texts) * 1e6,
                )

    for layer, texts in layers(articles).items():
        for n in SHINGLES:
            yield from assigned(
                f"datasketch {layer} {n}-grams",
                lambda text, n=n: datasketch_sketch(text, n),
                texts,
                {f"≥ {each}": lambda each=each: _Datasketch(each) for each in THRESHOLDS},
            )
            yield from assigned(
                f"rensa {layer} {n}-grams",
                lambda text, n=n: rensa_sketch(text, n),
                texts,
                {f"≥ {each}": lambda each=each: _Rensa(each) for each in THRESHOLDS},
            )
        # Its own features: all runs of four letters.
        yield from assigned(
            f"SimHash {layer}", Wide, texts, {f"≤ {DISTANCE}": lambda: _Simhash(DISTANCE)}
        )


def bare_rule(articles: Sequence[Article], near: float = 0.27, late: float = 0.46) -> Found:
    """The exact Jaccard similarity of word 3-grams with every text that opened a story.

    At least `near` within 60 hours, `late` after that; of several the most alike.
    """
    began = time.perf_counter()
    stories: dict[str, str] = {}
    holders: dict[tuple[str, ...], list[int]] = collections.defaultdict(list)
    sizes: dict[int, int] = {}
    for at, (article, text) in enumerate(zip(articles, layers(articles)["match"], strict=True)):
        grams = shingles(text.split(), 3)
        common = collections.Counter(each for gram in grams for each in holders.get(gram, ()))
        best, opened = 0.0, at
        for each, count in common.items():
            alike = count / (len(grams) + sizes[each] - count)
            gap = abs(article.published.utc - articles[each].published.utc)
            if alike >= (near if gap <= NEAR_MS else late) and (alike, -each) > (best, -opened):
                best, opened = alike, each
        stories[article.url] = str(opened)
        if opened == at:
            sizes[at] = len(grams)
            for gram in grams:
                holders[gram].append(at)
    return Found("bare rule", stories, (time.perf_counter() - began) / len(articles) * 1e6)
