"""HTTP on a socket: requests are read, carried out or spoiled, answered and noted."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .records import Request
from .rest import Call, Reply
from .routes import answer, find_route

if TYPE_CHECKING:
    from .server import LoopbackServer

LINGER_NO_TIME = struct.pack("ii", 1, 0)
"""Closing a socket with this option sends RST, not FIN."""


class Listener(ThreadingHTTPServer):
    """A listening socket on 127.0.0.1 that knows its open connections."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, loopback: LoopbackServer) -> None:
        self.loopback = loopback
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", loopback.port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        if _is_to_reset(request):
            self.close_request(request)  # without the FIN that an orderly end sends first
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def break_connections(self) -> None:
        """Reset every open connection."""
        with self._lock:
            for connection in self._open:
                _reset(connection)


class Handler(BaseHTTPRequestHandler):
    """One connection; each request on it becomes a `WireExchange`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    server: Listener

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        WireExchange(self, body).take_place()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are noted, and a log line could hold what must not be written."""


class WireExchange:
    """One request on the wire (`faults.Exchange`)."""

    def __init__(self, handler: Handler, body: bytes) -> None:
        self._handler = handler
        self._loopback = handler.server.loopback
        parts = urlsplit(handler.path)
        self._path = parts.path
        self.method = handler.command
        self.route, names = find_route(self.method, parts.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self._call = Call(names, parse_qs(parts.query), headers, body)
        self._reply: Reply | None = None
        self._fault: str | None = None
        self._noted = False

    def take_place(self) -> None:
        """Answer, or do what the fault that strikes wants."""
        fault = self._loopback.faults.striking(self.method, self.route)
        if fault is None:
            self.send(self.carry_out())
            return
        self._fault = repr(fault.effect)
        if fault.accepted:
            self.carry_out()
        fault.effect.apply(self)

    def carry_out(self) -> Reply:
        if self._reply is None:
            self._reply = answer(self._loopback.cloud, self.method, self.route, self._call)
        return self._reply

    def send(self, reply: Reply, *, declared: int | None = None) -> None:
        handler = self._handler
        length = len(reply.body) if declared is None else declared
        handler.close_connection |= length != len(reply.body)
        self._note(reply.status, intact=reply is self._reply and reply.status < 400)
        handler.send_response(reply.status)
        handler.send_header("Content-Type", reply.content_type)
        handler.send_header("Content-Length", str(length))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body)

    def reset(self) -> None:
        self._note(None)
        self._handler.close_connection = True
        _reset(self._handler.connection)

    def refuse_connections(self, seconds: float) -> None:
        self._note(None)
        self._loopback.refuse_connections(seconds)

    def pause(self, seconds: float) -> None:
        self._loopback.stopping.wait(seconds)

    def _note(self, status: int | None, *, intact: bool = False) -> None:
        """Note the request, once, and before the client can know that it was answered."""
        if self._noted:
            return
        self._noted = True
        key = self._loopback.identity.api_key
        headers = dict(self._call.headers)
        sent = [*headers.values(), self._handler.path]
        if self.route != "/identity/token":
            sent.append(self._call.body.decode(errors="replace"))
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].split(" ")[0]
        self._loopback.note(
            Request(
                at=time.monotonic(),
                method=self.method,
                route=self.route,
                path=self._path,
                query=dict(self._call.query),
                headers=headers,
                key_exposed=any(key in text for text in sent),
                body_bytes=len(self._call.body),
                status=status,
                intact=intact,
                fault=self._fault,
            )
        )


def _reset(connection: socket.socket) -> None:
    """Have the connection closed with RST, by the thread that serves it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NO_TIME)
        connection.shutdown(socket.SHUT_RD)


def _is_to_reset(connection: socket.socket) -> bool:
    length = len(LINGER_NO_TIME)
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, length) == LINGER_NO_TIME
