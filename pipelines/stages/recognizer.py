"""The default recognizer: names in Arabic text by a linear-chain model that `make model` trains.

A word's scores are the sum of its features' weights and are remembered by word; a text is then a
few look-ups in arrays and one Viterbi search over the stretches where a name is possible at all.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.records import EntityType

MODEL = Path(__file__).with_name("data") / "recognizer.npz"
# Of the model and of how its file is read: both are in the file, and it is refused if they differ.
VERSION = "ar-names/1"

CLASSES: tuple[EntityType, ...] = ("PER", "LOC", "ORG", "MISC")
LABELS = ("O", *(f"{place}-{kind}" for kind in CLASSES for place in "BI"))
OUTSIDE = 0

# What stands between two words, by the first of these that does.
NO_GAP, COMMA, STOP, COLON, DASH, QUOTE, OPEN, CLOSE, OTHER = range(9)
_GAPS = (
    (OPEN, "([{"),
    (QUOTE, "\"'«»“”„‘’‹›"),
    (STOP, ".!?؟\n…"),
    (CLOSE, ")]}"),
    (COMMA, "،,؛;"),
    (COLON, ":"),
    (DASH, "-–—/_"),
)
_GAP_OF = {mark: gap for gap, marks in reversed(_GAPS) for mark in marks}
_MARKS = frozenset(map(chr, (*range(0x64B, 0x660), 0x670, 0x640)))
_RANK = {gap: rank for rank, (gap, _) in enumerate(_GAPS)}
# No name goes on behind these: 26 of 4,204 do in the training data, mostly dotted initials.
_ENDS_NAME = (COMMA, STOP, COLON, QUOTE, OPEN, CLOSE)

Scores = NDArray[np.float32]
Ints = NDArray[np.int64]
Features = tuple[list[str], list[str], list[str]]


class Text(Protocol):
    """A passage as backends see it: its words in the match layer, the kind of gap before each, and
    how each is spelled.
    """

    @property
    def words(self) -> list[str]: ...
    @property
    def gaps(self) -> list[int]: ...
    @property
    def spellings(self) -> list[str]: ...


class Backend(Protocol):
    """What finds names by their context; `find` answers for each of the texts of one article."""

    version: str

    def find(self, texts: Sequence[Text]) -> list[list[Span]]: ...

    def knows(self, word: str) -> bool:
        """Whether a word (match layer) is in a list of names."""


class ModelError(Exception):
    """The model's file is missing or not what this version reads."""


class Span(NamedTuple):
    """A name at words `[first, last)`."""

    first: int
    last: int
    type: EntityType


@lru_cache(maxsize=4096)
def gap_of(between: str) -> int:
    """The kind of gap that the text between two words is: harakat and tatweel make none."""
    gaps = [
        _GAP_OF.get(mark, OTHER)
        for mark in between
        if mark in _GAP_OF or not (mark.isspace() or mark in _MARKS)
    ]
    return min(gaps, key=lambda gap: _RANK.get(gap, len(_RANK)), default=NO_GAP)


def stems(word: str) -> list[str]:
    """What `word` (match layer) may be behind proclitics: for وللعراق that is للعراق, العراق."""
    found = []
    if len(word) > 3:
        if word[0] in "وف":
            word = word[1:]
            found.append(word)
        if len(word) > 3:
            if word.startswith("لل"):
                found.append("ال" + word[2:])
            elif word[0] in "بلك":
                found.append(word[1:])
    return found


# The lists of the lexicon by flag: what a word's kind says of it. "given" and "family" are names of
# persons, "place" and "group" names of one word, "head" the first of several; "wiki" of WikiFANE.
_KIND_OF = {
    "place": "L",
    "wiki-place+": "c",
    **{f"person{size}": "g" if size < 3 else "G" for size in range(10)},
    "given": "G",
    "family": "g",
    "group": "O",
    "wiki-group+": "O",
    "group-head": "o",
    "wiki-group-head+": "o",
    "wiki-group-head": "o",
}


class Lexicon:
    """What is known of words beforehand.

    `flags`: the lists that a word is in; `clusters`: words used alike, coarse and fine, from 1;
    `frequent`: words that are a kind of their own; `phrases`: names of several words, with the
    number of their class.
    """

    def __init__(
        self,
        flags: Mapping[str, tuple[str, ...]],
        clusters: Mapping[str, tuple[int, int]],
        frequent: frozenset[str],
        phrases: Mapping[tuple[str, ...], int],
    ) -> None:
        self.flags, self.clusters = flags, clusters
        self.frequent, self.phrases = frequent, phrases
        # By first and second word: how many words such names have, the longest first.
        self._phrases: dict[str, dict[str, list[int]]] = {}
        for phrase in sorted(phrases, key=len, reverse=True):
            sizes = self._phrases.setdefault(phrase[0], {}).setdefault(phrase[1], [])
            if len(phrase) not in sizes:
                sizes.append(len(phrase))

    def features(self, word: str) -> tuple[list[str], list[str], list[str]]:
        """The features of a word: for its own place, for those beside it, for those two away.

        w the word, p q its beginnings and ends, s its readings without proclitics, t the shortest
        one's beginnings, @ lists, k clusters; 0 of the word itself, 1 behind a proclitic.
        """
        size = len(word)
        own, near, far = [f"w{word}"], [f"w{word}"], [f"w{word}"]
        for cut in range(1, min(5, size)):
            own += (f"p{word[:cut]}", f"q{word[-cut:]}")
        for cut in range(2, min(4, size)):
            near += (f"p{word[:cut]}", f"q{word[-cut:]}")
        if word.isascii():
            shape = f"d{min(size, 5)}" if word.isdigit() else "latin"
            near.append(shape)
            far.append(shape)
        else:
            shape = f"n{min(size, 8)}"
        own.append(shape)
        readings = [word, *stems(word)]
        shared = [f"s{reading}" for reading in readings]
        clusters = None
        for behind, reading in enumerate(readings):
            where = "1" if behind else "0"
            listed = [f"@{where}{flag}" for flag in self.flags.get(reading, ())]
            if clusters is None and (clusters := self.clusters.get(reading)):
                listed += (f"k{where}c{clusters[0]}", f"k{where}f{clusters[1]}")
            shared += listed
            if not behind:
                far += listed
        if len(readings) > 1:
            own += [f"t{readings[-1][:cut]}" for cut in (2, 3) if cut < len(readings[-1])]
        shared = list(dict.fromkeys(shared))
        return own + shared, near + shared, far

    def kind(self, word: str) -> str:
        """One coarse class of a word: itself if it is frequent, else what the lists say of it, or
        its form.
        """
        if word in self.frequent:
            return word
        if word.isascii():
            return f"#{min(len(word), 5)}" if word.isdigit() else "#latin"
        for behind, reading in enumerate([word, *stems(word)]):
            flags = self.flags.get(reading)
            if flags and (kind := {_KIND_OF[flag] for flag in flags if flag in _KIND_OF}):
                return "".join(sorted(kind)) + ("1" if behind else "")
        ending = word[-2:] if word[-2:] in ("يه", "ين", "ون", "ات", "يا") else word[-1]
        if len(ending) == 1 and ending not in "يها":
            ending = ""
        return ("al" if word.startswith("ال") else "-") + ending

    def phrase_heads(self, word: str) -> tuple[str, ...]:
        """The readings of a word that a listed name of several words begins with."""
        return tuple(reading for reading in (word, *stems(word)) if reading in self._phrases)

    def phrase_places(
        self, words: Sequence[str], heads: Iterable[tuple[int, tuple[str, ...]]]
    ) -> list[int]:
        """For each word 0, or, in a listed name of several words, three times the number of its
        class and 1 at the name's beginning, 2 inside, 3 at its end.

        `heads`: where names may begin, in order, and by which readings.
        """
        places = [0] * len(words)
        end = 0
        for at, readings in heads:
            if end <= at < len(words) - 1 and (name := self._longest(words, at, readings)):
                size, first = name[0], name[1] * 3 + 1
                end = at + size
                places[at:end] = [first, *[first + 1] * (size - 2), first + 2]
        return places

    def _longest(
        self, words: Sequence[str], at: int, readings: tuple[str, ...]
    ) -> tuple[int, int] | None:
        """How many words the longest listed name from here has, and its class's number."""
        for reading in readings:
            for size in self._phrases[reading].get(words[at + 1], ()):
                kind = self.phrases.get((reading, *words[at + 1 : at + size]))
                if kind is not None and at + size <= len(words):
                    return size, kind
        return None


_PROCLITICS = frozenset("وفبلك")

# --- The model ----------------------------------------------------------------------------------

# Scores that depend on several places at once: what is looked at, and how far from the word.
# In this order on the model's rows.
TEMPLATES: dict[str, tuple[tuple[str, int], ...]] = {
    "gap": (("gap", 0),),
    "gap-next": (("gap", 1),),
    "gap-before": (("gap", -1),),
    "gap-after": (("gap", 2),),
    "gap-both": (("gap", 0), ("gap", 1)),
    "phrase": (("phrase", 0),),
    "phrase-before": (("phrase", -1),),
    "phrase-next": (("phrase", 1),),
    "cluster-before": (("cluster", -1), ("cluster", 0)),
    "cluster-next": (("cluster", 0), ("cluster", 1)),
    "cluster-around": (("cluster", -1), ("cluster", 1)),
    "kind": (("kind", 0),),
    "kind-before": (("kind", -1), ("kind", 0)),
    "kind-next": (("kind", 0), ("kind", 1)),
    "kind-around": (("kind", -1), ("kind", 1)),
    "kind-gaps": (("gap", 0), ("kind", 0), ("gap", 1)),
    "kinds": (("kind", -1), ("kind", 0), ("kind", 1)),
    "kinds-before": (("kind", -2), ("kind", -1), ("kind", 0)),
    "kinds-next": (("kind", 0), ("kind", 1), ("kind", 2)),
    "word-before": (("word", -1), ("word", 0)),
    "word-next": (("word", 0), ("word", 1)),
}


def shifted(values: Ints, by: int) -> Ints:
    """What stands `by` places further on, 0 beyond the ends."""
    if not by:
        return values
    moved = np.zeros_like(values)
    if by > 0:
        moved[:-by] = values[by:]
    else:
        moved[-by:] = values[:by]
    return moved


def forbid_gaps(scores: Scores, gaps: Ints) -> None:
    """Lets no name go on behind a gap that ends one."""
    scores[np.ix_(_IS_END.take(gaps).nonzero()[0], _INSIDE)] -= _NEVER


_NEVER = np.float32(100)
_INSIDE = np.arange(2, len(LABELS), 2)
_IS_END = np.array([gap in _ENDS_NAME for gap in range(OTHER + 1)])


def viterbi(scores: Scores, transitions: Scores) -> Ints:
    """The best labels of a row of words that begins and ends outside names.

    Only stretches where a name is possible are searched, all of them at once.
    """
    labels = np.zeros(len(scores), np.int64)
    uncertain = np.zeros(len(scores) + 2, np.int8)
    uncertain[1:-1] = _possible(scores, transitions)
    edges = np.diff(uncertain).nonzero()[0]
    if not len(edges):
        return labels
    order = np.argsort(edges[::2] - edges[1::2], kind="stable")
    starts, ends = edges[::2][order], edges[1::2][order]
    lengths = ends - starts
    reached = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left").tolist()
    best = transitions[0] + scores[starts]
    forward = [best]
    for at, count in enumerate(reached[1:], 1):
        best = np.maximum.reduce(best[:count, :, None] + transitions, axis=1)
        best += scores.take(starts[:count] + at, axis=0)
        forward.append(best)
    into = transitions.T
    chosen = np.zeros(0, np.int64)
    for at in range(len(forward) - 1, -1, -1):
        values = forward[at]
        done = len(chosen)
        values[:done] += into.take(chosen, axis=0)
        values[done:] += into[OUTSIDE]
        chosen = values.argmax(1)
        labels[starts[: len(chosen)] + at] = chosen
    return labels


def _possible(scores: Scores, transitions: Scores) -> NDArray[np.bool_]:
    """Where the best labels may be those of a name: elsewhere "outside" is certain.

    By sums over stretches, with what transitions can add at most. A name must gain over "outside"
    more than its neighbours would lose if it were none; and of words beside each other that are not
    outside, all together must gain more than entering and leaving costs.
    """
    stay, enter, leave = transitions[0, 0], transitions[0, 1:], transitions[1:, 0]
    over = scores[:, 1:] - scores[:, :1]
    go_on = np.maximum(transitions.diagonal()[2::2], transitions.diagonal(1)[1::2]) - stay
    one = over[:, ::2] + (enter[::2] + np.maximum(leave[::2], leave[1::2]) - 2 * stay)
    sums = np.cumsum(over[:, 1::2] + go_on, axis=0, dtype=np.float64)
    best = np.maximum.accumulate(one - sums) + np.maximum.accumulate(sums[::-1])[::-1]
    beside = (transitions[1:, 1::2] + stay - leave[:, None] - enter[None, ::2]).max()
    possible = best.max(1) >= -2 * max(beside, 0)

    inner = max(transitions[1:, 1:].max() - stay, 0)
    gain = np.where(possible, over.max(1) + inner, -_NEVER)
    run = np.cumsum(gain, dtype=np.float64)
    lowest = np.minimum.accumulate(np.append(0, run[:-1]))
    highest = np.maximum.accumulate(run[::-1])[::-1]
    found: NDArray[np.bool_] = highest - lowest >= 2 * stay - enter.max() - leave.max() + inner
    return found


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


def evidence_keys(words: Sequence[str], frequent: frozenset[str]) -> Ints:
    """A number for each word that is the same for all forms of a word in the text, with and
    without proclitics; 0 for words that say nothing: frequent, short, numbers, none.
    """
    present = set(words)
    numbers = {word: number for number, word in enumerate(present, 1)}
    keys = {
        word: 0 if word in frequent or len(word) < 3 or word.isdigit() else number
        for word, number in numbers.items()
    }
    for word in present:
        if word[:1] in _PROCLITICS and keys[word]:
            for stem in reversed(stems(word)):  # the shortest first
                if len(stem) > 2 and stem in present:
                    keys[word] = numbers[stem]
                    break
    return np.array([keys[word] for word in words], np.int64)


def evidence(keys: Ints, labels: Ints) -> list[Ints]:
    """What the labels of a word's other mentions in the text say of each: columns of row numbers,
    as many as `EVIDENCE` has.
    """
    size = len(LABELS)
    counts = np.bincount(keys * size + labels, minlength=(int(keys.max(initial=0)) + 1) * size)
    others = counts.reshape(-1, size)[keys]
    others[np.arange(len(keys)), labels] -= 1
    named = others[:, 1:].sum(1)
    total = named + others[:, 0]
    fate = np.where(named > 0, others[:, 1:].argmax(1) + 2, 1)
    share = np.where(named > 0, 1 + 3 * named // np.maximum(total, 1), np.minimum(total, 3))
    seen = (keys > 0) & (total > 0)
    fate, share = np.where(seen, fate, 0), np.where(seen, share, 0)
    state = fate * _SHARES + share
    return [
        state,
        state * size + labels,
        shifted(fate, -1) * _FATES + fate,
        fate * _FATES + shifted(fate, 1),
        shifted(labels, -1) * size + labels,
        labels * size + shifted(labels, 1),
    ]


def spans_of(labels: Sequence[int]) -> list[tuple[int, int, int]]:
    """The names `[first, last)` that labels give, with the number of their class."""
    found: list[tuple[int, int, int]] = []
    previous = OUTSIDE
    for at, label in enumerate(labels):
        if label:
            kind = (label - 1) // 2
            if label % 2 == 0 and previous in (label, label - 1):
                found[-1] = (found[-1][0], at + 1, kind)
            else:
                found.append((at, at + 1, kind))
        previous = label
    return found


# --- Decoding -----------------------------------------------------------------------------------

_FORGET = 200_000  # words remembered, at some 300 bytes each; then it begins anew


class Recognizer:
    """The model, read from its file, and the words that it has met. Not for use by two threads."""

    version = VERSION
    _rows: Scores  # by a word's number: its weights
    _begins: NDArray[np.bool_]  # by a word's number: whether a listed name begins with it
    _channels: Ints  # by a word's number: its kind, its cluster, its number in pairs

    def __init__(self, path: Path = MODEL) -> None:
        """Raises ModelError for a file that is missing or no model of this version."""
        try:
            with np.load(path) as file:
                stored = {name: file[name] for name in file.files}
            about = json.loads(_text(stored["about"]))
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
        step = np.float32(stored["step"])
        names = [_lines(stored[f"{way}_names"]) for way in _WAYS]
        self._features = [{name: at for at, name in enumerate(each)} for each in names]
        self._weights = [stored[f"{way}_weights"] for way in _WAYS]
        self._step = step

        words = _lines(stored["lexicon_words"])
        sets = [tuple(line.split()) for line in _lines(stored["lexicon_sets"])]
        flags = {
            word: sets[at]
            for word, at in zip(words, stored["lexicon_flags"].tolist(), strict=True)
            if at
        }
        pairs = stored["lexicon_clusters"].tolist()
        clusters = {
            word: (coarse, fine)
            for word, (coarse, fine) in zip(words, pairs, strict=True)
            if coarse
        }
        kinds_of_phrases = stored["phrase_kinds"].tolist()
        phrases = {
            tuple(line.split()): kind
            for line, kind in zip(_lines(stored["phrases"]), kinds_of_phrases, strict=True)
        }
        frequent = frozenset(_lines(stored["frequent"]))
        self.lexicon = Lexicon(flags, clusters, frequent, phrases)

        self._kind_number = {kind: at for at, kind in enumerate(_lines(stored["kinds"]))}
        self._word_number = {word: at for at, word in enumerate(_lines(stored["words"]))}
        kinds = self._kinds = len(self._kind_number) + 1  # and one that is not known
        size = len(LABELS)

        def table(name: str, *shape: int) -> Scores:
            """A template's weights as an array by what it looks at."""
            full = np.zeros((*shape, size), np.float32)
            full[tuple(stored[f"{name}_keys"].T)] = stored[f"{name}_weights"] * step
            return full

        gaps, phrase = OTHER + 1, 3 * len(CLASSES) + 1
        cluster = int(stored["lexicon_clusters"][:, 0].max(initial=0)) + 1
        self._gap_scores = (
            table("gap-before", gaps)[:, None, None, None]
            + table("gap", gaps)[None, :, None, None]
            + table("gap-next", gaps)[None, None, :, None]
            + table("gap-both", gaps, gaps)[None, :, :, None]
            + table("gap-after", gaps)[None, None, None, :]
        ).reshape(-1, size)
        self._phrase_scores = (
            table("phrase-before", phrase)[:, None, None]
            + table("phrase", phrase)[None, :, None]
            + table("phrase-next", phrase)[None, None, :]
        ).reshape(-1, size)
        self._cluster_pairs = _beside(
            table("cluster-next", cluster, cluster), table("cluster-before", cluster, cluster)
        )
        self._cluster_around = table("cluster-around", cluster, cluster).reshape(-1, size)
        self._kind_scores = table("kind", kinds)
        self._kind_pairs = _beside(
            table("kind-next", kinds, kinds), table("kind-before", kinds, kinds)
        )
        self._kind_around = table("kind-around", kinds, kinds).reshape(-1, size)
        self._kind_gaps = table("kind-gaps", gaps, kinds, gaps).reshape(-1, size)
        self._clusters = cluster
        self._triples = _Sparse(stored, ("kinds-next", "kinds", "kinds-before"), kinds, step)
        self._pairs = _Sparse(
            stored, ("word-next", "word-before"), len(self._word_number) + 1, step
        )
        self._transitions = stored["transitions"]
        self._bias = stored["bias"]
        self._evidence = [stored[f"evidence{at}"] for at in range(len(EVIDENCE))]
        self._evidence_transitions = stored["evidence_transitions"]
        self._evidence_scale = stored["evidence_scale"]
        self._forget()

    def knows(self, word: str) -> bool:
        """Whether a word (match layer) is in a list of names."""
        return word in self.lexicon.flags

    def find(self, texts: Sequence[Text]) -> list[list[Span]]:
        """The names in each text of an article, in reading order; none overlaps another. What is
        said in one text counts in the others.
        """
        words = [word for text in texts for word in text.words]
        gaps = [gap for text in texts for gap in text.gaps]
        ends = np.cumsum([len(text.words) for text in texts]).tolist()
        found: list[list[Span]] = [[] for _ in texts]
        at, start = 0, 0
        for span in self.spans(words, gaps):
            while span.first >= ends[at]:
                start = ends[at]
                at += 1
            found[at].append(Span(span.first - start, span.last - start, span.type))
        return found

    def spans(self, words: Sequence[str], gaps: Sequence[int]) -> list[Span]:
        """The names in words (match layer), with the kinds of gap before each."""
        if not words:
            return []
        scores, places, keys = self._scores(words, gaps)
        first = viterbi(scores, self._transitions)
        if not first.any():
            return []
        scores *= self._evidence_scale
        for table, rows in zip(self._evidence, evidence(keys, first), strict=True):
            scores += table.take(rows, axis=0)
        labels = viterbi(scores, self._evidence_transitions)
        return [Span(a, b, CLASSES[kind]) for a, b, kind in spans_of(labels[places].tolist())]

    def _scores(self, words: Sequence[str], gaps: Sequence[int]) -> tuple[Scores, Ints, Ints]:
        """The scores of the labels at each place, the words' places, and the keys of evidence.

        Between sentences, and at both ends, two places are empty.
        """
        before = np.array(gaps, np.int64)
        stops = before == STOP
        stops[0] = False
        places = np.arange(2, len(words) + 2) + 2 * np.cumsum(stops)
        size = int(places[-1]) + 3
        gap = np.zeros(size, np.int64)
        gap[places] = before
        gap[places[np.append(stops[1:], True)] + 1] = STOP
        ids = np.zeros(size, np.int64)
        ids[places] = self._numbers(words)
        phrase = np.zeros(size, np.int64)
        begins = self._begins.take(ids[places]).nonzero()[0].tolist()
        heads = [(at, self._heads[words[at]]) for at in begins]
        phrase[places] = self.lexicon.phrase_places(words, heads)
        keys = np.zeros(size, np.int64)
        keys[places] = evidence_keys(words, self.lexicon.frequent)

        rows = self._rows.take(ids, axis=0)
        width = len(LABELS)
        scores = rows[:, :width].copy()
        scores[1:] += rows[:-1, width : 2 * width]
        scores[:-1] += rows[1:, 2 * width : 3 * width]
        scores[2:] += rows[:-2, 3 * width : 4 * width]
        scores[:-2] += rows[2:, 4 * width :]

        kind, cluster, known = self._channels.take(ids, axis=1)
        before, after = shifted(gap, -1), shifted(gap, 1)
        gaps_there = ((before * 9 + gap) * 9 + after) * 9 + shifted(gap, 2)
        scores += self._gap_scores.take(gaps_there, axis=0)
        span = 3 * len(CLASSES) + 1
        listed = (shifted(phrase, -1) * span + phrase) * span + shifted(phrase, 1)
        scores += self._phrase_scores.take(listed, axis=0)
        kinds, clusters = self._kinds, self._clusters
        kind_before, kind_after = shifted(kind, -1), shifted(kind, 1)
        scores += self._kind_around.take(kind_before * kinds + kind_after, axis=0)
        scores += self._kind_gaps.take((gap * kinds + kind) * 9 + after, axis=0)
        around = shifted(cluster, -1) * clusters + shifted(cluster, 1)
        scores += self._cluster_around.take(around, axis=0)
        both = self._kind_pairs.take(kind[:-1] * kinds + kind[1:], axis=0)
        both += self._cluster_pairs.take(cluster[:-1] * clusters + cluster[1:], axis=0)
        both += self._pairs.find(known[:-1], known[1:])
        scores[:-1] += both[:, :width]
        scores[1:] += both[:, width:]
        triples = self._triples.find(kind[:-2], kind[1:-1], kind[2:])
        scores[:-2] += triples[:, :width]
        scores[1:-1] += triples[:, width : 2 * width]
        scores[2:] += triples[:, 2 * width :]
        forbid_gaps(scores, gap)
        scores += self._bias
        empty = np.ones(size, bool)
        empty[places] = False
        scores[empty, 1:] -= _NEVER
        return scores, places, keys

    def _numbers(self, words: Sequence[str]) -> list[int]:
        """The words' rows; a word that is new gets one."""
        known = self._ids
        try:
            return [known[word] for word in words]
        except KeyError:
            pass
        new = [word for word in dict.fromkeys(words) if word not in known]
        if len(known) + len(new) > _FORGET:
            self._forget()
            new = list(dict.fromkeys(words))
        start = len(self._ids)
        rows = self._rows_of(new)
        kinds = [self._kind_number.get(self.lexicon.kind(word), self._kinds - 1) for word in new]
        clusters = [self.lexicon.clusters.get(word, (0, 0))[0] for word in new]
        numbers = [self._word_number.get(word, len(self._word_number)) for word in new]
        while len(self._rows) < start + len(new):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._channels = np.concatenate([self._channels, np.zeros_like(self._channels)], axis=1)
            self._begins = np.concatenate([self._begins, np.zeros_like(self._begins)])
        end = start + len(new)
        self._rows[start:end] = rows
        self._rows[start:end, : len(LABELS)] += self._kind_scores[kinds]
        self._channels[:, start:end] = (kinds, clusters, numbers)
        self._ids.update(zip(new, range(start, end), strict=True))
        for number, word in enumerate(new, start):
            if readings := self.lexicon.phrase_heads(word):
                self._heads[word] = readings
                self._begins[number] = True
        return [self._ids[word] for word in words]

    def _rows_of(self, words: Sequence[str]) -> Scores:
        """The weights that the words' features add up to: for their own place, and for the places
        after, before, two after and two before them.
        """
        features = [self.lexicon.features(word) if word else (["pad"],) * 3 for word in words]
        parts = []
        for way, (numbers, weights) in enumerate(zip(self._features, self._weights, strict=True)):
            found: list[int] = []
            starts = []
            for each in features:
                starts.append(len(found))
                found.append(0)  # an empty row, so that no word has none
                found += [numbers[name] for name in each[way] if name in numbers]
            rows = weights.take(found, axis=0).astype(np.float32)
            parts.append(np.add.reduceat(rows, starts) * self._step)
        return np.hstack(parts)

    def _forget(self) -> None:
        self._ids: dict[str, int] = {"": 0}
        self._heads: dict[str, tuple[str, ...]] = {}
        self._rows = np.zeros((1024, 5 * len(LABELS)), np.float32)
        self._channels = np.zeros((3, 1024), np.int64)
        self._begins = np.zeros(1024, bool)
        self._rows[0] = self._rows_of([""])[0]
        self._rows[0, : len(LABELS)] += self._kind_scores[0]


class _Sparse:
    """Weights by several numbers, few of whose combinations have any."""

    def __init__(
        self, stored: dict[str, Any], names: tuple[str, ...], base: int, step: np.float32
    ) -> None:
        self._base = base
        keys = [self._key(*stored[f"{name}_keys"].T.astype(np.int64)) for name in names]
        self._keys = np.unique(np.concatenate(keys))
        size = len(LABELS)
        self._weights = np.zeros((len(self._keys) + 1, size * len(names)), np.float32)
        for at, (name, key) in enumerate(zip(names, keys, strict=True)):
            rows = np.searchsorted(self._keys, key)
            self._weights[rows, at * size : (at + 1) * size] = stored[f"{name}_weights"] * step
        self._keys = np.append(self._keys, -1)  # what is beyond the last is not found

    def _key(self, *numbers: Ints) -> Ints:
        key = numbers[0]
        for number in numbers[1:]:
            key = key * self._base + number
        return key

    def find(self, *numbers: Ints) -> Scores:
        """The weights of each combination, 0 for one that has none."""
        key = self._key(*numbers)
        rows = np.searchsorted(self._keys[:-1], key)
        rows[self._keys[rows] != key] = len(self._weights) - 1
        found: Scores = self._weights.take(rows, axis=0)
        return found


_WAYS = ("own", "near", "far")


def _beside(left: Scores, right: Scores) -> Scores:
    """What two numbers beside each other say of the left and of the right place."""
    joined: Scores = np.concatenate([left, right], axis=2).reshape(-1, 2 * len(LABELS))
    return joined


def _text(stored: NDArray[np.uint8]) -> str:
    return stored.tobytes().decode("utf-8")


def _lines(stored: NDArray[np.uint8]) -> list[str]:
    return _text(stored).split("\n")
