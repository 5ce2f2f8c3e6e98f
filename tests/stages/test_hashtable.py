from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.hashtable import HASH_BITS, LARGEST, HashTable

Model = Counter[tuple[int, int]]  # how often each number stands under each key

# Among them keys with equal low bits, keys of one home place, the first and the last place.
FEW = [0, 1, 2, (1 << HASH_BITS) - 1, (1 << HASH_BITS) - 2, 1 << 35, (1 << 35) + 1]
KEYS = st.sampled_from(FEW) | st.integers(0, (1 << HASH_BITS) - 1)
NUMBERS = st.sampled_from([0, 1, 2, LARGEST]) | st.integers(0, LARGEST)


def check(table: HashTable, model: Model) -> None:
    """Everything that the model has is found, and nothing else."""
    assert len(table) == model.total()
    by_key: dict[int, list[int]] = {key: [] for key in FEW}
    for (key, number), count in model.items():
        by_key.setdefault(key, []).extend([number] * count)
    for key, numbers in by_key.items():
        assert sorted(table.numbers(key)) == sorted(numbers)


def load(table: HashTable, entries: list[tuple[int, int]]) -> None:
    keys = np.array([key for key, _ in entries], dtype=np.uint64)
    numbers = np.array([number for _, number in entries], dtype=np.int64)
    table.load(keys, numbers)


ENTRIES = st.lists(st.tuples(KEYS, NUMBERS), max_size=30)
ACTIONS = st.lists(
    st.tuples(st.just("add"), ENTRIES)
    | st.tuples(st.just("load"), ENTRIES)
    | st.tuples(st.just("replace"), st.tuples(st.integers(0, 1 << 30), NUMBERS))
    | st.tuples(st.just("rebuild"), st.integers(1, 4)),
    max_size=12,
)


@given(ACTIONS)
@settings(max_examples=150)
def test_it_holds_what_a_dict_would(actions):
    """Whatever is added, loaded, replaced and rebuilt: the table answers as a plain counter."""
    table, model = HashTable(), Model()
    for action, value in actions:
        if action == "add":
            for key, number in value:
                assert table.add(key, number)
                model[key, number] += 1
        elif action == "load":
            load(table, value)
            model.update(value)
        elif action == "replace":
            if held := sorted(model.elements()):
                key, old = held[value[0] % len(held)]
                table.replace(key, old, value[1])
                model[key, old] -= 1
                model[key, value[1]] += 1
        else:
            table.rebuild(
                lambda keys, numbers, n=value: (keys + numbers.astype(np.uint64)) % n != 0
            )
            model = Model(
                {(key, number): n for (key, number), n in model.items() if (key + number) % value}
            )
        model = +model
        check(table, model)


@pytest.mark.parametrize("crowded", [False, True])
def test_it_grows(crowded):
    """Thousands of entries, each added with a rebuild when the table asks for one, are all found,
    those as well that all want one place.
    """
    rng = random.Random(1)
    table, model, rebuilds = HashTable(), Model(), 0
    for number in range(3000):
        key = (1 << HASH_BITS) - 1 - number % 50 if crowded else rng.getrandbits(HASH_BITS)
        if not table.add(key, number):
            rebuilds += 1
            table.rebuild(lambda keys, numbers: np.ones(len(keys), dtype=np.bool_))
        model[key, number] += 1
    check(table, model)
    assert rebuilds >= 2


def test_a_full_table_is_rebuilt_in_place():
    """Where most entries are dropped each time the table does not grow."""
    rng = random.Random(2)
    table, oldest = HashTable(), 0
    for number in range(20_000):
        if not table.add(rng.getrandbits(HASH_BITS), number):
            oldest = number - 500
            table.rebuild(lambda keys, numbers, oldest=oldest: numbers >= oldest)
            assert len(table) == 501
    assert table.nbytes < 10_000


@given(ENTRIES.filter(bool))
def test_the_order_of_loading_does_not_matter(entries):
    """Loaded at once, loaded in parts or added one by one: the same entries."""
    model = Model(entries)
    at_once, in_parts, added = HashTable(), HashTable(), HashTable()
    load(at_once, entries)
    load(in_parts, entries[: len(entries) // 2])
    load(in_parts, entries[len(entries) // 2 :])
    for key, number in entries:
        added.add(key, number)
    for table in (at_once, in_parts, added):
        check(table, model)


def test_many_are_loaded_at_once():
    """Thousands, with few hashes and with many; what is added behind them is found as well."""
    rng = random.Random(3)
    for bits in (4, HASH_BITS):
        top = HASH_BITS - bits  # the highest places, where entries run over the end
        entries = [
            (
                (1 << HASH_BITS)
                - 1
                - (rng.getrandbits(bits) if bits < 10 else rng.getrandbits(36)),
                n,
            )
            for n in range(2_000 if top else 30_000)
        ]
        table = HashTable()
        load(table, entries)
        model = Model(entries)
        if table.add(7, 7):
            model[7, 7] += 1
        check(table, model)


def test_only_the_low_bits_of_a_key_count():
    """A 64-bit hash may be given as it is."""
    table = HashTable()
    table.add(5 | 1 << 50, 3)
    assert table.numbers(5) == table.numbers(5 | 1 << 63) == [3]
    load(table, [(6 | 1 << 63, 4)])
    assert table.numbers(6) == [4]
    table.replace(6 | 1 << 40, 4, 9)
    assert table.numbers(6) == [9]


def test_replacing_keeps_the_place():
    """Of several numbers under a key the others stay where they are, in their order."""
    table = HashTable()
    for number in (1, 2, 3):
        table.add(8, number)
    table.replace(8, 2, 7)
    assert table.numbers(8) == [1, 7, 3]


def test_an_empty_table():
    """Nothing is found, and nothing to load or rebuild changes that."""
    table = HashTable()
    load(table, [])
    table.rebuild(lambda keys, numbers: np.ones(len(keys), dtype=np.bool_))
    assert (len(table), table.numbers(0), table.numbers(12345)) == (0, [], [])
