"""The schema registry, by the few calls of Confluent's API that are needed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import fastavro
import requests

from pipelines.errors import Outage, UsageError

_TIMEOUT_S = 10
_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Incompatible(Exception):
    """The registry refuses the schema: readers of what is there could not read on."""


@dataclass(frozen=True)
class Registry:
    """A registry at `url`; user and password come from the environment alone."""

    url: str

    def subjects(self) -> list[str]:
        subjects: list[str] = self._call("GET", "/subjects")
        return subjects

    def schema(self, schema_id: int) -> Any | None:
        """The schema of this id, parsed by fastavro; None when there is none."""
        answer = self._call("GET", f"/schemas/ids/{schema_id}", missing_is_none=True)
        if answer is None or answer.get("schemaType", "AVRO") != "AVRO":
            return None
        try:
            return fastavro.parse_schema(json.loads(answer["schema"]), named_schemas={})
        except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, ValueError):
            return None  # such as one that refers to other subjects

    def find(self, subject: str, schema: str) -> int | None:
        """The id under which `subject` holds exactly this schema; None when it does not."""
        path = f"/subjects/{subject}"
        try:
            answer = self._call("POST", path, {"schema": schema}, missing_is_none=True)
        except Incompatible:  # some registries say so of one that they do not have
            return None
        return None if answer is None else int(answer["id"])

    def register(self, subject: str, schema: str) -> int:
        """Registers the schema with BACKWARD compatibility and returns its id.

        Raises Incompatible when the subject's newest schema forbids it.
        """
        known = self.find(subject, schema)
        if known is None:
            self._require_backward(subject, missing_is_none=True)
            answer = self._call("POST", f"/subjects/{subject}/versions", {"schema": schema})
            known = int(answer["id"])
        # A subject that did not exist could not take its setting before.
        self._require_backward(subject)
        return known

    def _require_backward(self, subject: str, *, missing_is_none: bool = False) -> None:
        setting = {"compatibility": "BACKWARD"}
        self._call("PUT", f"/config/{subject}", setting, missing_is_none=missing_is_none)

    def incompatibilities(self, subject: str, schema: str) -> list[str] | None:
        """Why `schema` cannot follow the subject's newest; empty when it can, None when new."""
        answer = self._call(
            "POST",
            f"/compatibility/subjects/{subject}/versions/latest?verbose=true",
            {"schema": schema},
            missing_is_none=True,
        )
        if answer is None:
            return None
        if answer["is_compatible"]:
            return []
        return [str(m) for m in answer.get("messages", [])] or ["the registry gives no reason"]

    def _call(
        self, method: str, path: str, body: Any = None, *, missing_is_none: bool = False
    ) -> Any:
        user = os.environ.get("KHABAR_REGISTRY_USER")
        credentials = (user, os.environ.get("KHABAR_REGISTRY_PASSWORD", "")) if user else None
        session = requests.Session()
        try:
            # A proxy of the environment must not be asked for this machine itself.
            session.trust_env = urlsplit(self.url).hostname not in _LOOPBACK
            response = session.request(
                method,
                self.url.rstrip("/") + path,
                json=body,
                auth=credentials,
                timeout=_TIMEOUT_S,
                headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
            )
        except (*_BAD_ADDRESS, ValueError):
            raise UsageError(
                f"The registry's address, {self.shown()}, is not one. Give http://host:port/path "
                "with --registry-url; user and password come from the environment."
            ) from None
        except requests.RequestException as error:
            raise Outage(
                f"The schema registry at {self.shown()} does not answer "
                f"({type(error).__name__}). Start it, or give its address with --registry-url."
            ) from None
        if response.status_code == 404 and missing_is_none and _knows_what_is_missing(response):
            return None
        if response.status_code in (409, 422) and method == "POST":
            raise Incompatible(_message(response))
        if response.status_code in (401, 403):
            raise UsageError(
                f"The schema registry at {self.shown()} refuses us ({response.status_code}). "
                "Set KHABAR_REGISTRY_USER and KHABAR_REGISTRY_PASSWORD."
            )
        if response.status_code >= 500 or response.status_code == 429:
            raise Outage(
                f"The schema registry at {self.shown()} answers {response.status_code}: "
                f"{_message(response)}."
            )
        try:
            response.raise_for_status()
            return response.json()
        except (requests.HTTPError, ValueError):
            raise UsageError(
                f"What answers at {self.shown()} is no schema registry: {method} {path} gave "
                f"{response.status_code}. Give its address with --registry-url; for Apicurio it "
                "ends in /apis/ccompat/v7."
            ) from None

    def shown(self) -> str:
        """The address without user and password."""
        before, _, after = self.url.rpartition("@")
        return f"{before.partition('//')[0]}//{after}" if before else self.url


def _knows_what_is_missing(response: requests.Response) -> bool:
    """Whether a registry says that it has no such thing, and not a web server no such page."""
    try:
        return "error_code" in response.json()
    except ValueError:
        return False


def _message(response: requests.Response) -> str:
    try:
        return str(response.json().get("message", response.text))[:500]
    except (ValueError, AttributeError):
        return response.text[:500]
