"""What the recognizer knows of a word by itself: the weights of its features, found by the hashes
of their names, the lists that it is in, and its forms without proclitics. In compiled loops, since
one word in ten of an article is new. `tools/train_recognizer.py` has the same with the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.stages.compiled import allocating, compiled

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Weights = NDArray[np.int8]
Steps = NDArray[np.int16]  # sums of weights
Table = NDArray[np.int64]  # rows of a key and its number, with open addressing; -1 where it is free

# What is known of a word besides the weights of its features: the numbers of its kind, of its
# cluster and of itself in pairs; whether its other mentions tell what it is; its forms.
KIND, CLUSTER, WORD, TELLS, FORM = range(5)
FACTS = FORM + 3

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


def kind_of_lists(flags: tuple[str, ...]) -> str:
    """What the kind of a word in these lists is, empty where they say nothing."""
    return "".join(sorted({_KIND_OF[flag] for flag in flags if flag in _KIND_OF}))


# --- Hashes --------------------------------------------------------------------------------------

_START, _PRIME, _SPREAD = map(np.uint64, (0xCBF29CE484222325, 0x100000001B3, 0x9E3779B97F4A7C15))
_HALF = np.uint64(32)
_LINE, _SPACE = 0x0A, 0x20
_ALEF, _LAM, _WAW, _FEH, _BEH, _KAF = map(ord, "الوفبك")
_YEH, _HEH, _NOON, _TEH = map(ord, "يهنت")
_W, _P, _Q, _D, _N, _T, _S, _A, _L, _DASH, _HASH, _ZERO = map(ord, "wpqdntsal-#0")


def codes_of(text: str) -> Codes:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


@compiled
def _mixed(before: np.uint64, code: Any) -> np.uint64:
    """FNV-1a, a code point at a time."""
    return (before ^ np.uint64(code)) * _PRIME


@compiled
def _hash(codes: Codes, start: int, end: int, alef: int = 0, letter: int = 0) -> Any:
    """The hash of `codes[start:end]`, behind a feature's letter and an alef where it has them."""
    mixed = _START
    if letter:
        mixed = _mixed(mixed, letter)
    if alef:
        mixed = _mixed(mixed, _ALEF)
    for at in range(start, end):
        mixed = _mixed(mixed, codes[at])
    return np.int64(mixed)


@allocating
def _bounds(codes: Codes, between: int) -> Ints:
    """Where the marks between the parts of a text are, with one before it and one behind."""
    count = 2
    for code in codes:
        if code == between:
            count += 1
    found = np.full(count, -1, np.int64)
    count = 1
    for at in range(len(codes)):
        if codes[at] == between:
            found[count] = at
            count += 1
    found[count] = len(codes)
    return found


@allocating
def hashes_of(codes: Codes, between: int) -> Ints:
    """The hashes of the parts that `between` parts."""
    bounds = _bounds(codes, between)
    found = np.empty(len(bounds) - 1, np.int64)
    _fill_hashes(codes, bounds, found)
    return found


@compiled
def _fill_hashes(codes: Codes, bounds: Ints, found: Ints) -> None:
    for part in range(len(found)):
        found[part] = _hash(codes, bounds[part] + 1, bounds[part + 1])


@compiled
def place_of(table: Table, key: int) -> Any:
    """The row of a key in a table, or the free one that it would take."""
    mixed = (np.uint64(key) * _SPREAD) >> _HALF
    place = np.int64(mixed) & (len(table) - 1)
    while table[place, 0] != -1 and table[place, 0] != key:
        place = (place + 1) & (len(table) - 1)
    return place


@compiled
def number_of(table: Table, key: int) -> Any:
    """The number of a key, -1 for one that is not in the table."""
    return table[place_of(table, key), 1]


@allocating
def free_table(count: int) -> Table:
    """A table with room for so many keys."""
    size = 2
    while size < 2 * count:
        size *= 2
    return np.full((size, 2), -1, np.int64)


@allocating
def table_of(keys: Ints) -> Table:
    """The numbers of keys: where each stands first."""
    table = free_table(len(keys))
    _enter(table, keys)
    return table


@compiled
def _enter(table: Table, keys: Ints) -> None:
    for number, key in enumerate(keys):
        place = place_of(table, key)
        if table[place, 0] == -1:
            table[place, 0], table[place, 1] = key, number


# --- Words ---------------------------------------------------------------------------------------


@compiled
def _read(codes: Codes, start: int, end: int, found: Ints) -> None:
    """What a word may be, itself and behind proclitics: fills three rows, for each reading where it
    begins and whether an alef goes before; -1 beyond the last. For وللعراق also للعراق and العراق.
    """
    found[:] = -1
    found[0, 0], found[0, 1] = start, 0
    count = 1
    if end - start > 3:
        if codes[start] in (_WAW, _FEH):
            start += 1
            found[1, 0], found[1, 1] = start, 0
            count = 2
        letter = codes[start]
        if end - start > 3 and letter in (_LAM, _BEH, _KAF):
            found[count, 0] = start + 1
            found[count, 1] = letter == _LAM and codes[start + 1] == _LAM


@compiled
def _forms(codes: Codes, readings: Ints, end: int, out: Ints) -> None:
    for at in range(len(readings)):
        begin, alef = readings[at, 0], readings[at, 1]
        out[at] = _hash(codes, begin, end, alef) if begin >= 0 else 0


@allocating
def forms_of(codes: Codes) -> Ints:
    """Three hashes for each of the words, which spaces part: its own, and those of what it may be
    behind proclitics, or 0.
    """
    bounds = _bounds(codes, _SPACE)
    found = np.empty((len(bounds) - 1, 3), np.int64)
    readings = np.empty((3, 2), np.int64)
    for word in range(len(found)):
        _read(codes, bounds[word] + 1, bounds[word + 1], readings)
        _forms(codes, readings, bounds[word + 1], found[word])
    return found


# --- The lexicon ---------------------------------------------------------------------------------


class Lexicon(NamedTuple):
    """What is known of words beforehand. A list's features come twice, for a word that is in it and
    for one that is behind a proclitic, and so do a list's kinds and the features of clusters.
    """

    features: Table
    weights: Weights  # by a feature's number; the last row has none
    words: Table
    sets: Ints  # by a word's number: the lists that it is in
    clusters: Ints  # by a word's number: two clusters, coarse and fine, or 0
    list_starts: Ints  # by twice the number of a set: where in `listed` its features begin
    listed: Ints
    list_kinds: Ints  # by the number of a set: the number of its kind, or -1
    cluster_features: Ints
    latin: int
    frequent: Table
    kinds: Table
    latin_kind: int
    kind_weights: Weights
    pairs: Table
    counts: Ints  # of kinds and pairs: the numbers of what is not among them


def lexicon_of(stored: Mapping[str, Any], kind_weights: Weights) -> tuple[Lexicon, Steps]:
    """The lexicon in the model's file, and the weights of the empty word."""
    # A feature that counts for some of the places has no weights for the others.
    ways = ("own", "near", "far")
    hashes = [hashes_of(_codes(stored[f"{way}_names"]), _LINE) for way in ways]
    every, rows = np.unique(np.concatenate(hashes), return_inverse=True)
    parts = [stored[f"{way}_weights"] for way in ways]
    weights = np.zeros((len(every) + 1, sum(part.shape[1] for part in parts)), np.int8)
    row, column = 0, 0
    for part in parts:
        there = rows[row : row + len(part)]
        weights[there, column : column + part.shape[1]] = part
        row, column = row + len(part), column + part.shape[1]
    features = table_of(every)

    def feature(name: str) -> int:
        codes = codes_of(name)
        return int(number_of(features, _hash(codes, 0, len(codes))))

    pad = feature("pad")
    empty = weights[pad].astype(np.int16)
    weights[pad, -parts[-1].shape[1] :] = 0  # so begins the word "ad…" as well

    kinds = table_of(hashes_of(_codes(stored["kinds"]), _LINE))
    unknown = int(kinds[:, 1].max()) + 1

    def kind(name: str) -> int:
        codes = codes_of(name)
        number = int(number_of(kinds, _hash(codes, 0, len(codes))))
        return unknown if number < 0 else number

    sets = [tuple(line.split()) for line in text_of(stored["lexicon_sets"]).split("\n")]
    flags = dict.fromkeys(flag for each in sets for flag in each)
    numbers = {flag: (feature(f"@0{flag}"), feature(f"@1{flag}")) for flag in flags}
    listed = [[numbers[flag][where] for flag in each] for each in sets for where in (0, 1)]
    names = [kind_of_lists(each) for each in sets]
    clusters = stored["lexicon_clusters"].astype(np.int64)
    of_clusters = [
        feature(f"k{where}{size}{number}")
        for where in (0, 1)
        for size in "cf"
        for number in range(int(clusters.max()) + 1)
    ]
    pairs = table_of(hashes_of(_codes(stored["words"]), _LINE))
    lexicon = Lexicon(
        features,
        weights,
        table_of(hashes_of(_codes(stored["lexicon_words"]), _LINE)),
        stored["lexicon_flags"].astype(np.int64),
        clusters,
        np.cumsum([0, *map(len, listed)]),
        np.array([number for each in listed for number in each], np.int64),
        np.array([(kind(name), kind(f"{name}1")) if name else (-1, -1) for name in names]),
        np.array(of_clusters).reshape(2, 2, -1),
        feature("latin"),
        table_of(hashes_of(_codes(stored["frequent"]), _LINE)),
        kinds,
        kind("#latin"),
        kind_weights,
        pairs,
        np.array([unknown, int(pairs[:, 1].max()) + 1]),
    )
    return lexicon, empty


def text_of(stored: NDArray[np.uint8]) -> str:
    """A text in the model's file."""
    return stored.tobytes().decode("utf-8")


def _codes(stored: NDArray[np.uint8]) -> Codes:
    return codes_of(text_of(stored))


@compiled
def set_of(words: Table, sets: Ints, codes: Codes) -> Any:
    """The lists that a word is in, by the lexicon's `words` and `sets`; 0 for none."""
    number = number_of(words, _hash(codes, 0, len(codes)))
    return sets[number] if number >= 0 else 0


@allocating
def met(
    lexicon: Lexicon, codes: Codes, known: Table, count: int, rows: Steps, facts: Ints
) -> tuple[Ints, Any]:
    """The numbers of the words, which spaces part, and how many words are known now, `count` of
    them before. A new word gets its row of weights and of facts.
    """
    bounds = _bounds(codes, _SPACE)
    numbers = np.empty(len(bounds) - 1, np.int64)
    readings = np.empty((3, 2), np.int64)
    return numbers, _meet(lexicon, codes, bounds, known, count, rows, facts, numbers, readings)


@compiled
def _meet(
    lexicon: Lexicon,
    codes: Codes,
    bounds: Ints,
    known: Table,
    count: int,
    rows: Steps,
    facts: Ints,
    numbers: Ints,
    readings: Ints,
) -> Any:
    for word in range(len(numbers)):
        start, end = bounds[word] + 1, bounds[word + 1]
        own = _hash(codes, start, end)
        place = place_of(known, own)
        if known[place, 0] == -1:
            known[place, 0], known[place, 1] = own, count
            _read(codes, start, end, readings)
            _describe(lexicon, codes, start, end, readings, rows[count], facts[count])
            count += 1
        numbers[word] = known[place, 1]
    return count


@compiled
def _describe(
    lexicon: Lexicon, codes: Codes, start: int, end: int, readings: Ints, row: Steps, facts: Ints
) -> None:
    """Writes what is known of the word `codes[start:end]`, of which these are the readings.

    Its features: w the word, p q its beginnings and ends, d latin n its shape, t the beginnings of
    its shortest reading without proclitics, s all of its readings, @ lists, k clusters.
    """
    size = end - start
    ascii_, digits = True, True
    for at in range(start, end):
        ascii_ &= codes[at] < 0x80
        digits &= 0x30 <= codes[at] <= 0x39
    features, weights = lexicon.features, lexicon.weights
    _add_named(features, weights, _hash(codes, start, end, 0, _W), row)
    for cut in range(1, min(5, size)):
        _add_named(features, weights, _hash(codes, start, start + cut, 0, _P), row)
        _add_named(features, weights, _hash(codes, end - cut, end, 0, _Q), row)
    if digits:
        _add_named(features, weights, _pair(_D, _ZERO + min(size, 5)), row)
    elif ascii_:
        _add(weights, lexicon.latin, row)
    else:
        _add_named(features, weights, _pair(_N, _ZERO + min(size, 8)), row)

    _forms(codes, readings, end, facts[FORM:])
    count = 1 + (readings[1, 0] >= 0) + (readings[2, 0] >= 0)
    kind, clustered = -1, False
    listed = lexicon.listed[:0]
    facts[CLUSTER] = 0
    for at in range(count):
        begin, alef = readings[at, 0], readings[at, 1]
        if at and at == count - 1:
            for cut in (2, 3):
                if cut < end - begin + alef:
                    _add_named(
                        features, weights, _hash(codes, begin, begin + cut - alef, alef, _T), row
                    )
        _add_named(features, weights, _hash(codes, begin, end, alef, _S), row)
        word = number_of(lexicon.words, facts[FORM + at])
        if word < 0:
            continue
        behind = min(at, 1)
        set_ = lexicon.sets[word]
        before = listed if at == 2 else listed[:0]
        bounds = lexicon.list_starts[2 * set_ + behind :]
        listed = lexicon.listed[bounds[0] : bounds[1]]
        for number in listed:
            if number not in before:  # of both readings behind proclitics it counts once
                _add(weights, number, row)
        if kind < 0:
            kind = lexicon.list_kinds[set_, behind]
        if not clustered and lexicon.clusters[word, 0]:
            clustered = True
            for fine in (0, 1):
                cluster = lexicon.clusters[word, fine]
                _add(weights, lexicon.cluster_features[behind, fine, cluster], row)
            if not at:
                facts[CLUSTER] = lexicon.clusters[word, 0]

    frequent = number_of(lexicon.frequent, facts[FORM]) >= 0
    if frequent:
        kind = number_of(lexicon.kinds, facts[FORM])
    elif digits:
        kind = number_of(lexicon.kinds, _pair(_HASH, _ZERO + min(size, 5)))
    elif ascii_:
        kind = lexicon.latin_kind
    elif kind < 0:
        kind = number_of(lexicon.kinds, _kind_by_form(codes, start, end))
    facts[KIND] = kind if kind >= 0 else lexicon.counts[0]
    pair = number_of(lexicon.pairs, facts[FORM])
    facts[WORD] = pair if pair >= 0 else lexicon.counts[1]
    facts[TELLS] = size > 2 and not frequent and not digits
    for label in range(lexicon.kind_weights.shape[1]):
        row[label] += lexicon.kind_weights[facts[KIND], label]


@compiled
def _pair(letter: int, code: int) -> Any:
    return np.int64(_mixed(_mixed(_START, letter), code))


@compiled
def _kind_by_form(codes: Codes, start: int, end: int) -> Any:
    """The hash of the kind of a word that no list holds: whether it has the article, and a telling
    end.
    """
    if end - start > 1 and codes[start] == _ALEF and codes[start + 1] == _LAM:
        mixed = _mixed(_mixed(_START, _A), _L)
    else:
        mixed = _mixed(_START, _DASH)
    last = codes[end - 1]
    before = codes[end - 2] if end - start > 1 else np.uint32(0)
    if (
        (before == _YEH and last in (_HEH, _NOON, _ALEF))
        or (before == _WAW and last == _NOON)
        or (before == _ALEF and last == _TEH)
    ):
        mixed = _mixed(_mixed(mixed, before), last)
    elif last in (_YEH, _HEH, _ALEF):
        mixed = _mixed(mixed, last)
    return np.int64(mixed)


@compiled
def _add_named(features: Table, weights: Weights, name: int, row: Steps) -> None:
    _add(weights, number_of(features, name), row)


@compiled
def _add(weights: Weights, number: int, row: Steps) -> None:
    """Adds the weights of a feature; -1, which has none, is the last row."""
    for column in range(len(row)):
        row[column] += weights[number, column]


# --- Names of several words ----------------------------------------------------------------------


class Phrases(NamedTuple):
    """Names of several words by the hashes of their words: by key, which is made of the first two,
    the longest first of one key. The words after these are `rest[starts[at] : starts[at + 1]]`.
    """

    first: Table  # by key: its first row
    keys: Ints
    starts: Ints
    rest: Ints
    kinds: Ints


def phrases_of(lines: str, kinds: NDArray[Any]) -> Phrases:
    """The phrases in these lines with the numbers of their classes."""
    hashes = hashes_of(codes_of(lines.replace("\n", " ")), _SPACE)
    sizes = np.array([line.count(" ") + 1 for line in lines.split("\n")])
    starts = np.cumsum(sizes) - sizes
    keys = _key(hashes[starts], hashes[starts + 1])
    order = np.lexsort((-sizes, keys))
    rest = [hashes[starts[row] + 2 : starts[row] + sizes[row]] for row in order]
    return Phrases(
        table_of(keys[order]),
        keys[order],
        np.cumsum([0, *map(len, rest)]),
        np.concatenate(rest),
        kinds[order].astype(np.int64),
    )


@allocating  # of whole arrays of hashes as well
def _key(first: Any, second: Any) -> Any:
    return first * 31 + second


@allocating
def phrase_places(phrases: Phrases, forms: Ints) -> Ints:
    """For each word 0, or, in a listed name of several words, three times the number of its class
    and 1 at the name's beginning, 2 inside, 3 at its end. The first word may have proclitics.
    """
    places = np.zeros(len(forms), np.int64)
    _mark(phrases, forms, places)
    return places


@compiled
def _mark(phrases: Phrases, forms: Ints, places: Ints) -> None:
    at = 0
    while at < len(forms):
        row = _longest(phrases, forms, at)
        if row < 0:
            at += 1
            continue
        end = at + 2 + phrases.starts[row + 1] - phrases.starts[row]
        places[at:end] = phrases.kinds[row] * 3 + 2
        places[at] -= 1
        places[end - 1] += 1
        at = end


@compiled
def _longest(phrases: Phrases, forms: Ints, at: int) -> Any:
    """The row of the longest listed name from here, or -1."""
    if at + 1 == len(forms):
        return -1
    for head in forms[at]:
        key = _key(head, forms[at + 1, 0])
        row = number_of(phrases.first, key) if head else -1
        while 0 <= row < len(phrases.keys) and phrases.keys[row] == key:
            start, end = phrases.starts[row], phrases.starts[row + 1]
            fits = at + 2 + end - start <= len(forms)
            for after in range(end - start):
                fits = fits and forms[at + 2 + after, 0] == phrases.rest[start + after]
            if fits:
                return row
            row += 1
    return -1
