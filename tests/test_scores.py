"""The arithmetic of benchmarks/stories.py, on cases that can be worked out by hand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._scores import (
    Known,
    Pair,
    agreement,
    best_threshold,
    cross_validated,
    densest_news,
    drawn_again,
    held_out,
    interval,
    known_stories,
    mean_score,
    pair_score,
    reached,
    shingles,
    story_score,
    united,
    unseen_share,
)

WORDS = st.lists(st.sampled_from("abcdefg"), max_size=30)
STORIES = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"), min_size=1)


def test_a_pair_score_counts_pairs_and_their_weights():
    """One right, one wrong, one missed pair; the right one stands for three."""
    pairs = [Pair("a", "b", True, weight=3.0), Pair("a", "c", False), Pair("d", "e", True)]
    story_of = {"a": "1", "b": "1", "c": "1", "d": "2", "e": "3"}
    assert pair_score(pairs, story_of, weighted=False) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    assert pair_score(pairs, story_of, weighted=True) == pytest.approx((3 / 4, 3 / 4, 3 / 4))


def test_nothing_found_scores_nothing():
    """All articles apart: no division by zero, no credit."""
    assert pair_score([Pair("a", "b", True)], {"a": "1", "b": "2"}, weighted=False) == (0, 0, 0)


def test_an_interval_holds_the_measure_and_keeps_the_strata():
    """Drawn again, each stratum keeps its number of pairs, so a measure of those is certain."""
    pairs = [Pair(str(n), "b", n % 3 == 0, stratum="x" if n < 20 else "y") for n in range(30)]
    size = interval(pairs, lambda drawn: sum(pair.stratum == "x" for pair in drawn))
    assert size == (20, 20)
    low, high = interval(pairs, lambda drawn: sum(pair.same for pair in drawn))
    assert low < 10 < high


def test_labels_are_closed_over_what_is_the_same():
    """a = b and b = c make one story of three, and what is apart from one is apart from all."""
    known = known_stories([Pair("a", "b", True), Pair("b", "c", True), Pair("c", "d", False)])
    assert known == Known((frozenset("abc"), frozenset("d")), frozenset({(0, 1)}))


def test_labels_that_contradict_each_other_are_refused():
    """a = b = c, but a ≠ c."""
    with pytest.raises(ValueError, match="a c"):
        known_stories([Pair("a", "b", True), Pair("b", "c", True), Pair("a", "c", False)])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))))
def test_union_find_joins_what_is_linked(links):
    """Both ends of each link have one name, and there are as many names as unconnected parts."""
    tops = united(links)
    assert all(tops[one] == tops[other] for one, other in links)
    parts = [{name} for name in tops]
    for one, other in links:
        touching = [part for part in parts if one in part or other in part]
        parts = [part for part in parts if part not in touching] + [set().union(*touching)]
    assert len(set(tops.values())) == len(parts)


KNOWN = known_stories([Pair("a", "b", True), Pair("c", "d", True), Pair("a", "c", False)])


@pytest.mark.parametrize(
    ("story_of", "expected"),
    [
        ({"a": "1", "b": "1", "c": "2", "d": "2"}, (1, 1, 1)),
        # One story in pieces: what is joined is pure, half of the stories are whole.
        ({"a": "1", "b": "1", "c": "2", "d": "3"}, (1, 1 / 2, 2 / 3)),
        # All in one: both are whole, and the one story is mixed.
        (dict.fromkeys("abcd", "1"), (0, 1, 0)),
        # b has strayed into the other story, of which it is labelled to be apart.
        ({"a": "1", "b": "2", "c": "2", "d": "2"}, (0, 1 / 2, 0)),
        (dict(zip("abcd", "1234", strict=True)), (0, 0, 0)),
    ],
)
def test_a_story_score_counts_whole_and_pure_stories(story_of, expected):
    """Two labelled stories, of which one article each is labelled to be apart."""
    assert story_score(KNOWN, story_of) == pytest.approx(expected)


@given(STORIES, st.permutations("123"))
def test_names_of_stories_do_not_count(story_of, names):
    """The same stories under other names agree in full."""
    renamed = {url: dict(zip("123", names, strict=True))[s] for url, s in story_of.items()}
    assert agreement(story_of, renamed) == pytest.approx((1, 1, 1))


@given(STORIES, st.data())
def test_agreement_counts_pairs_as_one_would_by_hand(one, data):
    """The pairs' share is that of all pairs looked at one by one, and has no direction."""
    other = {url: data.draw(st.sampled_from("123")) for url in one}
    both = [
        (one[a] == one[b], other[a] == other[b]) for a, b in itertools.combinations(sorted(one), 2)
    ]
    together = sum(x and y for x, y in both)
    either = sum(x + y for x, y in both)
    found = agreement(one, other)
    assert found.pairs == pytest.approx(2 * together / either if either else 1)
    assert found == pytest.approx(agreement(other, one))


def test_agreement_of_a_story_cut_in_two():
    """Of four articles in one story, one left: none has the companions that it had."""
    found = agreement(dict.fromkeys("abcd", "1"), {"a": "1", "b": "1", "c": "1", "d": "2"})
    # Six pairs against three; precision 1, recall (3 · 3/4 + 1/4) / 4.
    assert found == pytest.approx((2 / 3, 2 * 0.625 / 1.625, 0))


@given(STORIES, st.permutations("123"), st.data())
def test_where_articles_end_does_not_hang_on_names(story_of, names, data):
    """The same stories under other names are reached by every article."""
    moved = data.draw(st.sets(st.sampled_from(sorted(story_of)), min_size=1))
    renamed = {url: dict(zip("123", names, strict=True))[s] for url, s in story_of.items()}
    assert reached(story_of, renamed, moved) == pytest.approx((1, 1, 1))


@given(STORIES, st.data())
def test_all_articles_moved_agree_as_all_do(one, data):
    """B-cubed precision and recall, and companions, are those of `agreement`."""
    other = {url: data.draw(st.sampled_from("123")) for url in one}
    found, whole = reached(one, other, one.keys()), agreement(one, other)
    assert found[1:] == pytest.approx(whole[1:])
    assert found.unchanged - 1e-9 <= found.same <= 1


def test_who_leaves_a_story_has_not_reached_it():
    """Of three, one that moved is left alone: it has strayed, and its companions have not."""
    one, other = dict.fromkeys("abc", "1"), {"a": "2", "b": "2", "c": "3"}
    assert reached(one, other, "c").same == 0
    assert reached(one, other, "ab").same == 1
    assert reached(one, other, "ab").unchanged == 0


def test_a_story_in_halves_stays_with_what_did_not_move():
    """Two halves have as much of the story: it is the one whose article came in time."""
    one = dict.fromkeys("ab", "1")
    assert reached(one, {"a": "2", "b": "3"}, "a").same == 0
    assert reached(one, {"a": "2", "b": "3"}, "ab").same == 1 / 2


def test_a_stranger_in_a_story_has_not_reached_its_own():
    """c stood alone and joins two others: their story is still theirs."""
    one, other = {"a": "1", "b": "1", "c": "2"}, dict.fromkeys("abc", "1")
    assert reached(one, other, "abc").same == pytest.approx(2 / 3)


def test_agreement_needs_the_same_articles():
    """An article that is missing on one side is no disagreement but a mistake."""
    with pytest.raises(ValueError, match="articles"):
        agreement({"a": "1"}, {"b": "1"})


def test_the_best_threshold_lies_between_true_and_false():
    """Where a threshold parts all, it is half way between."""
    assert best_threshold([1, 2, 5, 6], [False, False, True, True]) == 3.5
    assert best_threshold([1, 2], [False, False]) == float("inf")


def test_a_threshold_is_judged_on_what_it_was_not_chosen_on():
    """Values that say all give full marks, constant ones no more than saying yes to all."""
    truths = [n % 2 == 0 for n in range(40)]
    assert cross_validated([10.0 * true for true in truths], truths) == (1, 1, 1)
    assert cross_validated([1.0] * 40, truths) == pytest.approx((1 / 2, 1, 2 / 3))


def test_each_value_is_held_out_once_a_round():
    """A threshold from the others alone: one true value far above them is found by none."""
    truths = [False] * 9 + [True]
    assert held_out([0.0] * 9 + [1.0], truths, rounds=3) == [[False] * 10] * 3


def test_a_mean_score_is_over_rounds_and_chosen_positions():
    """One round finds the true one, the other round another; a position drawn twice counts so."""
    said, truths = [[True, False], [False, True]], [True, False]
    assert mean_score(said, truths).f1 == 1 / 2
    assert mean_score(said, truths, [0, 0]) == (1 / 2, 1 / 2, 1 / 2)


def test_positions_are_drawn_again_in_their_strata():
    """Two of x and one of y, each time."""
    counted = drawn_again(["x", "y", "x"], lambda drawn: drawn.count(1), rounds=50)
    assert counted == (1, 1)


@given(WORDS, WORDS, st.integers(1, 8))
def test_densest_news_is_the_fullest_window(earlier, later, size):
    """The sliding sum is what counting each window anew gives."""
    windows = [later[at : at + size] for at in range(max(1, len(later) - size + 1))]
    expected = max(sum(word not in earlier for word in window) for window in windows)
    assert densest_news(earlier, later, size) == expected


@given(WORDS)
def test_a_text_has_nothing_new_to_itself(words):
    """No unseen word and no unseen 3-gram."""
    assert densest_news(words, words) == 0
    assert unseen_share(words, words) == 0


def test_shingles_of_a_short_text_are_the_text():
    """Two words have no run of three: they count as one."""
    assert shingles(["a", "b"], 3) == {("a", "b")}
    assert shingles([], 3) == set()
    assert shingles(["a", "b", "c"], 2) == {("a", "b"), ("b", "c")}
