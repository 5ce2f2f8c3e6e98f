"""What a person can do something about: one paragraph that says what, where, and what to type."""

from __future__ import annotations


class UsageError(Exception):
    """Something was asked or set up wrongly. Exit code 2."""


class Outage(Exception):
    """Kafka, the registry or Flink is away; nothing is lost, a new start goes on. Exit code 75."""


class Superseded(Exception):
    """Another instance of the group has taken over. Exit code 0, so that no supervisor restarts."""


class Stopped(Exception):
    """Asked to end before anything was read. Exit code 0."""
