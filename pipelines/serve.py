"""The small HTTP server of a run: `/metrics`, `/healthz`, `/readyz`; and the look at the registry
that readiness rests on. All of it in threads of its own, which the bundle loop never waits for.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pipelines import schemas
from pipelines.errors import Outage, UsageError
from pipelines.health import Health
from pipelines.kafka.registry import Registry
from pipelines.logs import Line, Say, quoted
from pipelines.metrics import Metrics, registry_of
from pipelines.settings import Settings

# Seconds between two looks at what a reading run lacks, and between two at the registry.
_LOOK_S, REGISTRY_S = 1.0, 5.0
# Seconds that a client may take to send its request.
_PATIENCE_S = 5.0
_TEXT = "text/plain; charset=utf-8"


@contextmanager
def served(settings: Settings, health: Health, say: Say) -> Iterator[None]:
    """Serves while the block runs, and says when Kafka or the registry goes and comes back.

    Raises UsageError when the port cannot be had.
    """
    server = _server(settings, health)
    ended = threading.Event()
    for work in (
        lambda: server.serve_forever(poll_interval=0.5),
        lambda: _watch(settings, health, say, ended),
    ):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def _server(settings: Settings, health: Health) -> ThreadingHTTPServer:
    host, port = settings.metrics_host, settings.metrics_port
    try:
        ((family, *_), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return _Server(family, (host, port), health, registry_of(Metrics(settings, health)))
    except OSError as error:
        raise UsageError(
            f"Metrics cannot be served at {host} port {port}: {error.strerror}. Give another "
            "--metrics-port, or 0 for none; --metrics-host is this machine's own address, or "
            "0.0.0.0 for all that it has."
        ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        family: socket.AddressFamily,
        address: tuple[str, int],
        health: Health,
        registry: CollectorRegistry,
    ) -> None:
        self.address_family = family
        self.health = health
        self.registry = registry
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the network for the host's name

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no matter of ours."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "khabar", ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        health = self.server.health
        match self.path.partition("?")[0]:
            case "/metrics":
                self._metrics()
            case "/healthz":
                self._told(health.stuck())
            case "/readyz":
                self._told(health.not_ready(), "not ready: ")
            case _:
                self._answer(404, b"here are /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET  # noqa: N815

    def _metrics(self) -> None:
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        try:
            text = encode(self.server.registry)
        except Exception as error:  # noqa: BLE001 - whoever asks is to see it; the run goes on
            self._told(quoted(f"{type(error).__name__}: {error}"), code=500)
        else:
            self._answer(200, text, kind)

    def _told(self, why_not: str, before: str = "", code: int = 503) -> None:
        if why_not:
            self._answer(code, f"{before}{why_not}\n".encode())
        else:
            self._answer(200, b"ok\n")

    def _answer(self, code: int, body: bytes, kind: str = _TEXT) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Who asks for metrics is nothing to tell."""


def _watch(settings: Settings, health: Health, say: Say, ended: threading.Event) -> None:
    """Looks whether the registry answers, and says each change of what a reading run lacks."""
    told, looked = "", 0.0
    while not ended.wait(_LOOK_S):
        if health.job is None or health.ending:
            continue
        if time.monotonic() - looked >= REGISTRY_S:
            health.registry_away = _registry_away(settings)
            looked = time.monotonic()
        kind, why = health.missing()
        if kind != told and not health.ending:
            if kind:
                say(Line(f"not ready: {why}", "warning", missing=kind))
            else:
                say(Line("ready again"))
            told = kind


def _registry_away(settings: Settings) -> str:
    """Why the registry is of no use; it must still have what our records are written with."""
    registry = Registry(settings.registry_url)
    subject = f"{settings.topic(schemas.ARTICLES)}-value"
    try:
        if registry.find(subject, schemas.text(schemas.ARTICLES)) is not None:
            return ""
    except (Outage, UsageError) as error:
        return f"{error} Reading goes on until a message needs a schema that was not asked for yet."
    return (
        f"The schema registry at {registry.shown()} no longer has the schema of {subject}: "
        "`khabar schemas` registers it."
    )
