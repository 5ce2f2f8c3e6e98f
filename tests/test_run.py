"""What `khabar run` takes and refuses before it touches Kafka."""

from __future__ import annotations

import signal

import pytest

from pipelines.errors import UsageError
from pipelines.run import _beam_options
from pipelines.signals import stopping_at_signals


@pytest.mark.parametrize("arguments", [[], ["--runner=DirectRunner"], ["--runner", "FnApiRunner"]])
def test_what_means_the_in_process_runner(arguments: list[str]) -> None:
    """No runner, Beam's default name and the in-process runner's own name all mean the same."""
    assert _beam_options(arguments).get_all_options()["runner"] in (
        None,
        "DirectRunner",
        "FnApiRunner",
    )


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--runner=FlinkRunner", "--runner=FlinkRunner is not supported"),
        ("--direct_num_workers=2", "loses articles"),
        ("--bootstrap-server=x", "Neither Khabar nor Beam has an option --bootstrap-server"),
        ("--no-such-switch", "has an option --no-such-switch"),
        ("news.jsonl", r"has an option news\.jsonl"),
    ],
)
def test_what_could_lose_articles_is_refused(argument: str, said: str) -> None:
    """A runner that the guarantees were not proved on, several workers, and a misspelt option are
    refused before anything starts."""
    with pytest.raises(UsageError, match=said):
        _beam_options([argument])


def test_signal_handlers_are_put_back() -> None:
    """A run leaves the process's signal handlers as it found them."""
    before = signal.getsignal(signal.SIGTERM)
    with stopping_at_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
