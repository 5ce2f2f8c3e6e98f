"""The default recognizer: names in Arabic text by a linear-chain model that `make model` trains.

A word's scores are the sum of its features' weights and are remembered by word; a text is then a
few look-ups in arrays and two Viterbi searches, all of it in compiled loops.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.offsets import Positions, Widths
from pipelines.records import EntityType
from pipelines.stages.compiled import allocating, compiled
from pipelines.stages.lexicon import (
    CLUSTER,
    FACTS,
    FORM,
    KIND,
    TELLS,
    WORD,
    Codes,
    Ints,
    Phrases,
    Steps,
    Table,
    Weights,
    codes_of,
    free_table,
    lexicon_of,
    met,
    number_of,
    phrase_places,
    phrases_of,
    place_of,
    set_of,
    table_of,
    text_of,
)

MODEL = Path(__file__).with_name("data") / "recognizer.npz"
# Of the model and of how its file is read: both are in the file, and it is refused if they differ.
VERSION = "ar-names/1"

CLASSES: tuple[EntityType, ...] = ("PER", "LOC", "ORG", "MISC")
LABELS = ("O", *(f"{place}-{kind}" for kind in CLASSES for place in "BI"))
OUTSIDE = 0
_SIZE = len(LABELS)
_PHRASE_PLACES = 3 * len(CLASSES) + 1  # what `phrase_places` gives

# What stands between two words, by the first of these that does.
NO_GAP, COMMA, STOP, COLON, DASH, QUOTE, OPEN, CLOSE, OTHER = range(9)
_GAP_KINDS = OTHER + 1
_GAPS = (
    (OPEN, "([{"),
    (QUOTE, "\"'«»“”„‘’‹›"),
    (STOP, ".!?؟\n…"),
    (CLOSE, ")]}"),
    (COMMA, "،,؛;"),
    (COLON, ":"),
    (DASH, "-–—/_"),
)
# The weight of a mark in a gap, by its code point: its place in the list above, the least counts.
# Spaces, harakat and tatweel are none.
_OTHER_WEIGHT, _NO_WEIGHT = len(_GAPS), len(_GAPS) + 1
_WEIGHTS = np.full(0x3001, _OTHER_WEIGHT, np.uint8)  # no space has a higher code point
_WEIGHTS[[code for code in range(len(_WEIGHTS)) if chr(code).isspace()]] = _NO_WEIGHT
_WEIGHTS[[*range(0x64B, 0x660), 0x670, 0x640]] = _NO_WEIGHT
for _weight, (_, _marks) in enumerate(_GAPS):
    _WEIGHTS[[ord(mark) for mark in _marks]] = _weight
_SPACE = 0x20
_GAP_OF_WEIGHT = np.array([*(gap for gap, _ in _GAPS), OTHER, NO_GAP])
# No name goes on behind these: 26 of 4,204 do in the training data, mostly dotted initials.
_ENDS_NAME = (COMMA, STOP, COLON, QUOTE, OPEN, CLOSE)

Scores = NDArray[np.float32]


class Text(Protocol):
    """A passage as backends see it: its words in the match layer, the kind of gap before each, and
    how each is spelled.
    """

    @property
    def words(self) -> list[str]: ...
    @property
    def gaps(self) -> Ints: ...
    @property
    def spellings(self) -> list[str]: ...


class Backend(Protocol):
    """What finds names by their context; `find` answers for each of the texts of one article."""

    version: str

    def find(self, texts: Sequence[Text]) -> list[list[Span]]: ...

    def knows(self, word: str) -> int:
        """How well a word (match layer) is known as one of a name: STRANGE, HEARD or LISTED."""


# Not in any list; as what may have its proclitics, a word of WikiFANE or one inside of a name; as a
# name, or what begins one.
STRANGE, HEARD, LISTED = range(3)


class ModelError(Exception):
    """The model's file is missing or not what this version reads."""


class Span(NamedTuple):
    """A name at words `[first, last)`."""

    first: int
    last: int
    type: EntityType


def gap_of(between: str) -> int:
    """The kind of gap that the text between two words is: harakat and tatweel make none."""
    codes = codes_of(between)
    return int(_gap(codes, 0, len(codes), _NO_WEIGHT))


@allocating
def word_places(match: Codes, starts: Positions, widths: Widths, display: Codes) -> Ints:
    """For each word of the match layer where it begins, where it begins and ends in the display
    text, and the kind of gap before it; before the first one a line ends. `starts` and `widths` are
    those of the offset map from the one to the other; no `widths` means that all are 1.
    """
    count = 1
    for code in match:
        if code == _SPACE:
            count += 1
    found = np.empty((count, 4), np.int64)
    _place_words(match, starts, widths, display, found)
    return found


@compiled
def _place_words(
    match: Codes, starts: Positions, widths: Widths, display: Codes, found: Ints
) -> None:
    word, begin, before, weight = 0, 0, 0, _WEIGHTS[0x0A]
    for at in range(len(match) + 1):
        if at == len(match) or match[at] == _SPACE:
            last = starts[at - 1]
            found[word, 0], found[word, 1] = begin, starts[begin]
            found[word, 2] = last + (widths[at - 1] if len(widths) else 1)
            found[word, 3] = _gap(display, before, starts[begin], weight)
            word, begin, before, weight = word + 1, at + 1, last + 1, _NO_WEIGHT


@compiled
def _gap(codes: Codes, start: int, end: int, weight: int) -> Any:
    """The kind of gap of the weightiest mark in `codes[start:end]`, or of `weight`."""
    for at in range(start, end):
        code = codes[at]
        weight = min(weight, _WEIGHTS[code] if code < len(_WEIGHTS) else _OTHER_WEIGHT)
    return _GAP_OF_WEIGHT[weight]


# --- The search ---------------------------------------------------------------------------------


@compiled
def forbid_gaps(scores: Scores, gaps: Ints) -> None:
    """Lets no name go on behind a gap that ends one."""
    for at in range(len(scores)):
        if _IS_END[gaps[at]]:
            for inside in range(2, _SIZE, 2):
                scores[at, inside] -= _NEVER


_NEVER = np.float32(100)
_IS_END = np.array([gap in _ENDS_NAME for gap in range(OTHER + 1)])


@allocating
def viterbi(scores: Scores, transitions: Scores) -> Ints:
    """The best labels of a row of words that begins and ends outside names."""
    size = len(scores)
    forward = np.empty((size, _SIZE))  # of 64 bits: a sum over a long text stays exact enough
    best = transitions[OUTSIDE].astype(np.float64)
    for at in range(size):
        for label in range(_SIZE):
            forward[at, label] = best[label] + scores[at, label]
            best[label] = -np.inf
        for before in range(_SIZE):
            for label in range(_SIZE):
                value = forward[at, before] + transitions[before, label]
                best[label] = max(best[label], value)
    labels = np.empty(size, np.int64)
    after = OUTSIDE
    for at in range(size - 1, -1, -1):
        chosen = 0
        for label in range(1, _SIZE):
            value = forward[at, label] + transitions[label, after]
            if value > forward[at, chosen] + transitions[chosen, after]:
                chosen = label
        labels[at] = after = chosen
    return labels


# --- What one mention says of another -----------------------------------------------------------

# How many values each of `evidence`'s columns has.
_SHARES = 5
_FATES = len(LABELS) + 1  # nowhere else, always outside, or a label of a name
EVIDENCE = (
    _FATES * _SHARES,
    _FATES * _SHARES * len(LABELS),
    _FATES**2,
    _FATES**2,
    len(LABELS) ** 2,
    len(LABELS) ** 2,
)
_EVIDENCE_STARTS = np.cumsum((0, *EVIDENCE[:-1]))


@allocating
def evidence_keys(forms: Ints, telling: Ints) -> Ints:
    """A number for each word that is the same for all forms of a word in the text, with and
    without proclitics; 0 for words that say nothing.
    """
    present = free_table(len(forms))
    keys = np.zeros(len(forms), np.int64)
    _fill_keys(forms, telling, present, np.empty(len(forms), np.int64), keys)
    return keys


@compiled
def _fill_keys(forms: Ints, telling: Ints, present: Table, places: Ints, keys: Ints) -> None:
    for at in range(len(forms)):
        places[at] = place = place_of(present, forms[at, 0])
        present[place, 0] = forms[at, 0]
    for at in range(len(forms)):
        if telling[at]:
            keys[at] = places[at] + 1
            for stem in forms[at, :0:-1]:  # the shortest first
                if stem:
                    place = place_of(present, stem)
                    if present[place, 0] == stem:
                        keys[at] = place + 1
                        break


@allocating
def evidence(keys: Ints, labels: Ints) -> Ints:
    """What the labels of a word's other mentions in the text say of each: rows of row numbers, as
    many as `EVIDENCE` has.
    """
    size = len(keys)
    largest = 0
    for key in keys:
        largest = max(largest, key)
    counts = np.zeros((largest + 1, _SIZE), np.int64)
    for at in range(size):
        counts[keys[at], labels[at]] += 1
    fates = np.zeros(size + 2, np.int64)
    columns = np.empty((size, len(EVIDENCE)), np.int64)
    for at in range(size):
        share = 0
        if keys[at]:
            others, named, most = 0, 0, 0
            for label in range(_SIZE):
                count = counts[keys[at], label] - (label == labels[at])
                others += count
                if label and count:
                    named += count
                    if count > most:
                        most, fates[at + 1] = count, label + 1
            if named:
                share = 1 + 3 * named // others
            elif others:
                fates[at + 1] = 1
                share = min(others, 3)
        columns[at, 0] = fates[at + 1] * _SHARES + share
        columns[at, 1] = columns[at, 0] * _SIZE + labels[at]
    for at in range(size):
        before = labels[at - 1] if at else OUTSIDE
        after = labels[at + 1] if at + 1 < size else OUTSIDE
        columns[at, 2] = fates[at] * _FATES + fates[at + 1]
        columns[at, 3] = fates[at + 1] * _FATES + fates[at + 2]
        columns[at, 4] = before * _SIZE + labels[at]
        columns[at, 5] = labels[at] * _SIZE + after
    return columns


@allocating
def spans_of(labels: Ints) -> Ints:
    """The names `[first, last)` that labels give, with the number of their class."""
    found = np.empty((len(labels), 3), np.int64)
    size, previous = 0, OUTSIDE
    for at, label in enumerate(labels):
        if label:
            if label % 2 == 0 and previous in (label, label - 1):
                found[size - 1, 1] = at + 1
            else:
                found[size, 0], found[size, 1], found[size, 2] = at, at + 1, (label - 1) // 2
                size += 1
        previous = label
    return found[:size]


# --- Decoding -----------------------------------------------------------------------------------

_REMEMBERED = 200_000  # words, at some 180 bytes each; then it begins anew


class _Model(NamedTuple):
    """The weights by what is looked at, in steps. A row has those of the labels of one place, or of
    several one after the other.
    """

    step: float
    bias: Scores
    transitions: Scores
    evidence: Scores
    evidence_scale: np.float32
    evidence_transitions: Scores
    phrases: Phrases
    clusters: int
    kinds: int
    words: int
    at_gaps: Steps
    at_phrases: Steps
    around_clusters: Weights
    around_kinds: Weights
    at_kind_gaps: Weights
    of_clusters: Weights
    of_kinds: Weights
    pairs: Table
    of_words: Weights
    three_kinds: Table
    of_three_kinds: Weights


class Recognizer:
    """The model, read from its file, and the words that it has met. Not for use by two threads."""

    version = VERSION
    _rows: Steps  # by a word's number: its weights
    _facts: Ints  # by a word's number: what else is known of it
    _known: Table  # by a word's hash: its number
    _count: int

    def __init__(self, path: Path = MODEL) -> None:
        """Raises ModelError for a file that is missing or no model of this version."""
        try:
            with np.load(path) as file:
                stored = {name: file[name] for name in file.files}
            about = json.loads(text_of(stored["about"]))
            if about["version"] != VERSION:
                raise ModelError(
                    f"{path} is of version {about['version']}; this Khabar reads {VERSION}"
                )
            self._load(stored)
        except FileNotFoundError:
            raise ModelError(f"there is no model at {path}; `make model` makes it") from None
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is no model of Khabar's: {error}") from error

    def _load(self, stored: dict[str, Any]) -> None:
        """Lay out what the file holds as tables, and begin without words."""
        kinds = stored["kinds"].tolist().count(0x0A) + 2  # and one that is not known
        known = stored["words"].tolist().count(0x0A) + 2

        def table(name: str, *shape: int) -> Weights:
            """A template's weights as an array by what it looks at."""
            full = np.zeros((*shape, _SIZE), np.int8)
            full[tuple(stored[f"{name}_keys"].T)] = stored[f"{name}_weights"]
            return full

        clustered = int(stored["lexicon_clusters"][:, 0].max(initial=0)) + 1
        self._lexicon, self._empty = lexicon_of(stored, table("kind", kinds))
        sets = [line.split() for line in text_of(stored["lexicon_sets"]).split("\n")]
        self._known_by = [max(map(_known_by, each), default=STRANGE) for each in sets]
        words, of_words = _sparse(stored, ("word-next", "word-before"), known)
        three_kinds, of_three_kinds = _sparse(
            stored, ("kinds-next", "kinds", "kinds-before"), kinds
        )
        self._model = _Model(
            float(stored["step"]),
            stored["bias"],
            stored["transitions"],
            np.concatenate([stored[f"evidence{at}"] for at in range(len(EVIDENCE))]),
            np.float32(stored["evidence_scale"]),
            stored["evidence_transitions"],
            phrases_of(text_of(stored["phrases"]), stored["phrase_kinds"]),
            clustered,
            kinds,
            known,
            _summed(
                table("gap-before", _GAP_KINDS)[:, None, None, None],
                table("gap", _GAP_KINDS)[None, :, None, None],
                table("gap-next", _GAP_KINDS)[None, None, :, None],
                table("gap-both", _GAP_KINDS, _GAP_KINDS)[None, :, :, None],
                table("gap-after", _GAP_KINDS)[None, None, None, :],
            ),
            _summed(
                table("phrase-before", _PHRASE_PLACES)[:, None, None],
                table("phrase", _PHRASE_PLACES)[None, :, None],
                table("phrase-next", _PHRASE_PLACES)[None, None, :],
            ),
            table("cluster-around", clustered, clustered).reshape(-1, _SIZE),
            table("kind-around", kinds, kinds).reshape(-1, _SIZE),
            table("kind-gaps", _GAP_KINDS, kinds, _GAP_KINDS).reshape(-1, _SIZE),
            _beside(
                table("cluster-next", clustered, clustered),
                table("cluster-before", clustered, clustered),
            ),
            _beside(table("kind-next", kinds, kinds), table("kind-before", kinds, kinds)),
            words,
            of_words,
            three_kinds,
            of_three_kinds,
        )
        self._forget(_REMEMBERED)

    def knows(self, word: str) -> int:
        """How well a word (match layer) is known as one of a name: STRANGE, HEARD or LISTED."""
        lists: int = set_of(self._lexicon.words, self._lexicon.sets, codes_of(word))
        return self._known_by[lists]

    def find(self, texts: Sequence[Text]) -> list[list[Span]]:
        """The names in each text of an article, in reading order; none overlaps another. What is
        said in one text counts in the others.
        """
        words = [word for text in texts for word in text.words]
        found: list[list[Span]] = [[] for _ in texts]
        at, start, end = 0, 0, len(texts[0].words)
        for span in self.spans(words, np.concatenate([text.gaps for text in texts])):
            while span.first >= end:
                at += 1
                start, end = end, end + len(texts[at].words)
            found[at].append(Span(span.first - start, span.last - start, span.type))
        return found

    def spans(self, words: Sequence[str], gaps: Ints) -> list[Span]:
        """The names in words (match layer), with the kinds of gap before each."""
        if not words:
            return []
        ids = self._numbers(words)
        found = _names(self._model, self._rows, self._facts.take(ids, axis=0), ids, gaps)
        return [Span(first, last, CLASSES[kind]) for first, last, kind in found.tolist()]

    def _numbers(self, words: Sequence[str]) -> Ints:
        """The words' rows; a word that is new gets one."""
        if self._count + len(words) > len(self._rows):
            self._forget(len(words))
        codes = codes_of(" ".join(words))
        numbers, self._count = met(
            self._lexicon, codes, self._known, self._count, self._rows, self._facts
        )
        return numbers

    def _forget(self, size: int) -> None:
        """Begin with no word but the empty one, which stands between sentences."""
        size = max(_REMEMBERED, size + 1)
        self._known = free_table(size)
        self._count = 1
        # Memory is taken when it is written to.
        self._rows = np.zeros((size, len(self._empty)), np.int16)
        self._rows[0] = self._empty
        self._facts = np.zeros((size, FACTS), np.int64)


@allocating
def _names(model: _Model, rows: Steps, facts: Ints, ids: Ints, gaps: Ints) -> Ints:
    """The names `[first, last)` in a text of these words, with the number of their class.

    Between sentences, and at both ends, two places are empty.
    """
    places = np.empty(len(ids), np.int64)
    size = 2
    for at in range(len(ids)):
        if at and gaps[at] == STOP:
            size += 2
        places[at] = size
        size += 1
    size += 2
    id_at, gap_at = np.zeros(size, np.int64), np.zeros(size, np.int64)
    phrase_at, key_at = np.zeros(size, np.int64), np.zeros(size, np.int64)
    facts_at = np.zeros((size, TELLS), np.int64)
    forms = facts[:, FORM:]
    phrases = phrase_places(model.phrases, forms)
    keys = evidence_keys(forms, facts[:, TELLS])
    for at, place in enumerate(places):
        id_at[place], gap_at[place] = ids[at], gaps[at]
        phrase_at[place], key_at[place] = phrases[at], keys[at]
        for fact in range(TELLS):
            facts_at[place, fact] = facts[at, fact]
        gap_at[place + 1] = STOP  # unless another word follows, which writes its own

    pairs, triples = np.empty_like(id_at), np.empty_like(id_at)
    scores = np.full((size, _SIZE), -_NEVER)
    scores[:, OUTSIDE] = 0
    _score(model, rows, places, id_at, gap_at, phrase_at, facts_at, pairs, triples, scores)
    labels = viterbi(scores, model.transitions)
    if labels.any():
        _add_evidence(model, evidence(key_at, labels), scores)
        labels = viterbi(scores, model.evidence_transitions)
    return spans_of(labels[places])


@compiled
def _add_evidence(model: _Model, columns: Ints, scores: Scores) -> None:
    """The scores of a second look: what `evidence` says counts beside the first one's."""
    for at in range(len(scores)):
        for label in range(_SIZE):
            scores[at, label] *= model.evidence_scale
        for column in range(len(EVIDENCE)):
            row = _EVIDENCE_STARTS[column] + columns[at, column]
            for label in range(_SIZE):
                scores[at, label] += model.evidence[row, label]


@compiled
def _score(
    model: _Model,
    rows: Steps,
    places: Ints,
    ids: Ints,
    gaps: Ints,
    phrases: Ints,
    facts: Ints,
    pairs: Ints,
    triples: Ints,
    scores: Scores,
) -> None:
    """Fills the scores of the labels at each of the places that are not empty; `pairs` and
    `triples` are room for what is looked up.
    """
    kinds, clusters = facts[:, KIND], facts[:, CLUSTER]
    for at in range(len(ids) - 2):
        key = facts[at, WORD] * model.words + facts[at + 1, WORD]
        pairs[at] = number_of(model.pairs, key)
        key = (kinds[at] * model.kinds + kinds[at + 1]) * model.kinds + kinds[at + 2]
        triples[at] = number_of(model.three_kinds, key)
    for at in places:
        before, here, after = clusters[at - 1], clusters[at], clusters[at + 1]
        clusters_around = before * model.clusters + after
        clusters_before = before * model.clusters + here
        clusters_after = here * model.clusters + after
        before, here, after = kinds[at - 1], kinds[at], kinds[at + 1]
        kinds_around = before * model.kinds + after
        kinds_before = before * model.kinds + here
        kinds_after = here * model.kinds + after
        before, here, after = gaps[at - 1], gaps[at], gaps[at + 1]
        kind_gaps = (here * model.kinds + kinds[at]) * _GAP_KINDS + after
        gap = ((before * _GAP_KINDS + here) * _GAP_KINDS + after) * _GAP_KINDS + gaps[at + 2]
        before, here, after = phrases[at - 1], phrases[at], phrases[at + 1]
        phrase = (before * _PHRASE_PLACES + here) * _PHRASE_PLACES + after
        pair_before, pair_after = pairs[at - 1], pairs[at]
        triple_before, triple_here, triple_after = triples[at - 2], triples[at - 1], triples[at]
        two_before, word_before, word = ids[at - 2], ids[at - 1], ids[at]
        word_after, two_after = ids[at + 1], ids[at + 2]
        for label in range(_SIZE):  # one sum, which the processor need not put down between
            steps = (
                rows[word, label]
                + rows[word_before, label + _SIZE]
                + rows[word_after, label + 2 * _SIZE]
                + rows[two_before, label + 3 * _SIZE]
                + rows[two_after, label + 4 * _SIZE]
                + model.at_gaps[gap, label]
                + model.at_phrases[phrase, label]
                + model.around_clusters[clusters_around, label]
                + model.of_clusters[clusters_after, label]
                + model.of_clusters[clusters_before, label + _SIZE]
                + model.around_kinds[kinds_around, label]
                + model.of_kinds[kinds_after, label]
                + model.of_kinds[kinds_before, label + _SIZE]
                + model.at_kind_gaps[kind_gaps, label]
                + model.of_words[pair_after, label]
                + model.of_words[pair_before, label + _SIZE]
                + model.of_three_kinds[triple_after, label]
                + model.of_three_kinds[triple_here, label + _SIZE]
                + model.of_three_kinds[triple_before, label + 2 * _SIZE]
            )
            scores[at, label] = steps * model.step
    forbid_gaps(scores, gaps)
    scores += model.bias


def _known_by(flag: str) -> int:
    return HEARD if flag.startswith("wiki-") or flag.endswith("-inside") else LISTED


def _sparse(stored: dict[str, Any], names: tuple[str, ...], base: int) -> tuple[Table, Weights]:
    """Weights by several numbers, few of whose combinations have any: the rows by their keys, and
    the weights; the last row is of all other combinations.
    """
    keys = []
    for name in names:
        first, *others = stored[f"{name}_keys"].T.astype(np.int64)
        for other in others:
            first = first * base + other
        keys.append(first)
    every, rows = np.unique(np.concatenate(keys), return_inverse=True)
    weights = np.zeros((len(every) + 1, len(names), _SIZE), np.int8)
    parts = np.split(rows, np.cumsum([len(key) for key in keys[:-1]]))
    for part, (name, there) in enumerate(zip(names, parts, strict=True)):
        weights[there, part] = stored[f"{name}_weights"]
    return table_of(every), weights.reshape(len(weights), -1)


def _summed(*tables: Weights) -> Steps:
    """The sums of tables by what all of them look at together."""
    total = tables[0].astype(np.int16)
    for table in tables[1:]:
        total = total + table
    return total.reshape(-1, _SIZE)


def _beside(left: Weights, right: Weights) -> Weights:
    """What two numbers beside each other say of the left and of the right place."""
    joined: Weights = np.concatenate([left, right], axis=2).reshape(-1, 2 * _SIZE)
    return joined
