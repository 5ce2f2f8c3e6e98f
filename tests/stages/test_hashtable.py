from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.hashtable import (
    FULL,
    HASH_BITS,
    LARGEST,
    behind,
    empty,
    home,
    is_under,
    number_of,
    packed_entry,
    refill,
)

Model = Counter[tuple[int, int]]  # how often each number stands under each key

# Among them keys with equal low bits, keys of one home place, the first and the last place.
FEW = [0, 1, 2, (1 << HASH_BITS) - 1, (1 << HASH_BITS) - 2, 1 << 35, (1 << 35) + 1]
KEYS = st.sampled_from(FEW) | st.integers(0, (1 << HASH_BITS) - 1)
NUMBERS = st.sampled_from([0, 1, 2, LARGEST]) | st.integers(0, LARGEST)


def numbers(table: np.ndarray, key: int) -> list[int]:
    """What a walk from the key's home to the next free place finds."""
    found, at = [], home(table, np.uint64(key))
    while table[at]:
        if is_under(table[at], np.uint64(key)):
            found.append(number_of(table[at]))
        at = behind(table, at)
    return found


def add(table: np.ndarray, key: int, number: int) -> None:
    at = home(table, np.uint64(key))
    while table[at]:
        at = behind(table, at)
    table[at] = packed_entry(np.uint64(key), number)


def check(table: np.ndarray, model: Model) -> None:
    """Everything that the model has is found, and nothing else."""
    assert np.count_nonzero(table) == model.total() <= FULL * len(table)
    by_key: dict[int, list[int]] = {key: [] for key in FEW}
    for (key, number), count in model.items():
        by_key.setdefault(key, []).extend([number] * count)
    for key, expected in by_key.items():
        assert sorted(numbers(table, key)) == sorted(expected)


@given(
    st.lists(st.lists(st.tuples(KEYS, NUMBERS), max_size=60) | st.integers(1, 4), max_size=12),
)
@settings(max_examples=150)
def test_it_holds_what_a_dict_would(steps):
    """Whatever is added, and dropped at a refill: walks find what a plain counter has."""
    table, model = empty(), Model()
    for step in steps:
        if isinstance(step, int):
            kept = np.array([entry != 0 and int(entry) % step == 0 for entry in table])
            table, used = refill(table, kept, 60)
            model = Model(
                {
                    (key, number): count
                    for (key, number), count in model.items()
                    if int(packed_entry(np.uint64(key), number)) % step == 0
                }
            )
            assert used == model.total()
        else:
            for key, number in step:
                add(table, key, number)
                model[key, number] += 1
        check(table, model)


@pytest.mark.parametrize("crowded", [False, True])
def test_it_grows(crowded):
    """Thousands of entries, added with a refill when the table is full, are all found, those as
    well that all want one place; and no more than a quarter of the places is free.
    """
    rng = random.Random(1)
    table, used, model = empty(), 0, Model()
    for number in range(3000 if crowded else 20_000):
        key = (1 << HASH_BITS) - 1 - number % 16 if crowded else rng.getrandbits(HASH_BITS)
        if used + 1 > FULL * len(table):
            table, used = refill(table, table != 0, 1)
        add(table, key, number)
        used += 1
        model[key, number] += 1
    check(table, model)
    assert used > 0.75 * len(table)


@given(KEYS, st.integers(HASH_BITS, 63))
def test_only_the_low_36_bits_of_a_key_count(key, bit):
    """A key with other bits above them stands for the same entries."""
    table = empty()
    add(table, key | 1 << bit, 5)
    assert numbers(table, key) == [5]


def test_a_run_goes_on_at_the_beginning():
    """What finds the last places taken stands in the first ones."""
    table = empty()
    last = (1 << HASH_BITS) - 1
    for number in range(5):
        add(table, last, number)
    assert np.count_nonzero(table[:4]) == 4
    assert numbers(table, last) == [0, 1, 2, 3, 4]
