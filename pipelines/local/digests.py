"""Writes `digests.json` anew: python -m pipelines.local.digests

For a change of version only: it resolves the programs, downloads them and trusts what it gets,
so compare the result with what the projects publish before it is committed.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import jgo

from pipelines.local.artifacts import (
    DIGESTS,
    FLINK,
    KAFKA,
    REGISTRY,
    REGISTRY_ARCHIVE,
    maven,
    resolve,
)

# Kafka 4.1 binds slf4j 1.7.
KAFKA_ROOTS = "org.apache.kafka:kafka_2.13:4.1.1+org.slf4j:slf4j-simple:1.7.36"
# The newest of Beam's job servers of which a job was seen to start.
FLINK_ROOTS = "org.apache.beam:beam-runners-flink-1.19:2.62.0+org.slf4j:slf4j-simple:1.7.36"


def main() -> None:
    """Writes the file."""
    programs = {
        KAFKA: _jars(KAFKA_ROOTS),
        REGISTRY: [REGISTRY_ARCHIVE],
        FLINK: _jars(FLINK_ROOTS),
    }
    with tempfile.TemporaryDirectory() as folder:
        context = maven(Path(folder), print)
        digests = {
            program: {
                coordinate: hashlib.sha256(resolve(context, coordinate).read_bytes()).hexdigest()
                for coordinate in sorted(coordinates)
            }
            for program, coordinates in programs.items()
        }
    DIGESTS.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def _jars(roots: str) -> list[str]:
    return [f"{a.groupId}:{a.artifactId}:{a.version}" for a in jgo.resolve(roots)]


if __name__ == "__main__":
    main()
