"""`khabar demo`: everything on this machine for half a minute. A real Kafka and registry, the
pipeline, articles at a pace that one can follow, and what becomes of each as other programs see it.
"""

from __future__ import annotations

import heapq
import shutil
import statistics
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.local import LocalError, Services, fetch
from pipelines.outlets import outlet_zones
from pipelines.producers import files, samples
from pipelines.settings import Settings
from pipelines.show import APART, WIDTH, excerpt, facts, names, why
from pipelines.terminal import fitted, isolated, label, width

# Seconds without anything coming out, all being sent, after which something must be wrong.
_PATIENCE_S = 30.0
# Seconds between two lines of counts where there is no terminal.
_LINE_S = 5.0
# Columns of the first column, which says what became of an article.
_LABEL = 13
# Columns of an outlet's name, in the stream and in the summary.
_OUTLET, _NAME = 20, 30
_LABELS = {
    "new": ("story", "bold green"),
    "part_of": ("story", "bold green"),
    "duplicate": ("held back", "yellow"),
}
# The widest line: longer ones are hard to follow.
_WIDEST = 140
# Stories in the summary: it fits on one screen.
_STORIES = 6

Messages = Iterator[tuple[bytes | None, bytes | None]]


def demo(paths: tuple[str, ...], rate: float, values: Mapping[str, Any]) -> None:
    """Plays the samples, or the user's own files, at `rate` messages a second, with `values` of
    settings; ends by itself.

    Nothing is left running or on disk. Raises UsageError for files that cannot be read and when
    the services do not start.
    """
    began = time.monotonic()
    messages = _messages(paths)
    outlet_zones(Settings.of(values))  # before anything is started: it may not be readable
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def report(line: str) -> None:
        console.print(line, style="dim")

    try:
        fetch(report)
        # Beam takes seconds to import: it does so while Java starts, and while nothing else is
        # imported, for two threads that import at once may wait for each other.
        importing = threading.Thread(target=_import_pipeline, daemon=True)
        importing.start()
        with Services(report=report) as services:
            importing.join()
            settings = Settings.of({**values, **vars(services.addresses)})
            _set_up(settings)
            report(f"playing {'your' if paths else 'the sample'} articles, {rate:g} a second\n")
            play = _Play(services, settings, console, began)
            with play.screen():
                play.run(messages, rate)
            play.summary()
    except LocalError as error:
        raise UsageError(str(error)) from None


def _messages(paths: tuple[str, ...]) -> Messages:
    if not paths:
        return ((sample.message_key, sample.value) for sample in samples.read())
    found = files.find(paths)
    return ((message.key, message.value) for message in files.read(found))


def _import_pipeline() -> None:
    import pipelines.run  # noqa: F401 - it is kept for whoever imports it next


def _set_up(settings: Settings) -> None:
    """Topics and schemas, both at once."""
    from pipelines.kafka import topics
    from pipelines.run import register

    with ThreadPoolExecutor(2) as pool:
        for made in (pool.submit(topics.create, settings), pool.submit(register, settings)):
            made.result()


class _Task(threading.Thread):
    """A thread that keeps what it raised, and does not hold up the process's end."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.failure: BaseException | None = None
        self.done = False

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failure = error
        self.done = True


@dataclass
class _Story:
    """A story as it forms: `outlets` holds one for each of its articles."""

    number: int
    title: str
    outlets: list[str] = field(default_factory=list)


class _Play:
    """One showing: sends, runs the pipeline, reads its topics and tells what comes."""

    def __init__(
        self, services: Services, settings: Settings, console: Console, began: float
    ) -> None:
        self._services = services
        self._settings = settings
        self._console = console
        self._live = console.is_terminal and not console.is_dumb_terminal
        self._width = min(console.width - 1, _WIDEST) if console.is_terminal else WIDTH
        self._program_began = began
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._sent_at: list[float] = []
        self._latencies: list[float] = []
        self._first_shown: float | None = None
        self._seen: Counter[str] = Counter()
        self._heard = 0.0
        self._told = 0.0
        self._stories: dict[str, _Story] = {}
        self._entities: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._waiting: list[tuple[int, int, dict[str, Any]]] = []
        self._next = 1

    def screen(self) -> AbstractContextManager[Any]:
        """The moving last line, on a terminal."""
        if not self._live:
            return nullcontext()
        return Live(
            console=self._console,
            get_renderable=lambda: Text(self._counts(), style="bold reverse"),
            refresh_per_second=5,
            transient=True,
        )

    def run(self, messages: Messages, rate: float) -> None:
        """Returns when all that was sent has come out; raises what went wrong in any part."""
        from pipelines.kafka.tail import tail
        from pipelines.kafka.transaction import Job
        from pipelines.producers.produce import produce
        from pipelines.run import run

        jobs: list[Job] = []
        feed = _Task(
            lambda: produce(
                messages,
                self._settings,
                rate=rate,
                sent=lambda count: self._sent_at.append(time.monotonic()),
                stopped=self._ended.is_set,
            )
        )

        def started(job: Job) -> None:
            jobs.append(job)
            self._began = time.monotonic()
            feed.start()
            if self._ended.is_set():
                job.stop()

        pipeline = _Task(lambda: run(self._settings, say=lambda line: None, started=started))
        pipeline.start()
        outputs = (schemas.ARTICLES, schemas.DUPLICATES, schemas.DEAD_LETTERS)
        try:
            for message in tail(
                self._settings,
                [self._settings.topic(kind) for kind in outputs],
                stopped=lambda: self._over(pipeline, feed),
            ):
                self._take(message)
            self._release(everything=True)
        finally:
            self._ended.set()
            for job in jobs:
                job.stop()
            pipeline.join(5.0)

    def _over(self, pipeline: _Task, feed: _Task) -> bool:
        """Whether all has come out. Raises what ended one of the parts."""
        self._services.check()
        for task in (pipeline, feed):
            if task.failure is not None:
                raise task.failure
        now = time.monotonic()
        if not self._live and now - self._told >= _LINE_S and self._sent_at:
            self._told = now
            self._console.print(self._counts())
        if not feed.done:
            self._heard = now
            return False
        if pipeline.done:
            raise RuntimeError("the pipeline ended before the articles did")
        if now - self._heard > _PATIENCE_S:
            raise RuntimeError(f"nothing came out for {_PATIENCE_S:.0f} s: {self._counts()}")
        return self._out == len(self._sent_at)

    @property
    def _out(self) -> int:
        """Messages that have come out: each does so in exactly one of the three topics."""
        return sum(self._seen.values())

    def _take(self, message: Any) -> None:
        """Counts a message of an output topic, and shows it in its turn."""
        self._heard = time.monotonic()
        kind = message.topic.rpartition(".")[2]
        self._seen[kind] += 1
        if kind == schemas.DEAD_LETTERS:
            said = facts(message)
            offset = int(said["offset"])
            self._dead_letter(said, message.value)
        else:
            record = message.record
            assert record is not None, "the pipeline writes framed Avro"
            offset = record["origin"]["offset"]
            # The topics come to us in turns; the writer's sequence says what was first.
            heapq.heappush(self._waiting, (record["sequence"], offset, record))
            self._release()
        self._latencies.append(self._heard - self._sent_at[offset])

    def _release(self, *, everything: bool = False) -> None:
        while self._waiting and (everything or self._waiting[0][0] == self._next):
            sequence, _, record = heapq.heappop(self._waiting)
            self._next = sequence + 1
            self._article(record)
            if self._first_shown is None:
                self._first_shown = time.monotonic()

    # --- what is shown ---------------------------------------------------------------------

    def _article(self, record: dict[str, Any]) -> None:
        story = self._stories.get(record["story_id"])
        if story is None:
            title = record["title"] or record.get("standfirst") or record.get("body") or "–"
            story = self._stories[record["story_id"]] = _Story(len(self._stories) + 1, title)
        verdict = record["verdict"]
        opened = verdict in ("new", "part_of")
        story.outlets.append(record["source"])
        self._entities.update(entity["name"] for entity in record.get("entities", ()))
        became, style = _LABELS.get(verdict, (verdict, "bold cyan"))
        inside = self._width - _LABEL
        self._line(
            f"story {story.number}" if opened else became,
            style,
            isolated(record["title"] or story.title, inside),
        )
        outlet = f"{isolated(record['source'] or '–', _OUTLET)} · "
        if opened:
            language = "" if record["language"] == "ar" else f"{label(record['language'])} · "
            room = inside - width(outlet + language)
            self._under((outlet + language + names(record["entities"], room)).removesuffix(" · "))
        else:
            self._under(f"{outlet}story {story.number}: {why(record)}")
        for other in record.get("related", ()):
            known = self._stories.get(other["article_id"])
            if known and other["relation"] in APART:
                relation = other["relation"].replace("_", " ")
                self._under(f"{relation} story {known.number}, which stays its own")

    def _dead_letter(self, said: dict[str, str], value: bytes | None) -> None:
        self._reasons[said["reason"]] += 1
        inside = self._width - _LABEL
        text = isolated(f"{said['reason']}: {said['detail']}", inside)
        self._line("dead letter", "bold red", text)
        if value:
            self._under(excerpt(value, inside))

    def _line(self, became: str, style: str, text: str) -> None:
        line = Text(f"{became:<{_LABEL}}", style=style)
        self._console.print(line.append(text, style="default not bold"))

    def _under(self, text: str) -> None:
        self._console.print(Text(fitted(" " * _LABEL + text, self._width), style="dim"))

    def _counts(self) -> str:
        sent, seconds = len(self._sent_at), time.monotonic() - self._began
        rate = sent / seconds if sent else 0.0
        return (
            f" in {sent} · articles {self._seen[schemas.ARTICLES]} · held back "
            f"{self._seen[schemas.DUPLICATES]} · dead letters {self._seen[schemas.DEAD_LETTERS]} · "
            f"{rate:.1f}/s · lag {sent - self._out} · {seconds:.0f} s "
        )

    def summary(self) -> None:
        """What came of it all, on one screen, and what to type next."""
        told = [story for story in self._stories.values() if len(story.outlets) > 1]
        if told:
            self._heading(f"{len(self._stories)} stories, {len(told)} told more than once:")
            told.sort(key=lambda story: (-len(story.outlets), story.number))
            for story in told[:_STORIES]:
                told_by = f"{len(story.outlets):>3} × story {story.number}: "
                self._item(told_by + isolated(story.title, self._width - len(told_by) - 2))
                self._item(" " * 6 + _listed(Counter(story.outlets), self._width - 8))
            if len(told) > _STORIES:
                self._item(f"    and {len(told) - _STORIES} more")
        if self._entities:
            self._heading("Named in most articles:")
            self._item(_listed(self._entities, self._width - 2))
        if self._reasons:
            self._heading("Dead letters, each kept whole with its reason:")
            reasons = ", ".join(f"{name} ×{count}" for name, count in self._reasons.most_common())
            for line in textwrap.wrap(reasons, self._width - 2):
                self._item(line)
        self._heading(self._counts().strip())
        if self._latencies:
            ninth = sorted(self._latencies)[int(len(self._latencies) * 0.9)]
            self._item(
                "from sending to reading the result: half within "
                f"{statistics.median(self._latencies) * 1000:.0f} ms, 90 % within "
                f"{ninth * 1000:.0f} ms"
            )
        if self._first_shown is not None:
            self._item(f"first article shown after {self._first_shown - self._program_began:.1f} s")
        self._heading("Next:")
        khabar = _command()
        for arguments, does in (
            ("demo YOUR-FILES", "watch articles of yours"),
            ("process YOUR-FILES --out result", "the same without Kafka"),
            ("up", "Kafka and the registry to work with"),
        ):
            self._item(f"{khabar} {arguments:<32} {does}")

    def _heading(self, text: str) -> None:
        self._console.print(Text(f"\n{text}", style="bold"))

    def _item(self, text: str) -> None:
        self._console.print(Text(f"  {text}"))


def _listed(counts: Counter[str], cells: int) -> str:
    """The most frequent of `counts`, each with its number above one, that fit in `cells`."""
    line = ""
    for name, count in counts.most_common():
        each = f"{isolated(name or '–', _NAME)}{f' ×{count}' * (count > 1)}"
        longer = f"{line}, {each}" if line else each
        if width(longer) > cells:
            break
        line = longer
    return line


def _command() -> str:
    """How the user's shell finds `khabar`: by name, else beside this Python (`make demo`)."""
    beside = Path(sys.executable).with_name("khabar")
    if shutil.which("khabar") or not beside.exists():
        return "khabar"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
