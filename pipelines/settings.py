"""Every setting once: name, unit, default, reason. The command line and the environment
(`KHABAR_…`) are made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One setting: `name` as the attribute spells it, `about` with its unit and its reason."""

    name: str
    default: Any
    about: str
    choices: tuple[str, ...] = ()
    at_least: int | None = None
    at_most: int | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "KHABAR_" + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "bootstrap_servers",
        "127.0.0.1:9092",
        "Kafka brokers, host:port, parted by commas.",
    ),
    Setting(
        "registry_url",
        "http://127.0.0.1:8081/apis/ccompat/v7",
        "Schema registry that speaks Confluent's API. Its user and password come from "
        "KHABAR_REGISTRY_USER and KHABAR_REGISTRY_PASSWORD.",
    ),
    Setting(
        "kafka_config",
        "",
        "File of Kafka client settings, name=value a line (SASL, TLS, …). Each can also be given "
        "as KHABAR_KAFKA_NAME in the environment.",
    ),
    Setting(
        "topic_prefix",
        "news",
        "What the topics' names begin with, so that several pipelines can share a cluster.",
    ),
    Setting(
        "group",
        "khabar",
        "Consumer group; the transactional id is made from it, so a second instance of the same "
        "group takes over from the first.",
    ),
    Setting(
        "delivery",
        "exactly-once",
        "exactly-once writes each bundle of articles in one Kafka transaction; at-least-once "
        "needs no transactions and may repeat records after a crash.",
        choices=("exactly-once", "at-least-once"),
    ),
    Setting(
        "ner",
        "default",
        "How entities are found: by tables of names, and default by a trained recognizer as well, "
        "camel by camel-tools' BERT, which is slow and installed apart; none leaves them empty.",
        choices=("default", "camel", "none"),
    ),
    Setting(
        "outlet_zones",
        "",
        "File of outlets' time zones, name=Area/City a line: how times without a zone are meant. "
        "Without it they are taken as UTC and flagged.",
    ),
    Setting(
        "window_days",
        7,
        "Days for which a story is remembered. 87 % of true copies come within one day; the "
        "window costs memory and restore time.",
        at_least=1,
        at_most=90,
    ),
    Setting(
        "max_stories",
        2_000_000,
        "Stories that are remembered at most, about 0.5 GB for each million; more push the oldest "
        "out before the window ends, which `run` counts and says.",
        at_least=1_000,
        at_most=100_000_000,
    ),
    Setting(
        "max_message_bytes",
        1024 * 1024,
        "Bytes of a message that are taken; larger ones become dead letters. A record carries "
        "raw text, display text and mentions, so an eighth of the 16 MiB that a topic takes is "
        "the most.",
        at_least=1024,
        at_most=2 * 1024 * 1024,
    ),
    Setting(
        "bundle_linger_ms",
        50,
        "Milliseconds that a bundle waits for more articles: latency against transactions.",
        at_least=0,
        at_most=10_000,
    ),
    Setting(
        "bundle_max_ms",
        500,
        "Milliseconds after which a bundle is committed although more articles wait.",
        at_least=10,
        at_most=5_000,
    ),
    Setting(
        "metrics_port",
        0,
        "Port at which `run` serves /metrics, /healthz and /readyz; 0 serves nothing.",
        at_least=0,
        at_most=65_535,
    ),
    Setting(
        "metrics_host",
        "127.0.0.1",
        "Address that the port above is opened at: nobody is asked who he is, so by default this "
        "machine alone reaches it. In a container it is 0.0.0.0.",
    ),
    Setting(
        "log_format",
        "plain",
        "Form of the lines on standard error: plain for people; json, one object a line, for what "
        "collects logs.",
        choices=("plain", "json"),
    ),
)


@dataclass(frozen=True)
class Settings:
    """The settings of one job; hashable, so that a process can keep one job for each."""

    bootstrap_servers: str
    registry_url: str
    kafka_config: str
    topic_prefix: str
    group: str
    delivery: str
    ner: str
    outlet_zones: str
    window_days: int
    max_stories: int
    max_message_bytes: int
    bundle_linger_ms: int
    bundle_max_ms: int
    metrics_port: int
    metrics_host: str
    log_format: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """The settings that `values` gives; what it does not name has its default.

        Raises ValueError for a value that is not allowed.
        """
        return cls(**{s.name: _checked(s, values.get(s.name, s.default)) for s in SETTINGS})

    def topic(self, kind: str) -> str:
        """The name of the topic of this kind, such as `articles`."""
        return f"{self.topic_prefix}.{kind}"

    @property
    def window_ms(self) -> int:
        return self.window_days * 24 * 3600 * 1000


def _checked(setting: Setting, value: Any) -> Any:
    if setting.choices and value not in setting.choices:
        raise ValueError(f"{setting.flag} is {value!r}; it takes {', '.join(setting.choices)}")
    if setting.at_least is not None and value < setting.at_least:
        raise ValueError(f"{setting.flag} is {value}; the least is {setting.at_least}")
    if setting.at_most is not None and value > setting.at_most:
        raise ValueError(f"{setting.flag} is {value}; the most is {setting.at_most}")
    return value


assert {s.name for s in SETTINGS} == {f.name for f in fields(Settings)}
