"""Writes `digests.json` anew: python -m pipelines.local.digests

For a change of version only: it resolves both programs, downloads them and trusts what it gets,
so compare the result with what the projects publish before it is committed.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import jgo

from pipelines.local.artifacts import DIGESTS, KAFKA, REGISTRY, REGISTRY_ARCHIVE, maven, resolve

# Kafka 4.1 binds slf4j 1.7.
KAFKA_ROOTS = "org.apache.kafka:kafka_2.13:4.1.1+org.slf4j:slf4j-simple:1.7.36"


def main() -> None:
    """Writes the file."""
    kafka = [f"{a.groupId}:{a.artifactId}:{a.version}" for a in jgo.resolve(KAFKA_ROOTS)]
    with tempfile.TemporaryDirectory() as folder:
        context = maven(Path(folder), print)
        digests = {
            program: {
                coordinate: hashlib.sha256(resolve(context, coordinate).read_bytes()).hexdigest()
                for coordinate in sorted(coordinates)
            }
            for program, coordinates in ((KAFKA, kafka), (REGISTRY, [REGISTRY_ARCHIVE]))
        }
    DIGESTS.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
