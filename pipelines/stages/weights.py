"""What a word of the match layer weighs: how much it says, in nats, by how rare it is.

Names and numbers say what a text is about; words that every text has say nothing. So likeness and
novelty count words by their weight (surprisal, Shannon 1948) and not each alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.stages.compiled import allocating, compiled, signed

U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

DATA = Path(__file__).parent / "data"
WEIGHTS_VERSION = "w2"

# Weights are whole multiples of 1/32 nat: integers add up alike on every machine.
UNITS = 32
# Nats of a word that the table does not hold, and of every number: 5 above the commonest fifty.
RARE = 5

UTF_16 = "utf-16-le"  # the encoding that Python makes of Arabic text in no time

# One number, however it is written: newsrooms spell small ones out or not as they like.
NUMBER_WORDS = {
    "2": "اثنان اثنين اثنتان اثنتين",
    "3": "ثلاثه ثلاث",
    "4": "اربعه اربع",
    "5": "خمسه خمس",
    "6": "سته ست",
    "7": "سبعه سبع",
    "8": "ثمانيه ثماني ثمان",
    "9": "تسعه تسع",
    "10": "عشره عشر",
    "20": "عشرون عشرين",
    "30": "ثلاثون ثلاثين",
    "40": "اربعون اربعين",
    "50": "خمسون خمسين",
    "60": "ستون ستين",
    "70": "سبعون سبعين",
    "80": "ثمانون ثمانين",
    "90": "تسعون تسعين",
    "100": "مءه مايه",
    "1000": "الف",
}

# Those that stand for themselves; مئة and ألف are mostly parts of a larger one.
_SMALL_NUMBERS = frozenset(
    name for digits, names in NUMBER_WORDS.items() if len(digits) < 3 for name in names.split()
)
_YEAR = re.compile(r"(?:1[34]|19|20)\d\d$")

# Base of the rolling hash: the 64-bit golden ratio, odd and therefore invertible modulo 2^64.
_GOLDEN = 0x9E3779B97F4A7C15
# Finalizer of MurmurHash3 (fmix64, Austin Appleby, public domain).
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT, _HIGH = np.uint64(33), np.uint64(32)
_BASE, _INVERSE = np.uint64(_GOLDEN), np.uint64(pow(_GOLDEN, -1, 1 << 64))
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_SPACE = 32

_RARE, _NOTHING = np.uint8(RARE * UNITS), np.uint32(0)
_NUMBER = np.uint8(255)
_ROOM = 4  # places in a table for each word, at least


class Words(NamedTuple):
    """A text's words in order: 32 bits of each one's hash (0 for words that weigh nothing), its
    weight in units, and what runs of words are hashed from.
    """

    tokens: U32
    weights: U32
    sums: U64
    turns: U64

    def runs(self, n: int, first: int = 0) -> U64:
        """A mixed 64-bit hash of each run of `n` words from the word `first` on."""
        return run_hashes(self.sums, self.turns, n, first)


class Table(NamedTuple):
    """A hash table with open addressing, mostly empty: words by their hash, 0 for none, and
    what each weighs, an unknown one `RARE`; and the words for numbers, ascending, with the hashes
    of their digits. It is small, for between two articles it leaves the processor's caches.
    """

    words: U32
    weights: NDArray[np.uint8]
    numbers: U32
    digits: U32


@compiled
def mixed(key: np.uint64) -> np.uint64:
    """The upper half of a 64-bit hash scrambled; enough for what comes from its upper bits."""
    key ^= key >> _SHIFT
    return key * _MIX_1


@allocating
def hash_words(codes: U16) -> tuple[U32, U64, U64]:
    """Tokens, sums and turns of the words of a text in UTF-16: a space precedes each.

    Words are runs of characters in one polynomial rolling hash (Karp and Rabin 1987) modulo 2^64:
    a word's hash does not depend on where in the text it stands.
    """
    most = len(codes) // 2 + 1
    tokens, sums = np.empty(most, np.uint32), np.empty(most, np.uint64)
    turns = np.empty(most, np.uint64)
    count, power, turn, total = 0, _ONE, _ONE, _ZERO
    for at in range(len(codes)):
        if codes[at] == _SPACE:
            turns[count] = turn
            total = _ZERO
            count += 1
        total += np.uint64(codes[at]) * power
        power *= _BASE
        turn *= _INVERSE
        if at + 1 == len(codes) or codes[at + 1] == _SPACE:
            sums[count - 1] = total
            tokens[count - 1] = np.uint32(mixed(total * turns[count - 1]) >> _HIGH)
    return tokens[:count], sums[:count], turns[:count]


@compiled
def word_at(words: U32, token: np.uint32) -> int:
    """Where in a table a word stands, or would."""
    last = len(words) - 1  # their number is a power of two
    at = signed(token) & last
    while words[at] != _NOTHING and words[at] != token:
        at = (at + 1) & last
    return at


@allocating
def weigh(tokens: U32, table: Table) -> U32:
    """The weights of words; `tokens` of numbers become those of their digits, those of words that
    weigh nothing 0.
    """
    weights = np.empty(len(tokens), np.uint32)
    _weigh(tokens, table, weights)
    return weights


@compiled
def _weigh(tokens: U32, table: Table, weights: U32) -> None:
    for at in range(len(tokens)):
        token = tokens[at]
        weight = table.weights[word_at(table.words, token)]
        if weight == _NUMBER:
            weight = _RARE
            tokens[at] = table.digits[np.searchsorted(table.numbers, token)]
        elif weight == 0:
            tokens[at] = _NOTHING
        weights[at] = weight


@allocating
def run_hashes(sums: U64, turns: U64, n: int, first: int) -> U64:
    """A mixed 64-bit hash of each run of `n` words from the word `first` on."""
    hashes = np.empty(max(0, len(sums) - first - n + 1), np.uint64)
    total = _ZERO
    for at in range(first, len(sums)):
        total += sums[at]
        start = at - n + 1
        if start >= first:
            key = mixed(total * turns[start])
            key ^= key >> _SHIFT
            hashes[start - first] = key * _MIX_2
            total -= sums[start]
    return hashes


def code_units(text: str) -> U16:
    """The UTF-16 of a text of the match layer, with one space before each word."""
    return np.frombuffer(f" {spaced(text)}".encode(UTF_16), dtype=np.uint16)


def spaced(text: str) -> str:
    """A text of the match layer with one space between two words."""
    if "  " in text or "\n" in text or text[:1] == " " or text[-1:] == " ":
        return " ".join(text.split())
    return text


class Vocabulary:
    """The weights of words, found by their hash."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        """`weights` in units, by word; without numbers."""
        numbers = {name: digits for digits, names in NUMBER_WORDS.items() for name in names.split()}
        known = {word: weight for word, weight in weights.items() if word not in numbers}
        tokens = hash_words(code_units(" ".join([*known, *numbers])))[0]
        digits = hash_words(code_units(" ".join(numbers.values())))[0]
        names = tokens[len(known) :]
        words = np.zeros(1 << (_ROOM * len(tokens)).bit_length(), dtype=np.uint32)
        marks = np.full(len(words), _RARE)
        for token, weight in zip(
            tokens, [*known.values(), *[int(_NUMBER)] * len(names)], strict=True
        ):
            at = word_at(words, token)
            words[at] = token
            marks[at] = weight
        order = np.argsort(names)
        self.table = Table(words, marks, names[order], digits[order])

    def words(self, text: str) -> Words:
        """The words of a text of the match layer; there is at least one."""
        tokens, sums, turns = hash_words(code_units(text))
        return Words(tokens, weigh(tokens, self.table), sums, turns)


def read_weights(path: Path) -> dict[str, int]:
    """Weights in units, by word. Raises ValueError, naming the line, for what is no such table."""
    weights: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        weight, _, words = line.partition("\t")
        if not (weight.isdecimal() and int(weight) < RARE * UNITS and words):
            raise ValueError(
                f"{path.name}, line {number}: a weight below {RARE * UNITS}, a tab and words "
                "belong here. Get the file again, or make it with tools/build_word_weights.py."
            )
        weights.update(dict.fromkeys(words.split(" "), int(weight)))
    return weights


@cache
def vocabulary() -> Vocabulary:
    """The shipped one."""
    return Vocabulary(read_weights(DATA / "word_weights.tsv"))


def changed_numbers(text: str, tokens: U32, known: Callable[[U32], NDArray[np.bool_]]) -> int:
    """How many distinct numbers of a text with these tokens are new, by a test of which tokens are
    known.

    Left out is what newsrooms write in several ways: years, thousands in groups, decimals; and a
    number counts as known with its article as well (ال25).
    """
    words = spaced(text).split(" ")
    new: set[int] = set()
    for at in (~known(tokens)).nonzero()[0].tolist():
        word = words[at]
        if word.isdecimal() and not _YEAR.match(word):
            grouped = any(
                each.isdecimal() for each in (*words[max(0, at - 1) : at], *words[at + 1 : at + 2])
            )
            # Few forms: each is a chance to be known by mistake.
            if grouped or known(vocabulary().words(f"ال{word}").tokens).any():
                continue
        elif word not in _SMALL_NUMBERS:
            continue
        new.add(int(tokens[at]))
    return len(new)
