"""Fetches Kafka, the registry and Flink from Maven Central once; checks and caches them.

`digests.json` names every file, by its Maven coordinate, with its SHA-256: nothing is resolved
at run time. `python -m pipelines.local.digests` writes it anew after a version has changed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.local.errors import LocalError
from pipelines.local.processes import java_program

KAFKA = "kafka-4.1.1"
REGISTRY = "apicurio-registry-3.0.9"
FLINK = "flink-1.19-beam-2.62.0"
REGISTRY_ARCHIVE = "io.apicurio:apicurio-registry-app:3.0.9:all:tar.gz"
DIGESTS = Path(__file__).with_name("digests.json")
TRIES = 3
REPORT_EVERY_MB = 20

Report = Callable[[str], None]


@dataclass(frozen=True)
class Programs:
    """Folders in the cache: Kafka's jars, and the registry unpacked."""

    kafka: Path
    registry: Path


def cache_folder() -> Path:
    """KHABAR_CACHE_DIR, else `khabar` in the user's cache folder."""
    if named := os.environ.get("KHABAR_CACHE_DIR"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "khabar"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "khabar"


def fetch(report: Report) -> Programs:
    """Downloads what the cache lacks, and checks what it has; cached, it needs no network.

    Raises LocalError when a download fails, a file is not what `digests.json` says, or there is no
    Java to run them.
    """
    return Programs(
        kafka=_fetched(KAFKA, "Apache Kafka 4.1.1", 44, report),
        registry=_fetched(REGISTRY, "the Apicurio registry 3.0.9", 109, report),
    )


def fetch_flink(report: Report) -> Path:
    """The folder of the jars that run Beam jobs on a Flink in one process, as `fetch` does."""
    return _fetched(FLINK, "Apache Flink 1.19 and Beam's job server for it", 152, report)


def _fetched(program: str, name: str, size_mb: int, report: Report) -> Path:
    java_program()
    cache = cache_folder()
    digests: dict[str, dict[str, str]] = json.loads(DIGESTS.read_text(encoding="utf-8"))
    files = len(digests[program])
    what = f"{name} ({files} file{'s' * (files > 1)}, {size_mb} MB)"
    folder = cache / program
    if not folder.is_dir():
        try:
            _fill(cache, folder, what, digests[program], report)
        except OSError as error:
            raise LocalError(
                f"The cache folder {cache} cannot be written: {error.strerror}. Make room or "
                "rights there, or name another folder: export KHABAR_CACHE_DIR=…"
            ) from error
    if program != REGISTRY:
        for coordinate, digest in digests[program].items():
            _check(folder / file_name(coordinate), digest, delete=folder)
    return folder


def _fill(cache: Path, folder: Path, what: str, digests: dict[str, str], report: Report) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock", report):
        # Under the lock, whatever is here was left behind by a process that was killed.
        incoming = cache / "incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        # A folder gets its name when it is complete, never before.
        if not folder.is_dir():
            report(f"fetching {what}, once")
            files = _download(digests, incoming, report)
            archive = files / file_name(REGISTRY_ARCHIVE)
            if archive.exists():
                files = incoming / "unpacked"
                with tarfile.open(archive) as packed:
                    # Python before 3.11.4 knows no filter; the archive was checked all the same.
                    packed.extraction_filter = getattr(tarfile, "data_filter", None)
                    packed.extractall(files)
            files.rename(folder)
        shutil.rmtree(incoming, ignore_errors=True)


@contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process is fetching; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(digests: dict[str, str], incoming: Path, report: Report) -> Path:
    """Downloads and checks these artifacts, and returns the folder that holds just them."""
    context = maven(incoming / "maven", report)
    folder = incoming / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for coordinate, digest in digests.items():
        file = folder / file_name(coordinate)
        resolve(context, coordinate).rename(file)
        _check(file, digest, delete=incoming)
    return folder


def maven(folder: Path, report: Report) -> Any:
    """What `resolve` needs: jgo's context, that downloads from Maven Central into this folder."""
    # Imported here: a start from the cache needs none of it, and saves a quarter of a second.
    from jgo.maven import MavenContext, PythonResolver

    loaded = 0

    @contextmanager
    def progress(name: str, size: int) -> Iterator[Callable[[int], None]]:
        def update(count: int) -> None:
            nonlocal loaded
            step = REPORT_EVERY_MB * 1_000_000
            if (loaded + count) // step > loaded // step:
                report(f"  {(loaded + count) // 1_000_000} MB")
            loaded += count

        yield update

    return MavenContext(resolver=PythonResolver(progress_callback=progress), repo_cache=folder)


def resolve(context: Any, coordinate: str) -> Path:
    """Downloads one artifact. Raises LocalError when that fails TRIES times."""
    group, name, version, *kind = coordinate.split(":")
    artifact = context.project(group, name).at_version(version).artifact(*kind)
    for attempt in range(1, TRIES + 1):
        try:
            return Path(artifact.resolve())
        # What jgo raises: RuntimeError for an answer other than 200, and requests' errors,
        # which are OSErrors, for none at all.
        except (RuntimeError, OSError) as error:
            artifact.cached_path.unlink(missing_ok=True)  # jgo would take a torn file for whole.
            if attempt == TRIES:
                raise LocalError(
                    f"{file_name(coordinate)} could not be downloaded from Maven Central: "
                    f"{error}. Check the network and, behind a proxy, that HTTPS_PROXY names it; "
                    "then type the same command again."
                ) from error
            time.sleep(attempt)
    raise AssertionError("unreachable")


def _check(file: Path, digest: str, *, delete: Path) -> None:
    try:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        found = "missing"
    if found != digest:
        raise LocalError(
            f"{file.name} is not the file that Khabar was tested with: its SHA-256 should be "
            f"{digest} and is {found}. Type rm -r '{delete}' and try again; when that does not "
            "help, something on the way to Maven Central changes files."
        )


def file_name(coordinate: str) -> str:
    """Of an artifact, `group:name:version` for a jar, else with `:classifier:packaging`."""
    _, name, version, *kind = coordinate.split(":")
    classifier, packaging = kind or ("", "jar")
    return f"{name}-{version}{'-' * bool(classifier)}{classifier}.{packaging}"
