"""What the measures of stories are computed by: pure functions over labels and assignments.

A story assignment maps a URL to a story's name; what the names are does not matter.
"""

from __future__ import annotations

import collections
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

Stories = Mapping[str, str]


class Pair(NamedTuple):
    """Two articles, `a` the earlier one, and what a reader said of them.

    `same`: the same story. `change`: what `b` is to a reader of `a` (update, duplicate), or empty.
    `weight`: for how many candidate pairs it stands; `stratum`: among which it was drawn.
    """

    a: str
    b: str
    same: bool
    change: str = ""
    weight: float = 1.0
    stratum: str = ""


class Score(NamedTuple):
    """Each between 0 and 1; 0 where nothing was found, or nothing was there to find."""

    precision: float
    recall: float
    f1: float

    def __str__(self) -> str:
        return f"P {self.precision:.3f} R {self.recall:.3f} F1 {self.f1:.3f}"


def score(right: float, wrong: float, missed: float) -> Score:
    return Score(
        right / (right + wrong) if right else 0.0,
        right / (right + missed) if right else 0.0,
        2 * right / (2 * right + wrong + missed) if right else 0.0,
    )


def judged(answers: Iterable[tuple[bool, bool, float]]) -> Score:
    """The score of answers: each what was said, what is true, and how much it counts."""
    right = wrong = missed = 0.0
    for said, true, weight in answers:
        right += weight * (said and true)
        wrong += weight * (said and not true)
        missed += weight * (true and not said)
    return score(right, wrong, missed)


def pair_score(pairs: Iterable[Pair], story_of: Stories, weighted: bool) -> Score:
    """Of the pairs in one story, the share that should be; of those that should, the share."""
    return judged(
        (story_of[pair.a] == story_of[pair.b], pair.same, pair.weight if weighted else 1.0)
        for pair in pairs
    )


def interval(
    pairs: Sequence[Pair], measure: Callable[[list[Pair]], float], rounds: int = 1000
) -> tuple[float, float]:
    """The middle 95 % of `measure` over pairs drawn again, with repetition, in each stratum.

    Efron's percentile bootstrap (1979). It says what another draw of as many pairs would have
    shown, nothing about other news or other readers.
    """
    return drawn_again(
        [pair.stratum for pair in pairs],
        lambda drawn: measure([pairs[at] for at in drawn]),
        rounds,
    )


def drawn_again(
    strata: Sequence[str], measure: Callable[[list[int]], float], rounds: int = 1000
) -> tuple[float, float]:
    """The same of positions: `strata` names that of each."""
    positions = collections.defaultdict(list)
    for at, stratum in enumerate(strata):
        positions[stratum].append(at)
    chance = random.Random(0)
    values = sorted(
        measure([at for each in positions.values() for at in chance.choices(each, k=len(each))])
        for _ in range(rounds)
    )
    return values[round(0.025 * (rounds - 1))], values[round(0.975 * (rounds - 1))]


class Known(NamedTuple):
    """What the labels say of stories: the articles that are one, and which of these are not."""

    stories: tuple[frozenset[str], ...]
    apart: frozenset[tuple[int, int]]  # positions in `stories`, the lower one first


def known_stories(pairs: Iterable[Pair]) -> Known:
    """The labels, closed: what is the same as the same is the same.

    An article of no same pair is a story by itself. Raises ValueError for labels that contradict
    each other.
    """
    pairs = list(pairs)
    joined = united((pair.a, pair.b) for pair in pairs if pair.same)
    members = collections.defaultdict(set)
    for url in {url for pair in pairs for url in (pair.a, pair.b)}:
        members[joined.get(url, url)].add(url)
    names = sorted(members)
    number = {name: at for at, name in enumerate(names)}
    apart = set()
    for pair in pairs:
        one, other = (number[joined.get(url, url)] for url in (pair.a, pair.b))
        if not pair.same:
            if one == other:
                raise ValueError(f"labelled one story and not: {pair.a} {pair.b}")
            apart.add((min(one, other), max(one, other)))
    return Known(tuple(frozenset(members[name]) for name in names), frozenset(apart))


def united(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Union-find: for each name in a pair, one name that stands for all that it is linked to."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name

    for one, other in pairs:
        low, high = sorted((top(one), top(other)))
        above[high] = low
    return {name: top(name) for name in above}


def story_score(known: Known, story_of: Stories) -> Score:
    """How many stories are right as a whole; each counts once, whatever its size.

    Precision: of the stories with two or more articles whose relation is labelled, those that hold
    none that belong apart. Recall: of the labelled stories of two or more articles, those whose
    labelled articles are all in one story.
    """
    there = [{story_of[url] for url in story} for story in known.stories]
    mixed: set[str] = set()
    for one, other in known.apart:
        mixed |= there[one] & there[other]
    several = [at for at, story in enumerate(known.stories) if len(story) > 1]
    counts = collections.Counter((at, story_of[url]) for at in several for url in known.stories[at])
    joined = {story for (_, story), count in counts.items() if count > 1} | mixed
    precision = len(joined - mixed) / len(joined) if joined else 0.0
    recall = sum(len(there[at]) == 1 for at in several) / len(several) if several else 0.0
    both = precision + recall
    return Score(precision, recall, 2 * precision * recall / both if both else 0.0)


class Agreement(NamedTuple):
    """How far two assignments of the same articles make the same stories, each 0 to 1."""

    pairs: float  # of the pairs in one story in either, those in both (F1)
    articles: float  # B-cubed F1
    unchanged: float  # articles with the very same companions


def agreement(one: Stories, other: Stories) -> Agreement:
    """Raises ValueError when they are not about the same articles."""
    if one.keys() != other.keys():
        raise ValueError("two sets of articles")
    sizes, others = collections.Counter(one.values()), collections.Counter(other.values())
    common = collections.Counter((one[url], other[url]) for url in one)
    together, together_other, together_both = (
        sum(count * (count - 1) for count in counts.values()) for counts in (sizes, others, common)
    )
    precision = sum(n * n / others[b] for (_, b), n in common.items()) / len(one)
    recall = sum(n * n / sizes[a] for (a, _), n in common.items()) / len(one)
    unchanged = sum(n for (a, b), n in common.items() if n == sizes[a] == others[b])
    either = together + together_other
    return Agreement(
        2 * together_both / either if either else 1.0,
        2 * precision * recall / (precision + recall),
        unchanged / len(one),
    )


class Reached(NamedTuple):
    """How far some articles end in the stories of another assignment, each 0 to 1."""

    same: float  # in the story that stands for theirs
    articles: float  # B-cubed F1 of these articles
    unchanged: float  # with the very same companions


def reached(one: Stories, other: Stories, moved: Collection[str]) -> Reached:
    """Where the `moved` articles, at least one, end in `other`, held against `one`.

    Stories of both are paired off, those first that have the most articles in common, then those
    with the most in common that did not move: an article has reached its story when its two
    stories are such a pair. So of a story in two halves one half has reached it, and where a
    stranger joins a story, only the stranger has not.
    """
    sizes, others = collections.Counter(one.values()), collections.Counter(other.values())
    shared = collections.defaultdict(list)
    for url in sorted(one):
        shared[one[url], other[url]].append(url)
    common = {both: len(urls) for both, urls in shared.items()}
    stayed = {both: sum(url not in moved for url in urls) for both, urls in shared.items()}
    stands_for: dict[str, str] = {}
    taken: set[str] = set()
    for both in sorted(shared, key=lambda both: (-common[both], -stayed[both], shared[both][0])):
        if both[0] not in stands_for and both[1] not in taken:
            stands_for[both[0]] = both[1]
            taken.add(both[1])
    of_moved = [(one[url], other[url]) for url in moved]
    precision = sum(common[a, b] / others[b] for a, b in of_moved) / len(of_moved)
    recall = sum(common[a, b] / sizes[a] for a, b in of_moved) / len(of_moved)
    return Reached(
        sum(stands_for.get(a) == b for a, b in of_moved) / len(of_moved),
        2 * precision * recall / (precision + recall),
        sum(common[a, b] == sizes[a] == others[b] for a, b in of_moved) / len(of_moved),
    )


def best_threshold(values: Sequence[float], truths: Sequence[bool]) -> float:
    """The threshold (a value is true from it on) with the best F1, half way between two values.

    Of equals the highest; infinite when there is nothing true.
    """
    ordered = sorted(set(values), reverse=True)
    best, chosen = 0.0, float("inf")
    for value, below in zip(ordered, [*ordered[1:], ordered[-1]], strict=True):
        found = judged(
            (each >= value, true, 1.0) for each, true in zip(values, truths, strict=True)
        )
        if found.f1 > best:
            best, chosen = found.f1, (value + below) / 2
    return chosen


def held_out(
    values: Sequence[float], truths: Sequence[bool], folds: int = 5, rounds: int = 20
) -> list[list[bool]]:
    """What thresholds say of values that they were not chosen on.

    Each fifth is judged by the threshold that is best on the other four, in `rounds` ways to cut
    the data in five.
    """
    said = []
    for turn in range(rounds):
        order = list(range(len(values)))
        random.Random(turn).shuffle(order)
        answers = [False] * len(values)
        for fold in range(folds):
            held = order[fold::folds]
            rest = sorted(set(order) - set(held))
            threshold = best_threshold([values[at] for at in rest], [truths[at] for at in rest])
            for at in held:
                answers[at] = values[at] >= threshold
        said.append(answers)
    return said


def mean_score(
    said: Sequence[Sequence[bool]], truths: Sequence[bool], positions: Iterable[int] | None = None
) -> Score:
    """The mean score of several rounds of answers, at these positions or at all."""
    chosen = range(len(truths)) if positions is None else list(positions)
    scores = [judged((answers[at], truths[at], 1.0) for at in chosen) for answers in said]
    return Score(*(sum(each) / len(scores) for each in zip(*scores, strict=True)))


def cross_validated(values: Sequence[float], truths: Sequence[bool]) -> Score:
    """The score of a threshold on values that it was not chosen on."""
    return mean_score(held_out(values, truths), truths)


def densest_news(earlier: Sequence[str], later: Sequence[str], words: int = 20) -> int:
    """The most words that `earlier` does not have, among any `words` successive ones of `later`."""
    seen = set(earlier)
    unseen = [word not in seen for word in later]
    most = current = sum(unseen[:words])
    for entering, leaving in zip(unseen[words:], unseen, strict=False):
        current += entering - leaving
        most = max(most, current)
    return most


def shingles(words: Sequence[str], n: int) -> set[tuple[str, ...]]:
    """The runs of `n` successive words; all words as one, where there are fewer."""
    return (
        {tuple(words[at : at + n]) for at in range(max(1, len(words) - n + 1))} if words else set()
    )


def unseen_share(earlier: Sequence[str], later: Sequence[str], n: int = 3) -> float:
    """The share of the later text's word n-grams that the earlier one does not have."""
    new, seen = shingles(later, n), shingles(earlier, n)
    return len(new - seen) / len(new) if new else 0.0
