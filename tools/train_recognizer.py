"""Trains the default recognizer and writes `pipelines/stages/data/recognizer.npz`.

`make model` calls it, with one thread for linear algebra: more would add in another order, and the
file would not be the same to the bit. The argument (by default ../shared/data) is the folder of
`ner/` and `gazetteers/`. `benchmarks/recognizer.py` judges the same training on parts of the data.
"""

from __future__ import annotations

import copy
import csv
import json
import lzma
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from pipelines.stages.gazetteer import DATA, TABLES, match_form, read_aliases
from pipelines.stages.lexicon import (
    codes_of,
    forms_of,
    kind_of_lists,
    phrase_places,
    phrases_of,
    text_of,
)
from pipelines.stages.recognizer import (
    CLASSES,
    EVIDENCE,
    LABELS,
    MODEL,
    NO_GAP,
    STOP,
    VERSION,
    evidence,
    evidence_keys,
    forbid_gaps,
    gap_of,
    viterbi,
)

NAMES = Path(__file__).with_name("recognizer_names.tsv")
SIZE = len(LABELS)
NUMBER = {label: number for number, label in enumerate(LABELS)}

# --- Settings, chosen on the five blocks ---------------------------------------------------------
L2 = 1.0
ROUNDS = 100  # of L-BFGS
FREQUENT = 150  # words that are a kind of their own
CLUSTERS = (64, 256)
# A second copy of the texts in which so many of the words are unknown, at half the weight: else
# what is known of a word by heart leaves nothing to learn from its form and its neighbours.
HIDDEN, HIDDEN_WEIGHT = 0.6, 0.5
# Added before the first search: to groups, and taken from what is no name. For recall.
GROUP_BIAS, OUTSIDE_BIAS = 0.5, 0.2
GROUP_BIAS_AGAIN = 0.35  # before the second search
WINDOW = 400  # words each way that count as one article; the training data has no such marks
EVIDENCE_L2, EVIDENCE_ROUNDS = 5.0, 40
BLOCKS = 5
SCALE = 32  # weights are kept in steps of 1/32

_HIDE = "\0"
_WIKIFANE = {
    "PER": "Politician Religious_PER Artist Scientist Other_PER Athlete Businessperson Police"
    " Engineer Lawyer",
    "LOC": "Population-Center Nation Water-Body State-or-Province Continent Land-Region-Natural"
    " Path GPE-Cluster County-or-District Building-Grounds Airport Subarea-Facility Plant",
    "ORG": "Non-Governmental Commercial Government Educational Media Sports Religious_ORG"
    " Medical-Science Entertainment",
    "MISC": "Book Movie Sound Software Hardware Air Land Water Projectile Drug Food Nuclear",
}
_CLASS_OF = {fine: kind for kind, names in _WIKIFANE.items() for fine in names.split()}
_PROCLITICS = frozenset("وفبلك")
_ENCLITICS = frozenset(["ها", "ه", "هم", "هما", "هن", "نا", "كم", "ي", "ك"])
_LISTS = {"PER": "person-name", "LOC": "place", "ORG": "group", "MISC": "thing"}
_WIKI_LISTS = {"PER": "wiki-person", "LOC": "wiki-place", "ORG": "wiki-group", "MISC": "wiki-thing"}


class Sentence:
    """Words of the match layer with the gaps before them and their labels; `tokens` says which
    token of the source each word is of, and `gold` has the names as spans of tokens.
    """

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self.words: list[str] = []
        self.gaps: list[int] = []
        self.labels: list[int] = []
        self.tokens: list[int] = []
        between = "\n"
        for number, (token, tag) in enumerate(rows):
            # Two letters that are neither word nor space keep the token's own punctuation apart.
            words = match_form(token).split()
            before, after = _punctuation(token)
            between += before
            for word in words:
                self.words.append(word)
                self.gaps.append(gap_of(between))
                between = ""
                inside = tag != "O" and word is not words[0]
                self.labels.append(NUMBER[f"I-{tag[2:]}" if inside else tag])
                self.tokens.append(number)
            between += after
        before_it = 0
        for at, label in enumerate(self.labels):  # an I that continues nothing is a beginning
            if label and label % 2 == 0 and before_it not in (label, label - 1):
                self.labels[at] = label - 1
            before_it = self.labels[at]
        self.gold = spans([tag for _, tag in rows])

    def named(self, labels: Sequence[int]) -> list[tuple[int, int, str]]:
        """The names that labels of the words give, as spans of tokens."""
        found = spans([LABELS[label] for label in labels])
        return [
            (self.tokens[first], self.tokens[last - 1] + 1, kind) for first, last, kind in found
        ]


def _punctuation(token: str) -> tuple[str, str]:
    """What stands before a token's first and behind its last letter or digit."""
    inner = re.search(r"\w(?:.*\w)?", token)
    return (token[: inner.start()], token[inner.end() :]) if inner else (token, "")


def spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The names `[first, last)` of BIO tags; an I that continues nothing begins one."""
    found = []
    start, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        if kind and (tag[0] != "I" or tag[2:] != kind):
            found.append((start, at, kind))
            kind = ""
        if tag != "O" and not kind:
            start, kind = at, tag[2:]
    return found


def _read(path: Path) -> Iterator[list[tuple[str, str]]]:
    rows: list[tuple[str, str]] = []
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) == 2:
                rows.append((fields[0], fields[1]))
            elif rows:
                yield rows
                rows = []
    if rows:
        yield rows


def read_anercorp(data: Path) -> list[Sentence]:
    """The train side of ANERcorp, in its order."""
    tags = {"B-PERS": "B-PER", "I-PERS": "I-PER"}
    rows = _read(data / "ner" / "anercorp-train.bio.xz")
    sentences = [Sentence([(token, tags.get(tag, tag)) for token, tag in each]) for each in rows]
    return [sentence for sentence in sentences if sentence.words]


def read_wikifane(data: Path) -> list[Sentence]:
    """WikiFANE in the four classes, its clitics put back to their words."""
    sentences = []
    for rows in _read(data / "ner" / "wikifane-gold-fine.bio.xz"):
        joined: list[tuple[str, str]] = []
        clitics = ""
        for token, tag in rows:
            kind = _CLASS_OF.get(tag[2:])
            if token in _PROCLITICS:
                clitics += token
            elif token in _ENCLITICS and not clitics and joined and joined[-1][0].isalpha():
                joined[-1] = (joined[-1][0] + token, joined[-1][1])
            else:
                if clitics.endswith("ل") and token.startswith("ال"):
                    token = f"ل{token[2:]}"
                joined.append((clitics + token, f"{tag[:2]}{kind}" if kind else "O"))
                clitics = ""
        if (sentence := Sentence(joined)).words:
            sentences.append(sentence)
    return sentences


# --- What is known of words ----------------------------------------------------------------------


def read_lists(
    data: Path, wikifane: Sequence[Sentence]
) -> tuple[dict[str, tuple[str, ...]], dict[tuple[str, ...], int]]:
    """The lists' flags of each word, and the names of several words with their class."""
    flags: dict[str, set[str]] = defaultdict(set)
    phrases: dict[tuple[str, ...], int] = {}
    folder = data / "gazetteers"

    def add(words: Sequence[str], flag: str, kind: str) -> None:
        if len(words) == 1:
            flags[words[0]].add(flag)
        elif words:
            flags[words[0]].add(f"{flag}-head")
            for word in words[1:]:
                flags[word].add(f"{flag}-inside")
            phrases.setdefault(tuple(words), CLASSES.index(kind))

    counts = [line.split("\t") for line in _lines(folder / "wd_arabic_person_words.tsv.xz")]
    for (_, _, count), word in zip(counts, _folded(row[0] for row in counts), strict=True):
        if len(word) > 1 and word.isalpha():
            flags[word].add(f"person{min(int(count).bit_length() - 1, 9)}")
    for kind in ("family", "female", "male", "unisex"):
        for name in _folded(_lines(folder / f"wikidata_names_{kind}.txt.xz")):
            for word in name.split():
                flags[word].add("family" if kind == "family" else "given")
    for alias in read_aliases(DATA / name for name in TABLES):
        for record in alias.records[:1]:
            add(alias.words[alias.skip :], _LISTS[record.type], record.type)
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line[0] != "#"]
    listed = [(kind, name) for kind, names in rows for name in names.split("|")]
    for (kind, _), name in zip(listed, _folded(name for _, name in listed), strict=True):
        add(name.split(), _LISTS[kind], kind)
    cities = csv.DictReader(_lines(folder / "world_cities_ar.csv.xz"))
    for name in _folded(re.sub(r"\(.*\)|[،,].*", "", row["CityNameAr"]) for row in cities):
        add(name.split(), "city", "LOC")
    territories = [line.split("\t") for line in _lines(folder / "cldr41_ar.tsv.xz")]
    names = _folded(re.sub(r"\(.*\)", "", name) for *_, name in territories)
    for (kind, *_), name in zip(territories, names, strict=True):
        add(name.split(), "place" if kind == "territory" else "city", "LOC")

    seen = Counter(word for sentence in wikifane for word in sentence.words)
    named: dict[str, Counter[str]] = defaultdict(Counter)
    kinds: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence in wikifane:
        for first, last, kind in spans([LABELS[label] for label in sentence.labels]):
            words = sentence.words[first:last]
            kinds[tuple(words)][kind] += 1
            for at, word in enumerate(words):
                place = "" if len(words) == 1 else "-inside" if at else "-head"
                named[word][_WIKI_LISTS[kind] + place] += 1
    for words_, counted in kinds.items():
        if len(words_) > 1:
            phrases.setdefault(words_, CLASSES.index(counted.most_common(1)[0][0]))
    for word, lists in named.items():
        for flag, times in lists.items():
            share = times / seen[word]
            flags[word].add(flag + ("+" if share > 0.5 else "-" if share < 0.1 else ""))
    return {word: tuple(sorted(found)) for word, found in flags.items()}, phrases


def _lines(path: Path) -> Iterator[str]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n")


def _folded(names: Iterable[str]) -> list[str]:
    """The match layer of each name, in one call: `zz` is a word that it leaves alone."""
    return [name.strip() for name in match_form(" zz ".join(["", *names, ""])).split("zz")[1:-1]]


def make_clusters(sentences: Sequence[Sentence]) -> dict[str, tuple[int, int]]:
    """Words seen three times or more by the words that stand beside them: singular vectors of
    positive pointwise mutual information with 1,500 words on each side, then spherical k-means
    begun with the most frequent words. 0 is for what is in none.
    """
    contexts, dimensions = 1500, 64
    counts = Counter(word for sentence in sentences for word in sentence.words)
    vocabulary = sorted((w for w, n in counts.items() if n >= 3), key=lambda w: (-counts[w], w))
    number = {word: at for at, word in enumerate(vocabulary)}
    rows, columns = [], []
    for sentence in sentences:
        ids = [-1, *(number.get(word, -1) for word in sentence.words), -1]
        for at in range(1, len(ids) - 1):
            if ids[at] >= 0:
                for side, beside in enumerate((ids[at - 1], ids[at + 1])):
                    rows.append(ids[at])
                    known = beside if 0 <= beside < contexts else contexts
                    columns.append(side * (contexts + 1) + known)
    shape = (len(vocabulary), 2 * (contexts + 1))
    seen = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr().tocoo()
    of_words = np.asarray(seen.sum(1)).ravel()
    of_contexts = np.asarray(seen.sum(0)).ravel() ** 0.75
    expected = of_words[seen.row] * (of_contexts / of_contexts.sum())[seen.col]
    information = np.log(seen.data / expected)
    keep = information > 0
    matrix = sparse.csr_matrix((information[keep], (seen.row[keep], seen.col[keep])), shape=shape)
    basis = np.random.default_rng(0).standard_normal((shape[1], dimensions + 16))
    for _ in range(3):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    left, values, _ = np.linalg.svd(matrix @ basis, full_matrices=False)
    vectors = left[:, :dimensions] * values[:dimensions] ** 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9
    found = []
    for size in CLUSTERS:
        centres = vectors[:size].copy()
        for _ in range(15):
            nearest = (vectors @ centres.T).argmax(1)
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, vectors)
            length = np.linalg.norm(sums, axis=1, keepdims=True)
            centres = np.where(length > 0, sums / (length + 1e-9), centres)
        found.append(nearest + 1)
    return {word: (int(found[0][at]), int(found[1][at])) for word, at in number.items()}


# --- What a word is known by ---------------------------------------------------------------------
# `pipelines.stages.lexicon` has the same in compiled loops: what changes here must change there.


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


class Lexicon:
    """What is known of words beforehand, as `pipelines.stages.lexicon` has it in tables.

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

    @classmethod
    def of_model(cls, stored: Mapping[str, Any]) -> Lexicon:
        """The lexicon that is in a model's file."""
        words = text_of(stored["lexicon_words"]).split("\n")
        sets = [tuple(line.split()) for line in text_of(stored["lexicon_sets"]).split("\n")]
        flags = zip(words, stored["lexicon_flags"].tolist(), strict=True)
        clusters = zip(words, stored["lexicon_clusters"].tolist(), strict=True)
        phrases = text_of(stored["phrases"]).split("\n")
        kinds = stored["phrase_kinds"].tolist()
        return cls(
            {word: sets[at] for word, at in flags if at},
            {word: (coarse, fine) for word, (coarse, fine) in clusters if coarse},
            frozenset(text_of(stored["frequent"]).split("\n")),
            {tuple(line.split()): kind for line, kind in zip(phrases, kinds, strict=True)},
        )

    def features(self, word: str) -> list[str]:
        """The names of a word's features by which its own place is scored.

        w the word, p q its beginnings and ends, d latin n its shape, t the beginnings of its
        shortest reading without proclitics, s all of its readings, @ lists, k clusters; 0 of the
        word itself, 1 behind a proclitic.
        """
        size = len(word)
        found = [f"w{word}"]
        for cut in range(1, min(5, size)):
            found += (f"p{word[:cut]}", f"q{word[-cut:]}")
        if word.isascii():
            found.append(f"d{min(size, 5)}" if word.isdigit() else "latin")
        else:
            found.append(f"n{min(size, 8)}")
        readings = [word, *stems(word)]
        if len(readings) > 1:
            found += [f"t{readings[-1][:cut]}" for cut in (2, 3) if cut < len(readings[-1])]
        found += [f"s{reading}" for reading in readings]
        clusters = None
        for behind, reading in enumerate(readings):
            where = "1" if behind else "0"
            found += [f"@{where}{flag}" for flag in self.flags.get(reading, ())]
            if clusters is None and (clusters := self.clusters.get(reading)):
                found += (f"k{where}c{clusters[0]}", f"k{where}f{clusters[1]}")
        return list(dict.fromkeys(found))

    def kind(self, word: str) -> str:
        """One coarse class of a word: itself if it is frequent, else what the lists say of it, or
        its form.
        """
        if word in self.frequent:
            return word
        if word.isascii():
            return f"#{min(len(word), 5)}" if word.isdigit() else "#latin"
        for behind, reading in enumerate([word, *stems(word)]):
            if kind := kind_of_lists(self.flags.get(reading, ())):
                return kind + ("1" if behind else "")
        ending = word[-2:] if word[-2:] in ("يه", "ين", "ون", "ات", "يا") else word[-1]
        if len(ending) == 1 and ending not in "يها":
            ending = ""
        return ("al" if word.startswith("ال") else "-") + ending


# Which features count for a word's own place, for those beside it, and for those two away.
WAYS = {
    "own": re.compile(""),
    "near": re.compile(r"[wdlsk@]|[pq].{2,3}\Z"),
    "far": re.compile(r"[wdl]|[k@]0"),
}


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


def shifted(values: np.ndarray, by: int) -> np.ndarray:
    """What stands `by` places further on, 0 beyond the ends."""
    if not by:
        return values
    moved = np.zeros_like(values)
    if by > 0:
        moved[:-by] = values[by:]
    else:
        moved[-by:] = values[:by]
    return moved


# --- Training ------------------------------------------------------------------------------------


class Index:
    """Numbers for features, and for what the templates look at; new ones while it is open."""

    def __init__(self) -> None:
        self.features: dict[str, dict[str, int]] = {way: {} for way in WAYS}
        self.kinds: dict[str, int] = {"": 0}
        self.words: dict[str, int] = {"": 0}
        self.rows: dict[str, dict[tuple[int, ...], int]] = {name: {} for name in TEMPLATES}
        self.open = True


class Problem:
    """Sentences as one row of words, two empty places behind each, and what they are scored by."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        lexicon: Lexicon,
        index: Index,
        weights: Sequence[float] = (),
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.sentences = sentences
        words, gaps, labels, phrases, weight = ["", ""], [0, 0], [0, 0], [0, 0], [0.0, 0.0]
        starts = []
        phrase_table = phrases_of(
            "\n".join(map(" ".join, lexicon.phrases)), np.array([*lexicon.phrases.values()])
        )
        for number, sentence in enumerate(sentences):
            starts.append(len(words))
            words += [*sentence.words, "", ""]
            gaps += [*sentence.gaps, STOP, NO_GAP]
            labels += [*sentence.labels, 0, 0]
            plain = [word.lstrip(_HIDE) for word in sentence.words]
            places = phrase_places(phrase_table, forms_of(codes_of(" ".join(plain))))
            phrases += [*places.tolist(), 0, 0]
            each = weights[number] if weights else 1.0
            weight += [*[each] * len(sentence.words), 0.0, 0.0]
        self.words = words
        self.size = len(words)
        self.labels, self.gaps = np.array(labels), np.array(gaps)
        self.weight = np.array(weight, np.float32)
        self.starts = np.array(starts)
        self.lengths = np.array([len(sentence.words) for sentence in sentences])
        self.ends = self.starts + self.lengths - 1
        local: dict[str, int] = {}
        self.ids = np.array([local.setdefault(word, len(local)) for word in words])
        self.vocabulary = list(local)
        self.features = [self._features(lexicon, index, way, without) for way in WAYS]
        kinds, known, clusters = [], [], []
        for word in self.vocabulary:
            plain_word = word.lstrip(_HIDE)
            kind = lexicon.kind(plain_word) if word else ""
            if index.open:
                index.kinds.setdefault(kind, len(index.kinds))
                if word[:1] != _HIDE:
                    index.words.setdefault(word, len(index.words))
            kinds.append(index.kinds.get(kind, -1))
            known.append(index.words.get(word, -1))
            clusters.append(lexicon.clusters.get(plain_word, (0, 0))[0])
        channels = {
            "gap": self.gaps,
            "phrase": np.array(phrases),
            "cluster": np.array(clusters)[self.ids],
            "kind": np.array(kinds)[self.ids],
            "word": np.array(known)[self.ids],
        }
        self.rows = {
            name: self._rows(index, name, [shifted(channels[c], by) for c, by in looks])
            for name, looks in TEMPLATES.items()
            if name not in without
        }
        self.sizes = [
            *((len(names), SIZE * (1 if way == "own" else 2))
              for way, names in index.features.items()),
            *((len(index.rows[name]) + 1, SIZE) for name in self.rows),
            (SIZE, SIZE),
        ]  # fmt: skip

    def _features(
        self, lexicon: Lexicon, index: Index, way: str, without: frozenset[str]
    ) -> sparse.csr_matrix:
        numbers = index.features[way]
        found: list[int] = []
        ends = [0]
        for word in self.vocabulary:
            names = lexicon.features(word.lstrip(_HIDE)) if word else ["pad"]
            for name in names:
                if word and not WAYS[way].match(name):
                    continue
                if name[0] in without or (word[:1] == _HIDE and name[0] in "ws"):
                    continue
                if index.open:
                    found.append(numbers.setdefault(name, len(numbers)))
                elif name in numbers:
                    found.append(numbers[name])
            ends.append(len(found))
        values = np.ones(len(found), np.float32)
        return sparse.csr_matrix((values, found, ends), shape=(len(self.vocabulary), len(numbers)))

    def _rows(self, index: Index, name: str, columns: list[np.ndarray]) -> np.ndarray:
        """The number of each place's row of weights, 0 for what was seen once at most."""
        numbers = index.rows[name]
        values, inverse, counts = np.unique(
            np.stack(columns, 1), axis=0, return_inverse=True, return_counts=True
        )
        rows = np.zeros(len(values), np.int64)
        for at, value in enumerate(map(tuple, values.tolist())):
            if index.open and counts[at] > 1 and -1 not in value:
                numbers.setdefault(value, len(numbers) + 1)
            rows[at] = numbers.get(value, 0)
        return rows[inverse.ravel()]

    def unpack(self, flat: np.ndarray) -> list[np.ndarray]:
        """The weights as matrices: three of features, one a template, the transitions."""
        ends = np.cumsum([rows * columns for rows, columns in self.sizes])
        parts = np.split(flat, ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.sizes, strict=True)]

    def scores(self, weights: list[np.ndarray]) -> np.ndarray:
        """Each place's scores of the labels."""
        own, near, far = (
            (matrix @ weight)[self.ids]
            for matrix, weight in zip(self.features, weights[:3], strict=True)
        )
        total: np.ndarray = own
        for by, both in ((1, near), (2, far)):
            total[by:] += both[:-by, :SIZE]
            total[:-by] += both[by:, SIZE:]
        for rows, weight in zip(self.rows.values(), weights[3:], strict=False):
            total += weight[rows]
        return total

    def train(self, rounds: int = ROUNDS, l2: float = L2) -> list[np.ndarray]:
        """The weights that make the labels most likely, by L-BFGS."""
        places = np.arange(self.size)
        ones = np.ones(self.size, np.float32)
        by_word = sparse.csr_matrix((ones, (self.ids, places)), (len(self.vocabulary), self.size))
        transposed = [matrix.T.tocsr() for matrix in self.features]
        by_row = [
            sparse.csr_matrix((ones, (rows, places)), (count, self.size))
            for rows, (count, _) in zip(self.rows.values(), self.sizes[3:], strict=False)
        ]
        chain = Chain(self)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = self.unpack(flat.astype(np.float32))
            value, wrong, wrong_steps = chain.loss(self.scores(weights), weights[-1])
            gradient = [transposed[0] @ (by_word @ wrong)]
            for by in (1, 2):
                left, right = np.zeros_like(wrong), np.zeros_like(wrong)
                left[:-by], right[by:] = wrong[by:], wrong[:-by]
                gradient.append(transposed[by] @ np.hstack([by_word @ left, by_word @ right]))
            for matrix in by_row:
                part = matrix @ wrong
                part[0] = 0
                gradient.append(part)
            gradient.append(wrong_steps)
            flat_gradient = np.concatenate([part.ravel() for part in gradient]).astype(np.float64)
            return value + 0.5 * l2 * float(flat @ flat), flat_gradient + l2 * flat

        size = sum(rows * columns for rows, columns in self.sizes)
        options = {"maxiter": rounds, "maxcor": 6}
        best = minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B", options=options)
        return self.unpack(best.x.astype(np.float32))


class Chain:
    """The likelihood of the labels of a problem's sentences, all of them at once."""

    def __init__(self, problem: Problem) -> None:
        self.labels, self.weight = problem.labels, problem.weight
        self.starts, self.ends = problem.starts, problem.ends
        self.used = problem.weight > 0
        order = np.argsort(-problem.lengths, kind="stable")
        lengths = problem.lengths[order]
        self.columns = [
            problem.starts[order[: np.count_nonzero(lengths > at)]] + at for at in range(lengths[0])
        ]
        self.gold = np.zeros((len(self.labels), SIZE), np.float32)
        self.gold[np.arange(len(self.labels)), self.labels] = 1
        self.steps = np.zeros((SIZE, SIZE), np.float32)
        before = np.r_[0, self.labels[:-1]]
        np.add.at(
            self.steps,
            (before[self.used], self.labels[self.used]),
            self.weight[self.used],
        )
        np.add.at(self.steps, (self.labels[self.ends], 0), self.weight[self.ends])

    def loss(
        self, scores: np.ndarray, transitions: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Minus the log-likelihood, and its derivatives by scores and transitions."""
        weight, ends = self.weight, self.ends
        best = scores.max(1)
        likely = np.exp(scores - best[:, None])
        steps = np.exp(transitions)
        forward, backward = np.zeros_like(likely), np.zeros_like(likely)
        norm = np.ones(len(likely), np.float32)
        for at, column in enumerate(self.columns):
            each = likely[column] * (forward[column - 1] @ steps if at else steps[0])
            norm[column] = each.sum(1)
            forward[column] = each / norm[column][:, None]
        last = forward[ends] @ steps[:, 0]
        backward[ends] = steps[:, 0] / last[:, None]
        expected = np.zeros_like(steps)
        for column in self.columns[:0:-1]:
            each = likely[column] * backward[column] / norm[column][:, None]
            backward[column - 1] = each @ steps.T
            expected += (forward[column - 1] * weight[column][:, None]).T @ each
        expected *= steps
        likely = forward * backward
        first = self.columns[0]
        expected[0] += (likely[first] * weight[first][:, None]).sum(0)
        expected[:, 0] += (likely[ends] * weight[ends][:, None]).sum(0)
        total = ((np.log(norm) + best) * weight)[self.used].sum(dtype=np.float64)
        total += (np.log(last) * weight[ends]).sum(dtype=np.float64)
        chosen = scores[np.arange(len(scores)), self.labels]
        total -= (chosen * weight).sum(dtype=np.float64)
        total -= (self.steps * transitions).sum(dtype=np.float64)
        return total, (likely - self.gold) * weight[:, None], expected - self.steps


def hidden(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Copies in which many words are known by their form, lists and clusters alone."""
    chance = random.Random(0)
    copies = []
    for sentence in sentences:
        each = copy.copy(sentence)
        each.words = [_HIDE + w if chance.random() < HIDDEN else w for w in sentence.words]
        copies.append(each)
    return copies


# --- The whole model -----------------------------------------------------------------------------


class Trained:
    """A lexicon and the weights trained with it."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        wikifane: Sequence[Sentence],
        lists: tuple[dict[str, tuple[str, ...]], dict[tuple[str, ...], int]],
        without: frozenset[str] = frozenset(),
        copies: bool = True,
    ) -> None:
        flags, phrases = lists
        clusters = {} if "k" in without else make_clusters([*sentences, *wikifane])
        counts = Counter(word for sentence in sentences for word in sentence.words)
        frequent = frozenset(sorted(counts, key=lambda word: (-counts[word], word))[:FREQUENT])
        self.without = without
        self.lexicon = Lexicon(flags, clusters, frequent, phrases)
        self.index = Index()
        weights = [1.0] * len(sentences)
        if copies:
            weights += [HIDDEN_WEIGHT] * len(sentences)
            sentences = [*sentences, *hidden(sentences)]
        problem = Problem(sentences, self.lexicon, self.index, weights, without)
        self.index.open = False
        self.weights = [np.clip(np.round(part * SCALE), -127, 127) / SCALE
                        for part in problem.train()]  # fmt: skip
        self.templates = list(problem.rows)

    def scores(self, sentences: Sequence[Sentence]) -> tuple[Problem, np.ndarray]:
        """The sentences as a problem, and each place's scores, no name across a gap that ends one,
        the biases added.
        """
        problem = Problem(sentences, self.lexicon, self.index, without=self.without)
        scores = problem.scores([part.astype(np.float32) for part in self.weights])
        forbid_gaps(scores, problem.gaps)
        scores[problem.weight == 0, 1:] -= 100
        return problem, scores + BIAS


BIAS = np.zeros(SIZE, np.float32)
BIAS[0] = -OUTSIDE_BIAS
BIAS[[NUMBER["B-ORG"], NUMBER["I-ORG"]]] = GROUP_BIAS


class Block:
    """A contiguous part of the data with scores from a model that has not seen it."""

    def __init__(self, problem: Problem, scores: np.ndarray, transitions: np.ndarray) -> None:
        self.problem, self.scores, self.transitions = problem, scores, transitions
        self.frequent: frozenset[str] = frozenset()

    def columns(self) -> list[np.ndarray]:
        """The evidence columns: of stretches of about `ARTICLE` words, since the data has no marks
        between articles.
        """
        labels = viterbi(self.scores, self.transitions)
        problem = self.problem
        cuts = [0]
        for start in problem.starts[1:]:
            if start - cuts[-1] >= ARTICLE:
                cuts.append(int(start))
        cuts.append(problem.size)
        forms = forms_of(codes_of(" ".join(problem.words)))
        telling = np.array([_tells(word, self.frequent) for word in problem.words])
        parts = [
            evidence(evidence_keys(forms[a:b], telling[a:b]), labels[a:b])
            for a, b in pairwise(cuts)
        ]
        return list(np.concatenate(parts).T)


def _tells(word: str, frequent: frozenset[str]) -> bool:
    """Whether the other mentions of a word may tell what it is."""
    return len(word) > 2 and word not in frequent and not word.isdigit()


ARTICLE = 800


def train_evidence(blocks: Sequence[Block]) -> list[np.ndarray]:
    """The weights of the second pass: one matrix for each evidence column, what is added to the
    transitions, and by what the scores are multiplied, less one.
    """
    joined = _joined([block.problem for block in blocks])
    chain = Chain(joined)
    scores = np.concatenate([block.scores for block in blocks])
    gentle = np.where(scores < -50, 0, scores)
    transitions = np.mean([block.transitions for block in blocks], axis=0)
    columns = [np.concatenate(each) for each in zip(*(b.columns() for b in blocks), strict=True)]
    places = np.arange(joined.size)
    ones = np.ones(joined.size, np.float32)
    by_row = [
        sparse.csr_matrix((ones, (rows, places)), (count, joined.size))
        for rows, count in zip(columns, EVIDENCE, strict=True)
    ]
    shapes = [*((count, SIZE) for count in EVIDENCE), (SIZE, SIZE), (1, 1)]
    ends = np.cumsum([rows * width for rows, width in shapes])

    def unpack(flat: np.ndarray) -> list[np.ndarray]:
        parts = np.split(flat.astype(np.float32), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        *tables, steps, scale = unpack(flat)
        total = scores * (1 + scale[0, 0])
        for table, rows in zip(tables, columns, strict=True):
            total += table[rows]
        value, wrong, wrong_steps = chain.loss(total, transitions + steps)
        gradient = [matrix @ wrong for matrix in by_row]
        gradient += [wrong_steps, np.array([(wrong * gentle).sum()])]
        joined_gradient = np.concatenate([part.ravel() for part in gradient]).astype(np.float64)
        return value + 0.5 * EVIDENCE_L2 * float(flat @ flat), joined_gradient + EVIDENCE_L2 * flat

    options = {"maxiter": EVIDENCE_ROUNDS, "maxcor": 6}
    best = minimize(loss, np.zeros(ends[-1]), jac=True, method="L-BFGS-B", options=options)
    *tables, steps, scale = unpack(best.x)
    tables[0][:, [NUMBER["B-ORG"], NUMBER["I-ORG"]]] += GROUP_BIAS_AGAIN
    return [*tables, transitions + steps, scale]


def _joined(problems: Sequence[Problem]) -> Problem:
    """Several problems as one, as far as `Chain` looks at it."""
    joined = copy.copy(problems[0])
    offsets = np.cumsum([0, *(problem.size for problem in problems)])
    joined.size = int(offsets[-1])
    moved = list(zip(problems, offsets, strict=False))
    joined.starts = np.concatenate([problem.starts + by for problem, by in moved])
    joined.ends = np.concatenate([problem.ends + by for problem, by in moved])
    joined.lengths = np.concatenate([problem.lengths for problem in problems])
    joined.labels = np.concatenate([problem.labels for problem in problems])
    joined.weight = np.concatenate([problem.weight for problem in problems])
    return joined


def second_pass(block: Block, second: list[np.ndarray]) -> np.ndarray:
    """The block's labels by both passes."""
    *tables, transitions, scale = second
    scores = block.scores * (1 + scale[0, 0])
    for table, rows in zip(tables, block.columns(), strict=True):
        scores += table[rows]
    return viterbi(scores, transitions)


def blocks_of(sentences: Sequence[Sentence]) -> list[tuple[int, int]]:
    """Five contiguous parts `[first, last)` of the sentences with about as many words each."""
    words = np.cumsum([len(sentence.words) for sentence in sentences])
    cuts = [int(np.searchsorted(words, words[-1] * part / BLOCKS)) for part in range(1, BLOCKS)]
    return list(zip([0, *cuts], [*cuts, len(sentences)], strict=True))


def cross_trained(
    sentences: Sequence[Sentence],
    wikifane: Sequence[Sentence],
    lists: tuple[dict[str, tuple[str, ...]], dict[tuple[str, ...], int]],
    without: frozenset[str] = frozenset(),
    copies: bool = True,
) -> list[Block]:
    """Each of the five blocks, scored by a model of the other four."""
    found = []
    for first, last in blocks_of(sentences):
        began = time.time()
        rest = [*sentences[:first], *sentences[last:]]
        trained = Trained(rest, wikifane, lists, without, copies)
        block = Block(*trained.scores(sentences[first:last]), trained.weights[-1])
        block.frequent = trained.lexicon.frequent
        found.append(block)
        print(f"sentences {first} to {last}: {time.time() - began:.0f} s", flush=True)
    return found


def write(trained: Trained, second: list[np.ndarray], path: Path) -> None:
    """The model in one file; rows of weights that are all zero are left out."""
    lexicon, index = trained.lexicon, trained.index
    stored: dict[str, Any] = {
        "about": _blob(json.dumps({"version": VERSION})),
        "step": np.float32(1 / SCALE),
    }

    def small(part: np.ndarray) -> np.ndarray:
        return np.round(part * SCALE).astype(np.int8)

    for number_of_way, (way, names) in enumerate(index.features.items()):
        weights = small(trained.weights[number_of_way])
        width = weights.shape[1]
        kept = [(name, at) for name, at in sorted(names.items()) if weights[at].any()]
        stored[f"{way}_names"] = _blob("\n".join(["", *(name for name, _ in kept)]))
        stored[f"{way}_weights"] = np.vstack(
            [np.zeros((1, width), np.int8), weights[[at for _, at in kept]]]
        )
    for name, weights in zip(trained.templates, trained.weights[3:], strict=False):
        rows = small(weights)
        kept_rows = sorted((key, at) for key, at in index.rows[name].items() if rows[at].any())
        stored[f"{name}_keys"] = np.array([key for key, _ in kept_rows], np.int32)
        stored[f"{name}_weights"] = rows[[at for _, at in kept_rows]]
    words = sorted({*lexicon.flags, *lexicon.clusters})
    sets = [(), *sorted(set(lexicon.flags.values()))]
    number = {each: at for at, each in enumerate(sets)}
    stored["lexicon_words"] = _blob("\n".join(words))
    stored["lexicon_sets"] = _blob("\n".join(" ".join(each) for each in sets))
    stored["lexicon_flags"] = np.array([number[lexicon.flags.get(w, ())] for w in words], np.uint16)
    stored["lexicon_clusters"] = np.array(
        [lexicon.clusters.get(word, (0, 0)) for word in words], np.uint16
    )
    phrases = sorted(lexicon.phrases.items())
    stored["phrases"] = _blob("\n".join(" ".join(phrase) for phrase, _ in phrases))
    stored["phrase_kinds"] = np.array([kind for _, kind in phrases], np.uint8)
    stored["frequent"] = _blob("\n".join(sorted(lexicon.frequent)))
    stored["kinds"] = _blob("\n".join(index.kinds))
    stored["words"] = _blob("\n".join(index.words))
    stored["bias"] = BIAS
    stored["transitions"] = trained.weights[-1].astype(np.float32)
    *tables, transitions, scale = second
    for at, table in enumerate(tables):
        stored[f"evidence{at}"] = table
    stored["evidence_transitions"] = transitions.astype(np.float32)
    stored["evidence_scale"] = np.float32(1 + scale[0, 0])
    np.savez_compressed(path, **stored)


def _blob(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-8"), np.uint8)


def main(data: Path) -> None:
    """Train on all of the data and write the file."""
    sentences, wikifane = read_anercorp(data), read_wikifane(data)
    lists = read_lists(data, wikifane)
    second = train_evidence(cross_trained(sentences, wikifane, lists))
    trained = Trained(sentences, wikifane, lists)
    write(trained, second, MODEL)
    print(f"{MODEL.name}: {MODEL.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
