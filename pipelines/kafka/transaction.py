"""One job's life with Kafka: what is read, what is written, and the one commit that binds both.

Exactly once: every bundle is one Kafka transaction that holds the outputs, the index records and
the offsets of what was read. A process that dies at any point leaves either all of a bundle or
none of it for `read_committed` readers, and the next start resumes where the last commit stood.

A `Job` is held once a process (`job`): a runner makes several instances of a DoFn, and producer,
consumer and index must not have two lives. Its methods are called from one thread, the bundle's.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    IllegalStateError,
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFencedError,
    RetriableError,
)
from kafka.structs import OffsetAndMetadata

from pipelines import schemas
from pipelines.errors import Outage, Stopped, Superseded, UsageError
from pipelines.kafka import clients
from pipelines.kafka.clients import ANSWER_MS, ANSWER_S, METADATA_MS
from pipelines.kafka.index_log import IndexLog
from pipelines.records import Message, Origin, RawMessage
from pipelines.settings import Settings
from pipelines.stages.decide import Index
from pipelines.transforms import Batch, Fact, batches, use_index

Warn = Callable[[str], None]

# Seconds between two looks at the end of the topics: lag, new partitions, and whether Kafka lives.
WATCH_S = 2.0
# Milliseconds of one poll: how soon an idle job sees that it is to stop.
_POLL_MS = 100
# Milliseconds that an idle bundle waits for a first article. Shorter costs idle CPU.
_IDLE_MS = 500
_MAX_BUNDLE_RECORDS = 5_000
_MAX_BUNDLE_BYTES = 32 * 1024 * 1024
_FENCED = (ProducerFencedError, InvalidProducerEpochError)
# Milliseconds after which Kafka aborts a transaction that was left open: far beyond any bundle. A
# whole index is written in one, so a rebuild takes the most that brokers allow by default.
_TRANSACTION_MS, _LONGEST_TRANSACTION_MS = 60_000, 900_000
# Seconds within which a writer that fenced us has said so in the index.
_SUCCESSOR_S = 10.0
# Seconds that a commit may take, for the metrics: each number counts those of up to so many.
COMMIT_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Totals:
    """What this job has committed since its start. Each commit makes a new one, so whoever looks
    from another thread sees all of a commit or nothing.

    `at` is the time of the last commit in seconds since 1970; `took` counts commits by
    COMMIT_BOUNDS, those that took longer at its end.
    """

    read: int = 0
    written: Counter[str] = field(default_factory=Counter)
    facts: Counter[Fact] = field(default_factory=Counter)
    at: float = 0.0
    seconds: float = 0.0
    took: tuple[int, ...] = (0,) * (len(COMMIT_BOUNDS) + 1)

    def after(
        self, read: int, written: Counter[str], facts: Counter[Fact], seconds: float
    ) -> Totals:
        """These and one commit more."""
        bound = bisect_left(COMMIT_BOUNDS, seconds)
        return Totals(
            self.read + read,
            self.written + written,
            self.facts + facts,
            time.time(),
            self.seconds + seconds,
            (*self.took[:bound], self.took[bound] + 1, *self.took[bound + 1 :]),
        )


class Job:
    """Source, sink and state of one run; `schema_ids` are the registry's, by kind of topic.

    `warn` takes lines for the operator, `stop` is set by whoever wants the end. `open` comes
    before anything else.
    """

    def __init__(
        self,
        settings: Settings,
        schema_ids: Mapping[str, int],
        *,
        until_caught_up: bool = False,
        warn: Warn = print,
        stop: threading.Event | None = None,
    ) -> None:
        self.settings = settings
        self.generation = 0
        self.failure: Exception | None = None
        self.read = 0
        self.totals = Totals()
        self.turned = 0.0  # when the bundle loop last came round, by the monotonic clock
        self._log = IndexLog(settings, schema_ids)
        self._warn = warn
        self._producer: Any = None
        self._consumer: Any = None
        self._ends: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._until_caught_up = until_caught_up
        self._transactional = settings.delivery == "exactly-once"
        self._stop = stop or threading.Event()
        self._caught_up = False
        self._positions: dict[TopicPartition, int] = {}
        self._targets: dict[TopicPartition, int] = {}
        self._polled: deque[Any] = deque()
        self._bundle_began = 0.0
        self._bundle_records = 0
        self._bundle_bytes = 0
        self._in_transaction = False
        self._waiting: list[Message] = []
        self._sent: list[Any] = []
        self._bundle_written: Counter[str] = Counter()
        self._bundle_facts: Counter[Fact] = Counter()
        self._watched = 0.0
        self._answered = time.monotonic()
        self._asked = 0.0  # since when an answer is waited for; 0 when none is

    # --- start and end ---------------------------------------------------------------------

    @property
    def index(self) -> Index:
        """The state: what the index topic says, and what this job has decided since."""
        return self._log.index

    def open(self) -> None:
        """Takes over the group: restores the index, fences an older writer, finds the offsets.

        Raises Outage when Kafka does not answer, UsageError when its state cannot be used, Stopped
        when the end was asked for meanwhile.
        """
        with self._guard():
            # Before anything is fenced: who cannot use the state must leave the running writer be.
            self._log.catch_up(self._stop.is_set)
            self._log.require_usable()
            self._take_over(_TRANSACTION_MS)
            # What the older writer committed until it was fenced.
            self._log.catch_up(self._stop.is_set)
            self.generation = self._log.generation + 1
            self._begin_generation()
            self._consumer = clients.consumer(
                self.settings,
                group_id=self.settings.group,
                fetch_max_wait_ms=_POLL_MS,
                metadata_max_age_ms=METADATA_MS,
            )
            self._assign()
            if self._until_caught_up:
                self._targets = self._end_offsets(ANSWER_MS)
        self.totals = Totals(at=time.time())  # the generation's entry was a commit
        use_index(self.settings.group, self.index)

    def open_writer(self, generation: int) -> None:
        """Instead of `open`, for a writer that others read for: its generation was begun by whoever
        submitted the job, and a restart goes on with it.

        Raises Superseded when there is a later generation, and as `open` does.
        """
        with self._guard():
            self._log.catch_up(self._stop.is_set)
            self._log.require_usable()
            # Before anything is fenced: whoever was replaced must leave the new writer be.
            self._raise_if_later(generation)
            self._take_over(_TRANSACTION_MS)
            self._log.catch_up(self._stop.is_set)
            self._raise_if_later(generation)
            self.generation = generation
            self._consumer = clients.consumer(self.settings, group_id=self.settings.group)
            self._assign()
        use_index(self.settings.group, self.index)

    def _raise_if_later(self, generation: int) -> None:
        if self._log.generation > generation:
            raise Superseded

    @property
    def starts(self) -> dict[int, int]:
        """Where reading goes on in each partition: behind the last commit."""
        return {tp.partition: offset for tp, offset in self._committed.items()}

    @property
    def ends(self) -> dict[int, int]:
        """With `until_caught_up`, where each partition ended when the job was opened."""
        return {tp.partition: offset for tp, offset in self._targets.items()}

    def is_clean(self, generation: int) -> bool:
        """Whether this is the job of the generation and has committed all that it decided."""
        return self.generation == generation and self.failure is None and not self._positions

    def take(self, batch: Batch) -> Batch:
        """Of envelopes that others have read those that were not committed; they are claimed."""
        taken = Batch()
        for envelope in batch:
            origin = envelope.raw.origin
            place = TopicPartition(origin.topic, origin.partition)
            if origin.offset >= self._positions.get(place, self._committed.get(place, 0)):
                self._positions[place] = origin.offset + 1
                self.read += 1
                taken.append(envelope)
        return taken

    def replace_index(
        self,
        entries: Callable[[], Iterable[tuple[bytes, dict[str, Any]]]],
        last_sequence: Callable[[], int],
    ) -> None:
        """Instead of `open`: fences the group's writer, then writes a new state in one transaction.

        `entries` gives keys and records. It is called when no other writer can change what it
        reads, `last_sequence` after it. Raises as `open` does; not UsageError for the state, which
        is what it replaces.
        """
        with self._guard():
            self._take_over(_LONGEST_TRANSACTION_MS)
            self._log.catch_up()
            self.generation = self._log.generation + 1
            made = entries()
            self._producer.begin_transaction()
            self._send(self._log.mark("reset", self.generation))
            for key, record in made:
                self._send(self._log.message(record | {"generation": self.generation}, key))
                if len(self._sent) >= _MAX_BUNDLE_RECORDS:
                    self._producer.flush(timeout=ANSWER_S)
                    self._acknowledged()
            self._send(self._log.mark("start", self.generation, last_sequence()))
            self._producer.flush(timeout=ANSWER_S)
            self._acknowledged()
            _within(ANSWER_S, self._producer.commit_transaction)

    def _take_over(self, transaction_ms: int) -> None:
        transactional: dict[str, Any] = {}
        if self._transactional:
            transactional = {
                "transactional_id": f"khabar-{self.settings.group}",
                "transaction_timeout_ms": transaction_ms,
            }
        self._producer = clients.producer(
            self.settings,
            max_block_ms=ANSWER_MS,
            delivery_timeout_ms=ANSWER_MS,
            request_timeout_ms=ANSWER_MS // 2,
            # The commit flushes: to send earlier only splits the batches. A batch stays below
            # what any topic takes by default, 1 MiB.
            linger_ms=self.settings.bundle_max_ms,
            batch_size=1_000_000,
            **transactional,
        )
        if self._transactional:
            # Before the offsets are read: it settles what a dead run left open.
            _within(3 * ANSWER_S, self._producer.init_transactions, self._stop)

    def close(self) -> None:
        """Lets go of Kafka within a few seconds; what is not committed stays so."""
        # Whatever goes wrong here must not hide what went wrong before.
        with suppress(Exception):
            if self._consumer is not None:
                _within(2.0, lambda: self._consumer.close(autocommit=False, timeout_ms=1000))
        with suppress(Exception):
            if self._producer is not None:
                _within(2.0, lambda: self._producer.close(timeout=1.0))

    def stop(self) -> None:
        """Asks for the end: the bundle under way is finished and committed. Any thread may ask."""
        self._stop.set()

    @property
    def written(self) -> Counter[str]:
        """Messages committed since the start, by topic."""
        return self.totals.written

    @property
    def lag(self) -> int:
        """Offsets between the last commit and the ends of the topics, as last seen."""
        return sum(self.lags.values())

    @property
    def lags(self) -> dict[int, int]:
        """The same by partition."""
        ends, done = self._ends, self._committed
        return {tp.partition: max(0, end - done.get(tp, 0)) for tp, end in ends.items()}

    @property
    def silent_s(self) -> float:
        """For how many seconds Kafka has owed an answer."""
        asked = self._asked
        return time.monotonic() - asked if asked else 0.0

    @property
    def finished(self) -> bool:
        """Whether the source has ended: told to stop, or caught up."""
        return self._stop.is_set() or self._caught_up

    # --- the source's side -----------------------------------------------------------------

    def next_batch(self) -> Batch | None:
        """The next messages, those that are here at once; None when the bundle is to end: it is
        full, or nothing has come.
        """
        if self._stop.is_set():
            return None
        now = self.turned = time.monotonic()
        if self._bundle_records and self._bundle_is_full(now):
            return None
        if not self._polled and not self._wait(now):
            return None
        return next(batches(self._claimed(now)))

    def _claimed(self, now: float) -> Iterator[RawMessage]:
        """What was polled, each claimed as it is taken; one at least, and no more than the bundle
        may have.
        """
        while self._polled:
            record = self._polled.popleft()
            self._claim(record)
            yield RawMessage(
                Origin(record.topic, record.partition, record.offset, record.timestamp),
                record.key,
                record.value,
                tuple(record.headers or ()),
            )
            if self._bundle_is_full(now):
                return

    def _bundle_is_full(self, now: float) -> bool:
        return (
            self._bundle_records >= _MAX_BUNDLE_RECORDS
            or self._bundle_bytes >= _MAX_BUNDLE_BYTES
            or (now - self._bundle_began) * 1000 >= self.settings.bundle_max_ms
        )

    def _wait(self, now: float) -> bool:
        """Polls until messages come, or until the bundle (or an idle wait) is over."""
        if self._bundle_records:
            deadline = self._bundle_began + self.settings.bundle_linger_ms / 1000
        else:
            deadline = now + _IDLE_MS / 1000
        with self._guard():
            while True:
                self._watch()
                left_ms = (deadline - time.monotonic()) * 1000
                for batch in self._consumer.poll(max(0, min(_POLL_MS, left_ms))).values():
                    self._polled.extend(batch)
                if self._polled:
                    return True
                # Positions, not records: transaction markers take offsets too.
                self._caught_up = self._until_caught_up and all(
                    self._position(tp) >= end for tp, end in self._targets.items()
                )
                if self.finished or time.monotonic() >= deadline:
                    return False

    def _claim(self, record: Any) -> None:
        if not self._bundle_records:
            self._bundle_began = time.monotonic()
        self._bundle_records += 1
        self._bundle_bytes += len(record.value or b"") + len(record.key or b"")
        self._positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        self.read += 1

    # --- the sink's side -------------------------------------------------------------------

    def write(self, message: Message) -> None:
        """Hands the message to the bundle's commit."""
        self._bundle_written[message.topic] += 1
        if not self._transactional:
            self._waiting.append(message)
            return
        with self._guard():
            if not self._in_transaction:
                self._producer.begin_transaction()
                self._in_transaction = True
            self._send(message)

    def note(self, facts: Mapping[Fact, int]) -> None:
        """Takes down what was decided of messages whose outputs the bundle writes."""
        self._bundle_facts.update(facts)

    def commit(self) -> None:
        """Commits what the bundle wrote and read, all of it or nothing.

        Raises Superseded when another instance has taken over, Outage when Kafka does not answer;
        after either the process must end: the index then holds what no one committed.
        """
        if not self._positions:
            return
        began = time.monotonic()
        self._asked = self._asked or began
        with self._guard():
            if self._transactional:
                self._commit_transaction()
            else:
                self._commit_at_least_once()
        self._answered, self._asked = time.monotonic(), 0.0
        self._committed.update(self._positions)
        self._positions.clear()
        self.totals = self.totals.after(
            self._bundle_records,
            self._bundle_written,
            self._bundle_facts,
            self._answered - began,
        )
        self._bundle_records = self._bundle_bytes = 0
        self._bundle_written.clear()
        self._bundle_facts.clear()

    def _commit_transaction(self) -> None:
        if not self._in_transaction:  # everything that was read left no message
            self._producer.begin_transaction()
        offsets = self._offsets()

        def commit() -> None:
            # kafka-python 3.0.12 commits a transaction although a batch of it ran out of time: it
            # fails the batch's futures alone. So every one is looked at before the commit.
            self._producer.flush(timeout=ANSWER_S)
            self._acknowledged()
            self._producer.send_offsets_to_transaction(offsets, self.settings.group)
            self._producer.commit_transaction()

        _within(2 * ANSWER_S, commit)
        self._in_transaction = False

    def _commit_at_least_once(self) -> None:
        # Index records first: an article that comes again after a crash then meets the decision
        # that its outputs rest on. The other way round it would open its story twice.
        index = self.settings.topic(schemas.INDEX)
        for of_index in (True, False):
            for message in self._waiting:
                if (message.topic == index) is of_index:
                    self._send(message)
            self._producer.flush(timeout=ANSWER_S)
            written = self._acknowledged()
            if of_index:
                self._look_for_successor(written)
        self._waiting.clear()
        self._consumer.commit(self._offsets(), timeout_ms=ANSWER_MS)

    def _send(self, message: Message) -> None:
        self._sent.append(
            self._producer.send(
                message.topic, message.value, message.key, headers=list(message.headers)
            )
        )

    def _acknowledged(self) -> list[int]:
        """The offsets that Kafka gave to what was sent; raises what it answered instead."""
        sent, self._sent = self._sent, []
        return [future.get(timeout=ANSWER_S).offset for future in sent]

    def _offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        return {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in self._positions.items()}

    # --- who writes ------------------------------------------------------------------------

    def _begin_generation(self) -> None:
        """Writes this start's generation to the index topic: older writers see it and end."""
        if self._transactional:
            self._producer.begin_transaction()
        mark = self._log.mark("start", self.generation, self.index.last_sequence)
        self._send(mark)
        # Flushed before the commit, here as in every bundle: a commit that finds unsent messages
        # leaves kafka-python 3.0.12 flushing for good, a request for each message from then on.
        self._producer.flush(timeout=ANSWER_S)
        self._log.end = self._acknowledged()[0] + 1
        if self._transactional:
            _within(ANSWER_S, self._producer.commit_transaction)

    def _look_for_successor(self, written: list[int]) -> None:
        """Without transactions nothing fences: where entries stand between and behind our own,
        `written`, there may be somebody's start. Raises Superseded.
        """
        if not written:
            index = TopicPartition(self.settings.topic(schemas.INDEX), 0)
            end = self._consumer.end_offsets([index], timeout_ms=ANSWER_MS)[index]
            if end == self._log.end:
                return
        if written != list(range(self._log.end, self._log.end + len(written))) or not written:
            self._raise_if_superseded()
        else:
            self._log.end = written[-1] + 1

    def _raise_if_superseded(self) -> None:
        for entry in self._log.entries(self._log.end):
            if entry["generation"] > self.generation:
                raise Superseded

    def _why_fenced(self) -> Exception:
        """A newer writer says so in the index; a transaction that took too long does not."""
        deadline = time.monotonic() + _SUCCESSOR_S
        with suppress(KafkaError):
            while time.monotonic() < deadline:
                try:
                    self._raise_if_superseded()
                except Superseded:
                    return self._superseded()
                time.sleep(0.2)
        return Outage(
            f"Kafka gave up a transaction of group {self.settings.group}: this process stood still "
            f"for more than {_TRANSACTION_MS // 1000} s. Nothing is lost: the next start goes on "
            "at the last commit."
        )

    # --- where reading stands --------------------------------------------------------------

    def _assign(self) -> None:
        """Reads all partitions on from the committed offsets, new ones from their beginning."""
        topic = self.settings.topic(schemas.RAW)
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise KafkaTimeoutError(f"no partitions of {topic} are known")
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        known = {tp: self._position(tp) for tp in self._consumer.assignment()}
        self._consumer.assign(partitions)
        first = self._consumer.beginning_offsets(partitions, timeout_ms=ANSWER_MS)
        ends = self._consumer.end_offsets(partitions, timeout_ms=ANSWER_MS)
        for tp in partitions:
            committed = self._consumer.committed(tp, timeout_ms=ANSWER_MS)
            position = known.get(tp, committed or 0)
            if position > ends[tp]:
                raise UsageError(
                    f"{topic} partition {tp.partition} ends at offset {ends[tp]}, and group "
                    f"{self.settings.group} has read up to {position}: the topic is not the one "
                    "that it was. Set the group's offsets with Kafka's own kafka-consumer-groups "
                    "tool, or give another --topic-prefix."
                )
            if position < first[tp] and committed is not None:
                self._warn(
                    f"{topic} partition {tp.partition}: {first[tp] - position} offsets had expired "
                    "before they were read; its retention is too short for this outage."
                )
            start = max(position, first[tp])
            self._consumer.seek(tp, start)
            self._committed.setdefault(tp, start)

    def _position(self, partition: TopicPartition) -> int:
        position: int | None = self._consumer.position(partition, timeout_ms=1000)
        return -1 if position is None else position

    def _end_offsets(self, timeout_ms: int) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(
            list(self._consumer.assignment()), timeout_ms=timeout_ms
        )
        return ends

    def _watch(self) -> None:
        """Every WATCH_S: how far behind, whether there are new partitions, whether Kafka lives."""
        now = time.monotonic()
        if now - self._watched < WATCH_S:
            return
        self._watched = now
        self._asked = self._asked or now
        try:
            ends = self._end_offsets(1000)
            if not self._transactional:
                self._look_for_successor([])
        except RetriableError:
            if now - self._answered > ANSWER_S:
                raise
            return
        self._answered, self._asked = now, 0.0
        self._ends = ends
        if len(self._consumer.partitions_for_topic(self.settings.topic(schemas.RAW))) > len(ends):
            self._assign()

    def _superseded(self) -> Superseded:
        return Superseded(
            f"Another instance of group {self.settings.group} has taken over; this one ends."
        )

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turns what Kafka's client raises into what the operator can act on, and keeps it."""
        try:
            yield
        except Superseded:
            self.failure = self._superseded()
        except KafkaError as error:
            if _is_fenced(error):
                self.failure = self._why_fenced()
            elif isinstance(error, IllegalStateError):
                raise  # not Kafka's fault
            else:
                self.failure = clients.failure(self.settings, error)
        else:
            return
        raise self.failure


def _is_fenced(error: BaseException) -> bool:
    """Whether a fenced producer is behind it: kafka-python wraps the first error in later ones."""
    return isinstance(error, _FENCED) or any(
        isinstance(inner, BaseException) and _is_fenced(inner)
        for inner in (*error.args, error.__cause__)
    )


def _within(seconds: float, call: Callable[[], Any], stop: threading.Event | None = None) -> None:
    """Runs `call`, which may wait for Kafka without end, for `seconds` at most.

    Raises KafkaTimeoutError after that, Stopped when `stop` is set before; the call's thread then
    dies with the process.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.1 if stop is not None else seconds)
        if stop is not None and stop.is_set() and thread.is_alive():
            raise Stopped
    if thread.is_alive():
        raise KafkaTimeoutError(f"no answer within {seconds:.0f} s")
    if raised:
        raise raised[0]


# One job for each group in this process.
_jobs: dict[str, Job] = {}


def hold(job: Job) -> None:
    """Makes `job` the one that the source and the sink of its group use."""
    _jobs[job.settings.group] = job


def holds(group: str) -> bool:
    """Whether this process has a job of this group."""
    return group in _jobs


def drop(group: str) -> None:
    """Closes the job of this group, if there is one; what it has not committed stays so."""
    job = _jobs.pop(group, None)
    if job is not None:
        job.close()


def held(group: str) -> Job:
    """The job of this group."""
    return _jobs[group]
