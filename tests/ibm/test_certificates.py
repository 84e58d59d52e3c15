"""A certificate that is not trusted is named at once: no try more would help."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from qbackend.errors import BackendError, TransientError
from qbackend.ibm.service import connect
from qbackend.machines.gateway import Gateway
from tests.loopback import LoopbackServer
from tests.loopback.client import served
from tests.machines.fakes import Time

from .calls import NAME, small_machine


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([small_machine()]) as running:
        yield running


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """The address of somebody in between, whose certificate is his own."""
    file = tmp_path / "proxy.pem"
    file.write_bytes(self_signed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    listener.handle_error = lambda *given: None  # type: ignore[method-assign]
    threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    listener.server_close()


def self_signed() -> bytes:
    """A key, and a certificate of 127.0.0.1 that nobody else signed."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a proxy")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = builder.sign(key, hashes.SHA256())
    return private + certificate.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "variable", ["IAM_URL", "GLOBAL_SEARCH_URL", "GLOBAL_CATALOG_URL", "QISKIT_IBM_URL"]
)
def test_a_certificate_that_is_not_trusted(
    server: LoopbackServer, proxy: str, variable: str
) -> None:
    """Whichever of the service's addresses it is met at."""
    time, told = Time(), []
    path = "/experimental/api/v1" if variable == "QISKIT_IBM_URL" else ""
    gateway = Gateway(connect, clock=time.clock, tell=told.append)
    with (
        mock.patch.dict(os.environ, {variable: proxy + path}),
        pytest.raises(BackendError, match=r"certificate of 127\.0\.0\.1 is not.*REQUESTS_CA") as e,
    ):
        gateway.ask(lambda service: service.device(NAME))
    assert not isinstance(e.value, TransientError)
    assert (time.slept, told) == ([], [])


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_certificates_that_is_of_no_use(
    server: LoopbackServer, proxy: str, tmp_path: Path, content: str | None
) -> None:
    time, file = Time(), tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    gateway = Gateway(connect, clock=time.clock)
    with (
        mock.patch.dict(os.environ, IAM_URL=proxy, REQUESTS_CA_BUNDLE=str(file)),
        pytest.raises(BackendError, match="REQUESTS_CA_BUNDLE"),
    ):
        gateway.ask(lambda service: service.plan())
    assert time.slept == []
