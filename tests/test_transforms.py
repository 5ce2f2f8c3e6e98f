"""What a Beam transform adds to its stage: batches, in which each envelope goes its own way."""

from __future__ import annotations

import itertools
import json

import apache_beam as beam
import pytest

from pipelines.records import Origin, RawMessage
from pipelines.runner import in_process_pipeline
from pipelines.stages.decode import MAX_BYTES
from pipelines.transforms import BATCH_BYTES, BATCH_SIZE, Batch, Decode, _BatchCoder, batches


def message(number: int, value: bytes | None = None) -> RawMessage:
    if value is None:
        value = json.dumps({"id": str(number), "title": "عنوان", "body": f"نص {number}"}).encode()
    return RawMessage(Origin("news.raw", 0, number, number), None, value)


def decoded(batch: Batch) -> Batch:
    """What Decode makes of a batch."""
    with in_process_pipeline() as pipeline:
        raw = pipeline | beam.Impulse() | "Read" >> beam.Map(lambda _: batch)
        raw | Decode(lambda schema_id: None, MAX_BYTES) | "Keep" >> beam.Map(keep)
    return _kept.pop()


_kept: list[Batch] = []  # a pipeline is pickled before it runs; what a module holds is not


def keep(batch: Batch) -> None:
    _kept.append(batch)


def test_messages_leave_in_batches_in_their_order():
    """No batch has more than it may, and the last one has the rest."""
    messages = [message(number) for number in range(2 * BATCH_SIZE + 3)]
    found = list(batches(messages))
    assert list(map(len, found)) == [BATCH_SIZE, BATCH_SIZE, 3]
    assert [each for batch in found for each in batch] == messages
    assert list(batches([])) == []


def test_large_messages_make_short_batches():
    """A batch ends with the message that makes it as large as a batch may be."""
    large = message(1, b" " * BATCH_BYTES)
    found = batches([message(0), large, message(2), message(3)])
    assert list(map(len, found)) == [2, 2]


def test_a_batch_takes_no_more_than_it_needs():
    """What comes behind a full batch is not touched before the next one is asked for."""
    taken: list[int] = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield message(number)

    next(batches(endless()))
    assert len(taken) == BATCH_SIZE


def test_a_bad_message_leaves_its_batch_alone():
    """Of one batch the bad message fails, and those before and behind it go on."""
    batch = decoded(Batch([message(0), message(1, b"no JSON"), message(2)]))
    assert [envelope.failure and envelope.failure.reason for envelope in batch] == [
        None,
        "invalid-json",
        None,
    ]
    assert [envelope.article is not None for envelope in batch] == [True, False, True]


@pytest.mark.parametrize("size", [0, 3])
def test_a_batch_that_leaves_the_process_comes_back(size):
    """Beam encodes batches by the coder that is registered for them, and loses nothing."""
    coder = beam.coders.registry.get_coder(Batch)
    assert isinstance(coder, _BatchCoder)
    batch = Batch(message(number) for number in range(size))
    again = coder.decode(coder.encode(batch))
    assert (type(again), again) == (Batch, batch)
    assert coder.estimate_size(batch) == size
