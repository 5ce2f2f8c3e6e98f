"""Runs one documented reader with its commits timed; see `benchmarks/consumers.py`.

`python -m benchmarks._reader MODULE STORE|bare TIMES OPTION…` writes to the file TIMES how many
records came after the first commit, and from there to the last one the seconds, and those of CPU
time.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

CONSUMERS = Path(__file__).parents[1] / "examples" / "consumers"


def main() -> None:
    module, kind, times, *options = sys.argv[1:]
    sys.path.insert(0, str(CONSUMERS))
    reader: Any = importlib.import_module(module)
    commits: list[tuple[int, float, float]] = []
    taken = 0

    class Timed(reader.Store):
        def take(self, topic: str, record: dict[str, Any]) -> None:
            nonlocal taken
            taken += 1
            if kind != "bare":
                super().take(topic, record)

        def commit(self) -> None:
            super().commit()
            commits.append((taken, time.monotonic(), time.process_time()))

    reader.Store = Timed
    sys.argv[1:] = options
    reader.main()
    between = [after - before for before, after in zip(commits[0], commits[-1], strict=True)]
    Path(times).write_text(json.dumps(between), encoding="ascii")


if __name__ == "__main__":
    main()
