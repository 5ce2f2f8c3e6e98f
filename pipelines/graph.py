"""The flow, on one page. What stands before and behind it (Kafka, files, a list in a test) can be
swapped: `build` takes raw messages and gives the messages to write, both in batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import apache_beam as beam

from pipelines.stages import decode
from pipelines.stages.encode import Topics
from pipelines.transforms import (
    Clean,
    Decide,
    Decode,
    Encode,
    Entities,
    Fingerprint,
    Normalize,
    WithoutOffsets,
)


@dataclass(frozen=True)
class Plan:
    """What the graph must know of the job it runs in."""

    job: str
    topics: Topics
    schema_by_id: decode.SchemaLookup
    max_bytes: int = decode.MAX_BYTES
    ner: str = "default"
    outlet_zones: Mapping[str, str] = field(default_factory=dict)


def build(raw: beam.PCollection, plan: Plan) -> beam.PCollection:
    """Batches of raw messages in, of messages out, in one fused chain: nothing is shuffled."""
    return (
        _read_alone(raw, plan)
        | "Decide" >> Decide(plan.job)
        | "Entities" >> Entities(plan.ner)
        | "Encode" >> Encode(plan.topics)
    )


def build_shared(
    raw: beam.PCollection, plan: Plan, one_writer: beam.PTransform
) -> beam.PCollection:
    """The same for several workers: what needs no other article is done where it was read, and
    `one_writer` brings all of it to one place, where stories are decided.
    """
    return decided(prepared(raw, plan) | "OneWriter" >> one_writer, plan)


def prepared(raw: beam.PCollection, plan: Plan) -> beam.PCollection:
    """The half that workers share: batches of raw messages in, of envelopes out, to their names."""
    return (
        _read_alone(raw, plan)
        | "Entities" >> Entities(plan.ner)
        | "WithoutOffsets" >> WithoutOffsets()
    )


def decided(envelopes: beam.PCollection, plan: Plan) -> beam.PCollection:
    """The half that one writer does: batches of envelopes in, of messages out."""
    return envelopes | "Decide" >> Decide(plan.job) | "Encode" >> Encode(plan.topics)


def _read_alone(raw: beam.PCollection, plan: Plan) -> beam.PCollection:
    """What needs no other article."""
    return (
        raw
        | "Decode" >> Decode(plan.schema_by_id, plan.max_bytes)
        | "Clean" >> Clean(plan.outlet_zones)
        | "Normalize" >> Normalize()
        | "Fingerprint" >> Fingerprint()
    )
