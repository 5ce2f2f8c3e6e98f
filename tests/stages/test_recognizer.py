"""The default recognizer: what its file must be, that its search is exact, and what it finds."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.lexicon import CLUSTER, KIND, codes_of, forms_of, text_of
from pipelines.stages.recognizer import (
    CLOSE,
    COMMA,
    DASH,
    EVIDENCE,
    HEARD,
    LABELS,
    LISTED,
    MODEL,
    NO_GAP,
    OPEN,
    QUOTE,
    STOP,
    STRANGE,
    ModelError,
    Recognizer,
    evidence,
    evidence_keys,
    gap_of,
    spans_of,
    viterbi,
)
from tools.train_recognizer import WAYS, Lexicon, stems

RECOGNIZER = Recognizer()


def names(text: str) -> list[tuple[str, str]]:
    """The names in words parted by spaces, with their types."""
    words = text.split()
    gaps = [STOP, *[NO_GAP] * (len(words) - 1)]
    found = RECOGNIZER.spans(words, np.array(gaps))
    return [(" ".join(words[a:b]), kind) for a, b, kind in found]


# --- The file -------------------------------------------------------------------------------------


def test_missing_model(tmp_path):
    """A model that is not there is refused with what to type."""
    with pytest.raises(ModelError, match="make model"):
        Recognizer(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", MODEL.read_bytes()[:2000]])
def test_broken_model(tmp_path, content):
    """A file that is no model, or half of one, is refused by name."""
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.npz"):
        Recognizer(path)


def test_model_of_another_version(tmp_path):
    """A model of another version is refused, and both versions are named."""
    path = tmp_path / "old.npz"
    np.savez(path, about=np.frombuffer(b'{"version": "ar-names/0"}', np.uint8))
    with pytest.raises(ModelError, match=r"ar-names/0.*ar-names/1"):
        Recognizer(path)


def test_size_and_load():
    """The file has 4 MB at most and is read within two seconds of CPU time."""
    assert MODEL.stat().st_size <= 4_000_000
    start = time.process_time()
    Recognizer()
    assert time.process_time() - start <= 2


# --- Words and gaps -------------------------------------------------------------------------------


def test_stems():
    """Proclitics come off one after the other, and لل is لِ before the article."""
    assert stems("وبلبنان") == ["بلبنان", "لبنان"]
    assert stems("للعراق") == ["العراق"]
    assert stems("قطر") == []


@pytest.mark.parametrize(
    "word", ["وبلبنان", "وللعراق", "للعراق", "فقط", "وفي", "فلان", "كتاب", "و"]
)
def test_forms(word):
    """The compiled loops find the stems that training finds."""
    plain = forms_of(codes_of(" ".join([word, *stems(word)])))[:, 0]
    assert [form for form in forms_of(codes_of(word))[0] if form] == plain.tolist()


def test_words_are_known_as_in_training():
    """What compiled loops find of a word by hashes is what its features' names, its kind and its
    lists say: of words of every list and kind, bare and behind proclitics, and of odd ones.
    """
    with np.load(MODEL) as file:
        stored = dict(file)
    lexicon = Lexicon.of_model(stored)
    listed = sorted(lexicon.flags)[::40]
    words = [*lexicon.frequent, *listed, *("ول" + word for word in listed), *ODD]
    words = list(dict.fromkeys(words))
    names = {way: text_of(stored[f"{way}_names"]).split("\n") for way in WAYS}
    rows = {way: {name: at for at, name in enumerate(names[way])} for way in WAYS}
    kinds = text_of(stored["kinds"]).split("\n")
    kind_weights = np.zeros((len(kinds) + 1, len(LABELS)), np.int64)
    kind_weights[stored["kind_keys"][:, 0]] = stored["kind_weights"]

    recognizer = Recognizer()
    numbers = recognizer._numbers(words)
    for word, number in zip(words, numbers, strict=True):
        features = lexicon.features(word)
        expected = []
        for way, counts in WAYS.items():
            found = [
                rows[way][name] for name in features if counts.match(name) and name in rows[way]
            ]
            expected.append(stored[f"{way}_weights"][found].sum(0))
        kind = lexicon.kind(word)
        kind_number = kinds.index(kind) if kind in kinds else len(kinds)
        expected[0] = expected[0] + kind_weights[kind_number]
        assert recognizer._rows[number].tolist() == np.concatenate(expected).tolist(), word
        facts = recognizer._facts[number]
        assert facts[KIND] == kind_number, word
        assert facts[CLUSTER] == lexicon.clusters.get(word, (0, 0))[0], word
        flags = lexicon.flags.get(word, ())
        listed = any(
            not flag.startswith("wiki-") and not flag.endswith("-inside") for flag in flags
        )
        assert recognizer.knows(word) == (LISTED if listed else HEARD if flags else STRANGE), word


ODD = (
    "12",
    "123456",
    "bbc",
    "adidas",
    "ad",
    "a",
    "ي",
    "ال",
    "وال",
    "كلمات",
    "مدنيون",
    "𐤀𐤁",
    "سوريا",
)


@pytest.mark.parametrize(
    ("between", "gap"),
    [
        (" ", NO_GAP),
        ("\u064f ", NO_GAP),
        ("،\u00a0", COMMA),
        (".\n", STOP),
        (' "', QUOTE),
        (". (", OPEN),
        (") ", CLOSE),
        (" - ", DASH),
    ],
)
def test_gaps(between, gap):
    """What stands between two words is told by its weightiest mark; harakat are none."""
    assert gap_of(between) == gap


# --- The search -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(0.5, 6))
def test_search_is_exact(seed, size, spread):
    """The labels are the best of all rows of labels, whatever the scores and transitions."""
    chance = np.random.default_rng(seed)
    few = 3  # labels: with all nine there are too many rows to try
    scores = np.full((size, len(LABELS)), -100, np.float32)
    scores[:, :few] = chance.normal(0, spread, (size, few))
    transitions = chance.normal(0, 2, (len(LABELS), len(LABELS))).astype(np.float32)
    found = viterbi(scores, transitions)

    def value(labels):
        row = [0, *labels, 0]
        steps = sum(transitions[a, b] for a, b in pairwise(row))
        return steps + sum(scores[at, label] for at, label in enumerate(labels))

    best = max(value(np.unravel_index(n, (few,) * size)) for n in range(few**size))
    assert value(found) == pytest.approx(best, abs=1e-3)


def test_evidence_counts_other_mentions():
    """A word is told what its other mentions are, behind a proclitic too; itself not."""
    forms = forms_of(codes_of("انان قال انان لانان"))
    keys = evidence_keys(forms, np.array([1, 0, 1, 1]))
    assert keys[0] == keys[2] == keys[3] != 0 == keys[1]
    (state, *rest) = evidence(keys, np.array([1, 0, 0, 0])).T
    assert state[0] != state[2] == state[3] != state[1] == 0
    assert all(column.max() < size for column, size in zip([state, *rest], EVIDENCE, strict=True))


def test_spans_of_labels():
    """A name is a beginning and what continues it; a continuation of nothing begins one."""
    labels = [LABELS.index(x) for x in ("B-PER", "I-PER", "B-PER", "O", "I-LOC", "I-ORG")]
    found = spans_of(np.array(labels)).tolist()
    assert found == [[0, 2, 0], [2, 3, 0], [4, 5, 1], [5, 6, 2]]


# --- What it finds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("وقال المتحدث سالم باعويضان ان المياه جرفت سيارتهم", ("سالم باعويضان", "PER")),
        ("وصل الوفد الي فرنسا امس", ("فرنسا", "LOC")),
        ("اعلنت منظمه الصحه العالميه عن تفشي المرض", ("منظمه الصحه العالميه", "ORG")),
    ],
)
def test_plain_names(text, name):
    """Names that no table of entities holds are found by their context and their words."""
    assert name in names(text)


def test_answer_does_not_depend_on_what_was_read_before():
    """The same text has the same names in a new recognizer and in one that has read others."""
    text = "قال كوفي انان في نيويورك ان مجلس الامن سيجتمع"
    before = names(text)
    names("كلمات اخري لم ترد من قبل")
    assert names(text) == before != []


@pytest.mark.parametrize("words", [[], ["كلمه"], ["the"], ["12"], ["a"] * 5])
def test_odd_texts(words):
    """No word, one word, and a text without Arabic are read without trouble."""
    gaps = [STOP, *[NO_GAP] * (len(words) - 1)] if words else []
    found = RECOGNIZER.spans(words, np.array(gaps, np.int64))
    assert all(0 <= span.first < span.last <= len(words) for span in found)


def test_long_text():
    """200,000 words are one text like any other, many of them new."""
    words = [f"كلمه{at % 50_000}" if at % 7 else "لبنان" for at in range(200_000)]
    gaps = np.where(np.arange(len(words)) % 30 == 0, STOP, NO_GAP)
    found = RECOGNIZER.spans(words, gaps)
    assert all(a.last <= b.first for a, b in pairwise(found))
