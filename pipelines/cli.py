"""The command `khabar`: parses, calls, prints. Settings come from flags, then `KHABAR_…`, then
defaults; errors are one paragraph, a traceback comes with --debug only.
"""

from __future__ import annotations

import difflib
import io
import logging
import os
import re
import shutil
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines import __version__
from pipelines.errors import Outage, Superseded, UsageError
from pipelines.logs import Line, in_json, quoted, say, use_format
from pipelines.settings import SETTINGS, Setting, Settings

EXIT_BUG, EXIT_USAGE, EXIT_OUTAGE = 1, 2, 75

_EXIT_CODES = """\b
Exit codes: 0 done, or another instance took over; 1 a bug; 2 something to
put right; 75 Kafka, the registry or Flink is away (start again)."""


def _option(setting: Setting) -> Callable[[Any], Any]:
    numbers = setting.at_least is not None
    return click.option(
        setting.flag,
        setting.name,
        default=setting.default,
        show_default=bool(setting.default != ""),
        envvar=setting.variable,
        show_envvar=True,
        help=setting.about,
        type=click.Choice(setting.choices)
        if setting.choices
        else click.IntRange(setting.at_least, setting.at_most)
        if numbers
        else click.STRING,
        # Before all others, so that what is wrong with those is already told in this form.
        is_eager=setting.name == "log_format",
        callback=_use_log_format if setting.name == "log_format" else None,
    )


def _use_log_format(context: click.Context, option: click.Parameter, value: str) -> str:
    use_format(value)
    return value


def with_settings(*names: str) -> Callable[[Any], Any]:
    """Gives a command the options of these settings."""

    def decorate(command: Any) -> Any:
        for setting in reversed(SETTINGS):
            if setting.name in names:
                command = _option(setting)(command)
        return command

    return decorate


class _Time(click.ParamType):  # type: ignore[type-arg]  # older versions of click take none
    """A time in UTC, or an age: milliseconds since 1970."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        age = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if age:
            unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}[age[2]]
            return round((time.time() - int(age[1]) * unit) * 1000)
        try:
            given = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither 2026-11-27, 2026-11-27T18:30 nor 2h or 7d.")
        return round(given.replace(tzinfo=given.tzinfo or UTC).timestamp() * 1000)


_TIME = _Time()
_KAFKA = ("bootstrap_servers", "kafka_config", "topic_prefix")
_ALL = tuple(setting.name for setting in SETTINGS)
_OF_RUN_ALONE = ("metrics_port", "metrics_host")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="khabar")
@click.option("--debug", is_flag=True, help="Show tracebacks and the libraries' own logs.")
def cli(debug: bool) -> None:
    """Arabic news from Kafka to clean, de-duplicated, entity-tagged Avro records.

    \b
    khabar demo                       see all of it on this machine
    khabar up                         Kafka and a schema registry, for trying things out
    khabar process FILE… --out DIR    the same pipeline over files, without Kafka
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.CRITICAL)
    # Below that, kafka-python writes out its settings, the password among them.
    logging.getLogger("kafka").setLevel(logging.INFO if debug else logging.CRITICAL)


def main() -> None:
    """Runs the command; turns what a person can act on into one paragraph and an exit code."""
    debug = "--debug" in sys.argv
    _make_output_safe()
    if not debug:
        # Kafka's client complains of a broker that is gone while Python ends: that was told.
        sys.unraisablehook = lambda unraisable: None
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        if in_json():
            say(Line(error.format_message(), "error", exit_code=EXIT_USAGE))
        else:
            error.show()
        sys.exit(EXIT_USAGE)
    except Superseded as error:
        say(str(error))
    except (UsageError, Outage) as error:
        code = EXIT_OUTAGE if isinstance(error, Outage) else EXIT_USAGE
        say(Line(f"khabar: {error}", "error", exit_code=code))
        sys.exit(code)
    except BrokenPipeError:  # whoever read our output has gone: `khabar tail | head`
        # Python flushes at its end, once more into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last place to tell it
        shown = {"traceback": traceback.format_exc()} if debug else {}
        if shown and not in_json():
            say(shown["traceback"])
        say(
            Line(
                f"khabar: this is a bug, please report it: {type(error).__name__}: "
                f"{quoted(_first_line(error))}\nNothing was committed that was not committed "
                "before. The same command with --debug behind `khabar` shows where it happened.",
                "error",
                exit_code=EXIT_BUG,
                **shown,
            )
        )
        sys.exit(EXIT_BUG)


def _make_output_safe() -> None:
    """Shows ? for what the terminal's encoding lacks, in place of ending with an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _columns() -> int:
    """Columns that a line may take: all but the terminal's last, behind which some terminals put
    even an invisible character on a row of its own; 100 elsewhere.
    """
    return shutil.get_terminal_size((101, 24)).columns - 1


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "(no message)"


@cli.command(epilog=_EXIT_CODES)
@click.argument("paths", nargs=-1)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    show_default=True,
    help="Articles a second that are sent.",
)
@with_settings("outlet_zones")
def demo(paths: tuple[str, ...], rate: float, **values: Any) -> None:
    """Show the whole of it on this machine: real Kafka and registry, articles in, stories out.

    Without PATHS the sample articles are played; with them, your own (as for `khabar produce`).
    Ends by itself and leaves nothing running.

    \b
    khabar demo
    khabar demo my-articles.jsonl --rate 50
    khabar demo folder-of-texts
    """
    from pipelines.demo import demo as run_demo

    run_demo(paths, rate, values)


@cli.command(epilog=_EXIT_CODES)
@click.option("--data", type=click.Path(path_type=Path), help="Folder to keep the data in.")
@click.option("--kafka-port", type=int, help="Port for Kafka; a free one by default.")
@click.option("--registry-port", type=int, help="Port for the registry; a free one by default.")
@click.option("--flink", "with_flink", is_flag=True, help="A Flink with two workers as well.")
@click.option(
    "--partitions", type=click.IntRange(1), default=1, show_default=True, help="Of new topics."
)
@with_settings("topic_prefix", "window_days")
def up(
    data: Path | None,
    kafka_port: int | None,
    registry_port: int | None,
    with_flink: bool,
    partitions: int,
    **values: Any,
) -> None:
    """Run Kafka and a schema registry on this machine, with our topics and schemas, until Ctrl-C.

    \b
    khabar up
    khabar up --data ./kafka-data --kafka-port 9092 --registry-port 8081
    khabar up --flink --partitions 4
    """
    from pipelines.kafka import topics
    from pipelines.local import Flink, LocalError, Services
    from pipelines.run import register
    from pipelines.signals import stopping_at_signals

    ended = threading.Event()
    try:
        with (
            stopping_at_signals(ended.set),
            Services(
                data=data, kafka_port=kafka_port, registry_port=registry_port, report=say
            ) as services,
            Flink(report=say) if with_flink else nullcontext() as flink,
        ):
            addresses = services.addresses
            settings = Settings.of({**values, **vars(addresses)})
            topics.create(settings, partitions)
            register(settings)
            click.echo(
                f"export KHABAR_BOOTSTRAP_SERVERS={addresses.bootstrap_servers}\n"
                f"export KHABAR_REGISTRY_URL={addresses.registry_url}"
            )
            say(
                "Both run until Ctrl-C. Type the two lines above in another terminal, then e.g. "
                "`khabar run` there."
            )
            if flink is not None:
                at = flink.addresses
                say(
                    "Flink as well: `khabar run --runner=FlinkRunner "
                    f"--job_endpoint={at.job_endpoint} --artifact_endpoint={at.artifact_endpoint} "
                    f"--environment_config={at.workers}`, and to end that job "
                    f"`khabar stop --job-endpoint {at.job_endpoint}`."
                )
            while not ended.wait(1.0):
                services.check()
                if flink is not None:
                    flink.check()
    except LocalError as error:
        raise UsageError(str(error)) from None


@cli.command(epilog=_EXIT_CODES)
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Partitions of topics that are made; the index always has one.",
)
@click.option("--replicas", type=int, default=-1, help="Replicas; -1 leaves it to the broker.")
@click.option("--check", is_flag=True, help="Make nothing; say what is wrong and exit with 2.")
@with_settings(*_KAFKA, "window_days")
def topics(partitions: int, replicas: int, check: bool, **values: Any) -> None:
    """Create the topics that are missing, and check all of them.

    \b
    khabar topics
    khabar topics --partitions 4 --bootstrap-servers kafka-1:9092
    khabar topics --check
    """
    from pipelines.kafka import topics as kafka_topics

    settings = _settings(values)
    if not check:
        for name in kafka_topics.create(settings, partitions, replicas):
            click.echo(f"created {name}")
    kafka_topics.require(settings)
    click.echo("topics are as they must be")


@cli.group(epilog=_EXIT_CODES, invoke_without_command=True)
@with_settings("registry_url", "topic_prefix")
@click.pass_context
def schemas(context: click.Context, /, **values: Any) -> None:
    """Register the schemas, with BACKWARD compatibility; `check` only compares.

    \b
    khabar schemas
    khabar schemas --registry-url http://registry:8081/apis/ccompat/v7 check
    """
    from pipelines.run import register

    context.obj = _settings(values)
    if context.invoked_subcommand is None:
        for subject, schema_id in register(context.obj).items():
            click.echo(f"{subject}: id {schema_id}")


@schemas.command("check", epilog=_EXIT_CODES)
@click.pass_context
def schemas_check(context: click.Context) -> None:
    """Refuse schemas that readers of the registered ones could not follow (exit code 2).

    \b
    khabar schemas check
    """
    from pipelines.run import check_schemas

    for line in check_schemas(context.obj):
        click.echo(line)


@cli.command(epilog=_EXIT_CODES)
@click.argument("paths", nargs=-1)
@click.option("--rate", type=float, help="Articles a second; as fast as possible by default.")
@click.option("--loop", is_flag=True, help="Begin again at the end, until Ctrl-C.")
@with_settings(*_KAFKA)
def produce(paths: tuple[str, ...], rate: float | None, loop: bool, **values: Any) -> None:
    """Send articles to the raw topic: .jsonl (.gz, .xz), .txt, folders, - for standard input.

    Without PATHS the sample articles are sent.

    \b
    khabar produce articles.jsonl --rate 100
    zcat archive.gz | khabar produce -
    """
    from pipelines.producers.produce import produce as send
    from pipelines.signals import stopping_at_signals

    settings = _settings(values)
    ended = threading.Event()
    with stopping_at_signals(ended.set), _progress("sent") as told:
        count = send(
            _messages(paths, loop),
            settings,
            rate=rate,
            sent=lambda n: told(f"{n} sent"),
            stopped=ended.is_set,
        )
    say(f"sent {count} messages to {settings.topic('raw')}")


def _messages(paths: tuple[str, ...], loop: bool) -> Iterator[tuple[bytes | None, bytes | None]]:
    from pipelines.producers import files, samples

    while True:
        if paths:
            for message in files.read(files.find(paths)):
                yield message.key, message.value
        else:
            for sample in samples.read():
                yield sample.message_key, sample.value
        if not loop:
            return


@cli.command(
    epilog=_EXIT_CODES,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option("--until-caught-up", is_flag=True, help="End at the end offsets seen at the start.")
@with_settings(*_ALL)
@click.pass_context
def run(context: click.Context, /, until_caught_up: bool, **values: Any) -> None:
    """Run the pipeline until told to stop (SIGTERM, Ctrl-C): what is delivered is committed.

    Runs on Beam's in-process runner, in this process: that is what --runner=DirectRunner means
    here. (Beam's own DirectRunner first looks for Prism, which ends every job after 300 s.)
    Options that Khabar does not know go to Beam.

    \b
    khabar run
    khabar run --until-caught-up
    khabar run --bootstrap-servers kafka-1:9093 --kafka-config sasl.properties
    """
    from pipelines.signals import stopping_at_signals

    settings, stop = _settings(values), threading.Event()
    with stopping_at_signals(stop.set):
        # Beam takes seconds to import: a signal counts from here on.
        from pipelines.run import run as run_pipeline

        run_pipeline(
            settings,
            until_caught_up=until_caught_up,
            say=say,
            beam_arguments=context.args,
            stop=stop,
        )


@cli.command(epilog=_EXIT_CODES)
@click.option("--job-endpoint", required=True, help="HOST:PORT of Beam's job server.")
@click.option("--flink-master", default="", help="HOST:PORT of Flink's REST, if it has one.")
@with_settings(*_KAFKA, "group")
def stop(job_endpoint: str, flink_master: str, **values: Any) -> None:
    """End the group's job on Flink: its readers stop, what they had read is committed.

    The next `khabar run` goes on there. (A run in one process ends by SIGTERM or Ctrl-C.)

    \b
    khabar stop --job-endpoint 127.0.0.1:8099
    """
    from pipelines import flink
    from pipelines.kafka import stopping

    settings = _settings(values)
    job = stopping.current(settings)
    if job is None:
        raise UsageError(f"Group {settings.group} has sent no job to a Flink yet.")
    stopping.tell(settings, job.generation)
    try:
        stopping.await_drained(settings, job)
    finally:
        flink.cancel(job_endpoint, flink_master, settings.group, job.generation)
    say("ended: all that was read is committed")


@cli.command(epilog=_EXIT_CODES, context_settings={"ignore_unknown_options": True})
@click.argument("inputs", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option(
    "--order",
    type=click.Choice(["input", "published"]),
    default="input",
    show_default=True,
    help="Order in which stories are decided.",
)
@click.option(
    "--runner",
    type=click.Choice(["DirectRunner", "FlinkRunner"]),
    default="DirectRunner",
    show_default=True,
    help="This process alone, or an archive on Flink; then other options go to Beam.",
)
@with_settings("ner", "outlet_zones", "window_days", "max_stories", "max_message_bytes")
@click.pass_context
def process(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    out: Path,
    order: str,
    runner: str,
    **values: Any,
) -> None:
    """Run the same graph over files, without Kafka, and write Avro files.

    Writes articles.avro, duplicates.avro, entities.avro and dead-letters.avro. A .txt file is one
    article whose body is the file.

    On Flink (--runner=FlinkRunner --order=published) the workers must see the files and DIR under
    the same paths. After an outage the same command goes on with the files that are left.

    \b
    khabar process articles.jsonl --out result
    khabar process folder-of-texts --out result --ner=none
    khabar process archive --out result --order=published --runner=FlinkRunner --job_endpoint=…
    """
    from pipelines.process import process as process_files
    from pipelines.producers import files

    settings, on_flink = _settings(values), runner == "FlinkRunner"
    beam_arguments = [each for each in inputs if each.startswith("--")]
    if beam_arguments and not on_flink:
        name = beam_arguments[0].partition("=")[0]
        known = [option for each in context.command.params for option in each.opts]
        near = difflib.get_close_matches(name, known)
        raise click.NoSuchOption(name, possibilities=near, ctx=context)
    if on_flink and order != "published":
        raise UsageError(
            "On Flink files are read side by side, and stories decided in publication order: add "
            "--order=published."
        )
    paths = [each for each in inputs if not each.startswith("--")]
    if not paths:
        raise UsageError("Name the files, or folders of them, that are to be read.")
    found = files.find(paths)
    with _progress("read") as told:
        if on_flink:
            from pipelines.backfill import backfill

            counts = backfill(
                found,
                out,
                settings,
                beam_arguments,
                progress=lambda c: told(_counts(c)),
                say=say,
            )
        else:
            counts = process_files(
                files.read(found),
                out,
                settings,
                published_order=order == "published",
                progress=lambda c: told(_counts(c)),
            )
    say(f"{_counts(counts)}; written to {out}")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{kind} {counts[kind]}" for kind in counts)


@cli.command(epilog=_EXIT_CODES)
@click.argument("topic")
@click.option("--story", metavar="STORY_ID|ARTICLE_ID|URL", help="Only this story's records.")
@click.option("--entity", metavar="NAME|ENTITY_ID", help="Only records with this entity.")
@click.option("--source", metavar="NAME", help="Only what this outlet delivered or published.")
@click.option("--since", type=_TIME, default=0, help="Only what came since then.")
@click.option("--json", "in_json", is_flag=True, help="One JSON object a line, for programs.")
@click.option("--new", is_flag=True, help="Only what comes from now on.")
@click.option("--until-caught-up", is_flag=True, help="End at the end offsets seen at the start.")
@with_settings(*_KAFKA, "registry_url")
def tail(
    topic: str,
    story: str | None,
    entity: str | None,
    source: str | None,
    since: int,
    in_json: bool,
    new: bool,
    until_caught_up: bool,
    **values: Any,
) -> None:
    """Show a topic's records: articles, duplicates, entities, dead-letters, index, raw.

    Of several filters all must fit. A name is found in all its spellings; a story also by the
    address of the article that opened it. Times are UTC, or an age such as 90m, 2h or 7d.

    \b
    khabar tail articles
    khabar tail articles --source الجزيرة --since 2h
    khabar tail entities --entity "غزة" --new
    khabar tail dead-letters --json --until-caught-up
    """
    from pipelines.explain import identity
    from pipelines.filters import Filter
    from pipelines.kafka import topics as kafka_topics
    from pipelines.kafka.tail import tail as read
    from pipelines.show import as_json, as_text
    from pipelines.signals import stopping_at_signals

    settings = _settings(values)
    name = settings.topic(topic) if topic in kafka_topics.KINDS else topic
    if entity and topic in ("raw", "duplicates", "dead-letters", "index"):
        raise UsageError(f"What stands on {name} names no entities: `khabar tail articles` does.")
    wanted = Filter(identity(story) if story else "", entity or "", source or "")
    ended = threading.Event()
    with stopping_at_signals(ended.set):
        for message in read(
            settings,
            [name],
            from_start=not new,
            since=since,
            until_caught_up=until_caught_up,
            stopped=ended.is_set,
        ):
            if wanted.takes(message):
                click.echo(as_json(message) if in_json else as_text(message, _columns()))


@cli.command(epilog=_EXIT_CODES)
@click.argument("topic", type=click.Choice(["articles", "duplicates", "entities", "dead-letters"]))
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "jsonl"]),
    default="jsonl",
    show_default=True,
    help="JSON Lines, or Parquet with a column for each field.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File.")
@click.option("--since", type=_TIME, default=0, help="Only what came since then.")
@click.option("--until", type=_TIME, help="Only what came before then.")
@with_settings(*_KAFKA, "registry_url")
def export(topic: str, form: str, out: Path, since: int, until: int | None, **values: Any) -> None:
    """Write a topic's records up to now into one file, for analysts.

    What was removed on request is left out. Times are UTC, or an age such as 2h or 7d; they count
    Kafka's time of the records.

    \b
    khabar export articles --format parquet --out articles.parquet
    khabar export entities --since 7d --out entities.jsonl
    """
    from pipelines.export import export as write

    with _progress("written") as told:
        count = write(
            _settings(values),
            topic,
            form,
            out,
            since=since,
            until=until,
            progress=lambda n: told(f"{n} written"),
        )
    say(f"wrote {count} records of {topic} to {out}")


def _choosing(command: Any) -> Any:
    """Gives a command the options that choose dead letters."""
    for option in reversed(
        (
            click.option("--stage", default="", help="Only those that this stage refused."),
            click.option("--reason", default="", help="Only those with this reason."),
            click.option("--since", type=_TIME, default=0, help="Only what failed since then."),
            click.option("--until", type=_TIME, help="Only what failed before then."),
        )
    ):
        command = option(command)
    return command


@cli.command("dead-letters", epilog=_EXIT_CODES)
@_choosing
@click.option("--json", "in_json", is_flag=True, help="One JSON object a group, for programs.")
@with_settings(*_KAFKA, "registry_url")
def dead_letters(
    stage: str, reason: str, since: int, until: int | None, in_json: bool, **values: Any
) -> None:
    """Say what became a dead letter and why, by stage and reason, with an example of each.

    A message that was sent back by `khabar replay` and failed again counts once.
    `khabar tail dead-letters` shows each of them.

    \b
    khabar dead-letters
    khabar dead-letters --since 1d --json
    """
    from pipelines.kafka.dead_letters import Choice, groups, read
    from pipelines.show import group_json, group_text

    letters = read(_settings(values), Choice(stage, reason, since, until))
    for group in groups(letters):
        click.echo(group_json(group) if in_json else group_text(group, _columns()))
    say(f"dead letters: {len(letters)}" + "; `khabar replay` sends them back" * bool(letters))


@cli.command(epilog=_EXIT_CODES)
@_choosing
@click.option(
    "--place",
    "places",
    multiple=True,
    metavar="PARTITION:OFFSET",
    help="Only this one; may be given several times.",
)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option(
    "--max-attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Leave out what was sent back so often before.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--rate", type=float, help="Messages a second; as fast as possible by default.")
@with_settings(*_KAFKA, "registry_url")
def replay(
    stage: str,
    reason: str,
    since: int,
    until: int | None,
    places: tuple[str, ...],
    everything: bool,
    max_attempts: int,
    dry_run: bool,
    rate: float | None,
    **values: Any,
) -> None:
    """Send dead letters back to the raw topic, after what they failed for was put right.

    Each goes as it came, with headers that say where it first stood and how often it was sent. One
    that fails again is a dead letter again, and the next replay takes that one in its place. To
    send one twice is harmless: an article that was taken becomes a duplicate.

    \b
    khabar replay --reason unknown-schema
    khabar replay --stage decode --since 2026-11-01 --dry-run
    khabar replay --place 0:17 --place 0:21
    """
    from pipelines.kafka.dead_letters import Choice, groups, read, replayed
    from pipelines.producers.produce import send
    from pipelines.show import group_text
    from pipelines.signals import stopping_at_signals

    settings = _settings(values)
    if not (everything or stage or reason or since or until or places):
        raise UsageError(
            "Say which dead letters: --stage, --reason, --since, --until, --place, or --all. "
            "`khabar dead-letters` lists them."
        )
    found = read(settings, Choice(stage, reason, since, until, frozenset(places)))
    chosen = [each for each in found if each.kept and each.attempts < max_attempts]
    tried = sum(each.attempts >= max_attempts for each in found)
    lost = len(found) - len(chosen) - tried
    if dry_run:
        for group in groups(chosen):
            click.echo(group_text(group, _columns()))
        say(f"{len(chosen)} would be sent back")
    else:
        ended = threading.Event()
        with stopping_at_signals(ended.set), _progress("sent") as told:
            count = send(
                replayed(chosen, settings.topic("raw")),
                settings,
                rate=rate,
                sent=lambda n: told(f"{n} sent"),
                stopped=ended.is_set,
            )
        say(f"sent {count} of {len(found)} dead letters back to {settings.topic('raw')}")
    if tried:
        say(f"{tried} were sent back {max_attempts} times before, and are left: --max-attempts")
    if lost:
        say(f"{lost} were too large to be kept: their values stand in {settings.topic('raw')} only")


@cli.command(epilog=_EXIT_CODES)
@click.argument("article", metavar="ARTICLE_ID|URL")
@click.option(
    "--reason",
    required=True,
    help="Why, in a sentence without names: readers of the topics see it.",
)
@with_settings(*_KAFKA, "registry_url")
def forget(article: str, reason: str, **values: Any) -> None:
    """Have an article deleted: for a publisher's or a person's request.

    The running pipeline tells readers of news.articles and news.entities to delete it, and holds
    back whatever comes of this article until the window is over. What our own topics hold of it
    goes by their retention: docs/operations.md says what is deleted when, and what is not.

    \b
    khabar forget 3f0c2a9be1d4477f9f0a1b2c3d4e5f60 --reason "asked for by the publisher"
    khabar forget https://outlet.example/news/7 --reason "a court's order"
    """
    from pipelines.explain import identity
    from pipelines.forget import forget as ask
    from pipelines.kafka.find import Finder

    settings, wanted = _settings(values), identity(article)
    with _progress("read") as told, Finder(settings, lambda n: told(f"{n} read")) as finder:
        asked = ask(finder, settings, wanted, reason)
    what = f"{asked.published} published records and {asked.entities} entities"
    say(
        f"asked for the removal of article {asked.article_id}: {what} stand on our topics. It is "
        "done when `khabar run` has read the request; `khabar explain` shows it then."
    )
    if not asked.published:
        say("Nothing of it was published, as far as the topics go: what comes of it is held back.")


@cli.command(epilog=_EXIT_CODES)
@click.argument("article", metavar="ARTICLE_ID|URL")
@click.option("--json", "in_json", is_flag=True, help="One JSON object, for programs.")
@with_settings(*_KAFKA, "registry_url")
def explain(article: str, in_json: bool, **values: Any) -> None:
    """Say what was decided of an article, by which rule, and show what it was held against.

    What only one of the two texts says is coloured on a terminal, else marked [+so+] and [-so-].
    Reads the articles and duplicates topics from their ends backwards until it is found; the text
    of a held-back article comes from the raw topic, as long as that keeps it.

    \b
    khabar explain 3f0c2a9be1d4477f9f0a1b2c3d4e5f60
    khabar explain https://outlet.example/news/7
    khabar explain https://outlet.example/news/7 --json
    """
    from pipelines.explain import explain as find
    from pipelines.explain import identity
    from pipelines.kafka.find import Finder
    from pipelines.report import as_json, explanation_object, explanation_text

    settings, wanted = _settings(values), identity(article)
    with _progress("read") as told, Finder(settings, lambda n: told(f"{n} read")) as finder:
        found = find(finder, wanted)
    if in_json:
        click.echo(as_json(explanation_object(found, finder.read)))
    else:
        click.echo(explanation_text(found, finder.read, _columns(), _in_colour()))


@cli.command(epilog=_EXIT_CODES)
@click.argument("story", metavar="STORY_ID|ARTICLE_ID|URL")
@click.option("--all", "everything", is_flag=True, help="Show each article that was held back.")
@click.option("--json", "in_json", is_flag=True, help="One JSON object, with all of them.")
@with_settings(*_KAFKA, "registry_url")
def story(story: str, everything: bool, in_json: bool, **values: Any) -> None:
    """Show a story's life in the order of decisions: who said what when, and what was new in it.

    A story may be named by any of its articles.

    \b
    khabar story 3f0c2a9be1d4477f9f0a1b2c3d4e5f60
    khabar story https://outlet.example/news/7 --all
    """
    from pipelines.explain import identity
    from pipelines.explain import story as find
    from pipelines.kafka.find import Finder
    from pipelines.report import as_json, story_object, story_text

    settings, wanted = _settings(values), identity(story)
    with _progress("read") as told, Finder(settings, lambda n: told(f"{n} read")) as finder:
        found = find(finder, wanted)
    if in_json:
        click.echo(as_json(story_object(found, finder.read)))
    else:
        click.echo(story_text(found, finder.read, _columns(), _in_colour(), everything))


def _in_colour() -> bool:
    """Whether what is printed goes to a terminal that is to show colours (see no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@cli.group(epilog=_EXIT_CODES)
def index() -> None:
    """The writer's state.

    \b
    khabar index rebuild
    """


@index.command("rebuild", epilog=_EXIT_CODES)
@with_settings(*(name for name in _ALL if name not in _OF_RUN_ALONE))
def index_rebuild(**values: Any) -> None:
    """Make the index topic anew from the raw topic, keeping decisions already published.

    Needed after an upgrade that changed the fingerprints. Fences a running pipeline of the group.

    \b
    khabar index rebuild
    """
    from pipelines.kafka.rebuild import rebuild
    from pipelines.outlets import outlet_zones
    from pipelines.run import Lookup, ready

    settings = _settings(values)
    zones = outlet_zones(settings)
    ids = ready(settings, say, threading.Event())
    with _progress("rebuilt") as told:
        counts = rebuild(
            settings,
            ids,
            Lookup(settings.registry_url),
            outlet_zones=zones,
            progress=lambda n: told(f"{n} rebuilt"),
        )
    say(_counts(counts))
    if counts["lost"]:
        say(
            "Of the lost ones the raw topic no longer holds the text: later copies are new stories."
        )


@cli.command(epilog=_EXIT_CODES)
@with_settings(*_KAFKA, "registry_url", "group", "window_days", "max_stories")
def doctor(**values: Any) -> None:
    """Say what is missing or misconfigured, and what to type. Exit code 2 when something is.

    \b
    khabar doctor
    khabar doctor --bootstrap-servers kafka-1:9092
    """
    from pipelines.doctor import examine

    bad = 0
    for finding in examine(_settings(values)):
        mark = click.style("ok", fg="green") if finding.fine else click.style("no", fg="red")
        click.echo(f"{mark}  {finding.what}")
        if not finding.fine:
            bad += 1
            click.echo(click.wrap_text(finding.advice, min(_columns(), 100), "    ", "    "))
    if bad:
        raise UsageError(f"{bad} of these need a hand.")


def _settings(values: dict[str, Any]) -> Settings:
    try:
        return Settings.of(values)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


class _progress:  # noqa: N801 - used as a verb: `with _progress(...)`
    """A moving line on a terminal; a plain line every thousand calls elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rich = (
            Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            if sys.stderr.isatty()
            else None
        )
        self._calls = 0

    def __enter__(self) -> Callable[[str], None]:
        if self._rich is None:
            return self._plain
        self._rich.start()
        task = self._rich.add_task(self._what)
        moving = self._rich
        return lambda text: moving.update(task, description=text)

    def _plain(self, text: str) -> None:
        self._calls += 1
        if self._calls % 1000 == 0:
            say(text)

    def __exit__(self, *error: object) -> None:
        if self._rich is not None:
            self._rich.stop()


if __name__ == "__main__":
    main()
