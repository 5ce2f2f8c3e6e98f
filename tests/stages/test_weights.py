from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.fingerprint import FILTER_BITS, SIGNATURE, fingerprint_text
from pipelines.stages.likeness import holds
from pipelines.stages.weights import (
    DATA,
    NUMBER_WORDS,
    RARE,
    UNITS,
    Vocabulary,
    changed_numbers,
    read_weights,
    vocabulary,
)

RARE_UNITS = RARE * UNITS
LETTERS = "ابتثجحخدرسشصعفقكلمنهوي"


def names(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(LETTERS, k=rng.randint(4, 9))) for _ in range(count)]


def token(word: str) -> int:
    (found,) = vocabulary().words(word).tokens.tolist()
    return found


# --- the table ---


@pytest.mark.parametrize(
    "line",
    [
        "",
        "11",
        "11\t",
        "\tعام",
        "عام\t11",
        "11 عام",
        "-1\tعام",
        "1.5\tعام",
        f"{RARE_UNITS}\tعام",
        "x\tعام",
    ],
)
def test_a_bad_line_is_named(tmp_path, line):
    """What is no weight below that of a rare word, a tab and words says which line it is and where
    to get the file.
    """
    path = tmp_path / "weights.tsv"
    path.write_text(f"# a comment\n0\tفي من\n{line}\n11\tعام\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"weights\.tsv, line 3: .*build_word_weights"):
        read_weights(path)


def test_weights_are_read_by_word(tmp_path):
    """Each line's weight goes for all its words; comments say nothing."""
    path = tmp_path / "weights.tsv"
    path.write_text("# weight, words\n0\tفي من\n11\tعام\n", encoding="utf-8")
    assert read_weights(path) == {"في": 0, "من": 0, "عام": 11}


def test_the_shipped_table():
    """The commonest words weigh nothing, none weighs as much as a rare one, and all but the numbers
    are found as the file says.
    """
    table = read_weights(DATA / "word_weights.tsv")
    assert table["في"] == table["من"] == 0
    assert all(0 <= weight < RARE_UNITS for weight in table.values())
    numbers = {name for each in NUMBER_WORDS.values() for name in each.split()}
    listed = [word for word in table if word not in numbers]
    found = vocabulary().words(" ".join(listed)).weights.tolist()
    assert found == [table[word] for word in listed]


def test_every_word_has_its_weight():
    """However many there are; one that is not among them is rare."""
    many = {name: 1 + number % 150 for number, name in enumerate(dict.fromkeys(names(30_000)))}
    found = Vocabulary(many).words(" ".join(many)).weights.tolist()
    assert found == list(many.values())
    assert set(Vocabulary({}).words(" ".join(many)).weights.tolist()) == {RARE_UNITS}


# --- words ---


def test_a_word_has_one_token_wherever_it_stands():
    """Its hash does not depend on what is before it."""
    body = names(300)
    tokens = vocabulary().words(" ".join(body)).tokens.tolist()
    assert tokens == [token(word) for word in body]
    assert len(set(tokens)) == len(set(body))


def test_words_that_weigh_nothing_have_no_token():
    """0 stands for all of them; every other word has its weight."""
    found = vocabulary().words("في الرياض غشمشمون من")
    assert found.tokens[[0, 3]].tolist() == [0, 0]
    assert found.weights[[0, 2, 3]].tolist() == [0, RARE_UNITS, 0]
    assert 0 < found.weights[1] < RARE_UNITS


@given(st.lists(st.sampled_from(names(30)), min_size=5, max_size=60), st.integers(1, 5))
def test_equal_runs_have_equal_hashes(body, n):
    """The hash of a run is that of its words in their order, wherever it stands."""
    found = vocabulary().words(" ".join(body))
    runs = found.runs(n).tolist()
    spelled = [tuple(body[at : at + n]) for at in range(len(body) - n + 1)]
    assert len(runs) == len(spelled)
    assert len(set(runs)) == len(set(spelled)) == len(set(zip(runs, spelled, strict=True)))
    assert found.runs(n, first=2).tolist() == runs[2:]


@pytest.mark.parametrize("text", [" كلمه ", "كلمه\nاخري", "كلمه  اخري", "\n\nكلمه اخري\n"])
def test_spacing_makes_no_words(text):
    """Lines and spaces in a row part words as one space does."""
    assert (
        vocabulary().words(text).tokens.tolist()
        == vocabulary().words(" ".join(text.split())).tokens.tolist()
    )


# --- numbers ---


def test_a_number_is_one_word_however_it_is_written():
    """Every spelling of a number has the token of its digits."""
    for digits, spelled in NUMBER_WORDS.items():
        for name in spelled.split():
            assert token(name) == token(digits) != 0
    assert len({token(digits) for digits in NUMBER_WORDS}) == len(NUMBER_WORDS)


def test_numbers_are_rare():
    """Each weighs as much as a word that no text has, spelled out or not."""
    found = vocabulary().words("5 خمسه 2015 الف 100 مءه 45678")
    assert set(found.weights.tolist()) == {RARE_UNITS}


def new_numbers(text: str, told: str) -> int:
    signature = np.frombuffer(
        fingerprint_text(f"{told} {' '.join(names(30))}").signature, SIGNATURE
    )
    tokens = vocabulary().words(text).tokens
    return changed_numbers(text, tokens, lambda tokens: holds(signature["filter"], tokens))


@pytest.mark.parametrize(
    ("text", "told", "count"),
    [
        ("مقتل خمسه واصابه 12", "مقتل ثلاثه واصابه 9", 2),
        ("مقتل خمسه واصابه 12", "مقتل 5 واصابه 12", 0),
        ("في عيدها ال 25", "في عيدها ال25", 0),
        ("تكلف 26 729 709 ريال", "تكلف 26729709 ريال", 0),
        ("في عام 2016 او 1437", "في العام الجاري", 0),
        ("ثلاثه الاف و خمسه", "3000 و 5", 1),
        ("لا رقم هنا", "ولا هنا", 0),
        ("", "لا", 0),
    ],
)
def test_numbers_that_are_new(text, told, count):
    """Counted are numbers that stand alone, in digits or as words, and are not written otherwise
    before; years and numbers in groups are left out."""
    assert new_numbers(text, told) == count


# --- the filter of words ---


@given(st.lists(st.sampled_from(names(3000)) | st.text(LETTERS, min_size=1), min_size=20))
def test_a_filter_has_every_word_that_went_in(body):
    """No false negatives, however many words."""
    found = fingerprint_text(" ".join(body))
    (signature,) = np.frombuffer(found.signature, dtype=SIGNATURE)
    tokens = vocabulary().words(" ".join(body)).tokens
    assert holds(signature["filter"][None, :], tokens).all()


def test_a_filter_of_a_usual_article_is_rarely_mistaken():
    """Of words that are not in a text of 130, about 5 in 100 seem to be, as the share of bits that
    are set says.
    """
    (signature,) = np.frombuffer(fingerprint_text(" ".join(names(130))).signature, dtype=SIGNATURE)
    others = vocabulary().words(" ".join(names(5000, seed=2))).tokens
    share = holds(signature["filter"][None, :], others).mean()
    assert share == pytest.approx((signature["filled"] / FILTER_BITS) ** 2, abs=0.015)
    assert share < 0.07
