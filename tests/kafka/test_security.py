"""A Kafka that asks for TLS and a password, as hosted ones do."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines import schemas
from pipelines.kafka import topics
from pipelines.local import fetch, kafka
from pipelines.local.processes import HOST, Process, free_port
from pipelines.run import register
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import REPOSITORY, caught_up, environment, read, send

USER, PASSWORD = "khabar", "right-s3cret"

LISTENER = """
listeners=PLAINTEXT://{host}:{plain},CONTROLLER://{host}:{controller},SASL_SSL://{host}:{secure}
advertised.listeners=PLAINTEXT://{host}:{plain},SASL_SSL://{host}:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location=server.pem
listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.\
PlainLoginModule required user_{user}="{password}";
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a Kafka that takes TLS with a password only, and its certificate's file."""
    folder = tmp_path_factory.mktemp("secured")
    certificate = make_certificate(folder)
    plain, controller, secure = free_port(), free_port(), free_port()
    command = kafka.command(fetch(print).kafka, folder, plain, controller)
    with (folder / "kafka.properties").open("a", encoding="ascii") as properties:
        # The last of two lines with one name counts.
        properties.write(
            LISTENER.format(
                host=HOST,
                plain=plain,
                controller=controller,
                secure=secure,
                user=USER,
                password=PASSWORD,
            )
        )
    process = Process("kafka", command, folder=folder)
    process.wait_until(lambda: kafka.ready(plain))
    yield f"{HOST}:{secure}", certificate
    process.terminate()
    process.finish()


def make_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "khabar test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.pem").write_bytes(private + certificate)
    (folder / "ca.pem").write_bytes(certificate)
    return folder / "ca.pem"


@pytest.fixture
def settings(secured: tuple[str, Path], services, tmp_path: Path) -> Settings:
    """A job whose settings file holds all but the password."""
    address, certificate = secured
    path = tmp_path / "client.properties"
    path.write_text(
        f"security.protocol=SASL_SSL\nssl.cafile={certificate}\n"
        f"sasl.mechanism=PLAIN\nsasl.plain.username={USER}\n",
        encoding="utf-8",
    )
    return Settings.of(
        {
            "bootstrap_servers": address,
            "registry_url": services.addresses.registry_url,
            "topic_prefix": "secured",
            "group": "secured",
            "kafka_config": str(path),
        }
    )


def test_tls_and_password_are_passed_through(settings: Settings, monkeypatch) -> None:
    """With a certificate and a user in the settings file and the password in the environment, all
    clients work: admin, producer, consumer, transactions."""
    monkeypatch.setenv("KHABAR_KAFKA_SASL_PLAIN_PASSWORD", PASSWORD)
    topics.create(settings)
    register(settings)
    send(articles(5), settings)
    said = caught_up(settings)
    assert len(read(settings, schemas.INDEX)) > 1
    assert PASSWORD not in said


def test_a_wrong_password_is_guessed_at_and_not_shown(settings: Settings, monkeypatch) -> None:
    """A wrong password, which the client sees as a cut connection, ends with a paragraph that asks
    for user and password; the password stands in no output, with --debug neither."""
    monkeypatch.setenv("KHABAR_KAFKA_SASL_PLAIN_PASSWORD", "wr0ng-s3cret")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "--debug", "topics"],
        cwd=REPOSITORY,
        env=environment(settings),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 75, done.stderr
    assert "user and password" in done.stderr.splitlines()[-1]
    assert "wr0ng-s3cret" not in done.stdout + done.stderr
