"""Where Flink puts an element, reckoned beforehand; tests/kafka/test_flink.py asks a real one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kafka.spread import _encoded, _hash_before, salted, worker_of


def test_even_whatever_the_numbers():
    """The n-th element is worker n's, in older runners as well."""
    for workers in (1, 2, 3, 8):
        elements = salted([b"%d 0 9" % number for number in range(12)], workers)
        found = [worker_of(_hash_before(each), workers) for each in elements]
        assert found == [number % workers for number in range(12)]
        assert max(Counter(found).values()) - min(Counter(found).values()) <= 1


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 6))
def test_nothing_but_a_number_is_added(elements, workers):
    """What an element says stands before the last blank."""
    assert [each.rpartition(b" ")[0] for each in salted(elements, workers)] == elements


@pytest.mark.parametrize(
    ("element", "expected"),
    [(b"", 31), (b"a", (1 * 31 + 97) * 31 + 1), (b"\xff", (1 * 31 - 1) * 31 + 1)],
)
def test_hash_of_a_java_buffer(element, expected):
    """From the last byte to the first, each with its sign; the length stands before them."""
    assert _hash_before(element) == expected


def test_long_elements():
    """A length of more than seven bits takes two bytes, the low ones first."""
    assert _encoded(b"x" * 300)[:2] == bytes([0xAC, 0x02])
