"""Whether a run lives and whether it is ready, as `/healthz` and `/readyz` tell it: each answer is
the reason why not, or nothing.
"""

from __future__ import annotations

import time

from pipelines.kafka.transaction import Job

# Seconds without a round of the bundle loop after which it counts as stuck. A round is a batch or a
# commit, and a commit gives Kafka 40 s.
STUCK_S = 120.0
# The same with --ner=camel, where a batch of 64 articles takes four minutes of a core.
STUCK_WITH_CAMEL_S = 900.0
# Seconds that Kafka may owe an answer before the run counts as not ready. It is asked every 2 s; a
# run that gets none ends after 20.
SILENT_S = 5.0


class Health:
    """What is known of one run. Its own thread says what it does; others ask at any time."""

    def __init__(self) -> None:
        self.job: Job | None = None
        # Why the registry is of no use now; empty while it is.
        self.registry_away = ""
        self._step = "starting"

    def starting(self, step: str) -> None:
        """Says what a start does, or waits for."""
        self._step = " ".join(step.split())

    def reading(self, job: Job) -> None:
        """The start is over: from here on the job itself is asked."""
        self.job = job

    def stuck(self) -> str:
        """Why the process should be replaced. A start has limits of its own."""
        if self.job is None or not self.job.turned:
            return ""
        seconds = time.monotonic() - self.job.turned
        most = STUCK_WITH_CAMEL_S if self.job.settings.ner == "camel" else STUCK_S
        return "" if seconds < most else f"the bundle loop has stood still for {seconds:.0f} s"

    @property
    def ending(self) -> bool:
        """Whether the run closes: told to, caught up, or failed."""
        return self.job is not None and (self.job.finished or self.job.failure is not None)

    def not_ready(self) -> str:
        """Why no article comes through now."""
        if self.ending:
            return "ending"
        if self.job is None or not self.job.turned:
            return self._step
        _, why = self.missing()
        return why or self.stuck()

    def missing(self) -> tuple[str, str]:
        """Which service a reading run lacks, `kafka` or `registry`, and a sentence; both empty when
        it lacks none.
        """
        if self.job is not None and self.job.silent_s >= SILENT_S:
            at, silent = self.job.settings.bootstrap_servers, self.job.silent_s
            return "kafka", f"Kafka at {at} has not answered for {silent:.0f} s."
        return ("registry" if self.registry_away else ""), self.registry_away
