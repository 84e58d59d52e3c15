"""Faults that a test arranges: which request goes wrong, and how.

    server.faults.add(Fault("POST", "/jobs", Status(502), accepted=True, count=2))

A path is written as in `routes.ROUTES`; `*` matches anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from .rest import Reply


class Exchange(Protocol):
    """One request and the ways to answer it."""

    def carry_out(self) -> Reply:
        """Do what was asked, once, and return the reply without sending it."""

    def send(self, reply: Reply, *, declared: int | None = None) -> None:
        """Send a reply; `declared` is a Content-Length that its body falls short of."""

    def reset(self) -> None:
        """Break the connection off (TCP RST)."""

    def refuse_connections(self, seconds: float) -> None:
        """Close the listening socket and every connection; listen again after `seconds`."""

    def pause(self, seconds: float) -> None:
        """Wait, at most until the server stops."""


class Effect(Protocol):
    """What happens instead of the service's answer."""

    def apply(self, exchange: Exchange) -> None: ...


@dataclass(frozen=True)
class Status:
    """An HTTP error."""

    code: int
    retry_after: float | None = None

    def apply(self, exchange: Exchange) -> None:
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        exchange.send(Reply(self.code, b"upstream failure", "text/plain", headers))


@dataclass(frozen=True)
class Reset:
    """The connection is reset."""

    def apply(self, exchange: Exchange) -> None:
        exchange.reset()


@dataclass(frozen=True)
class Hang:
    """Nothing comes for `seconds`, then the true answer."""

    seconds: float

    def apply(self, exchange: Exchange) -> None:
        exchange.pause(self.seconds)
        exchange.send(exchange.carry_out())


@dataclass(frozen=True)
class Page:
    """An HTML page with status 200, as proxies and login portals send."""

    def apply(self, exchange: Exchange) -> None:
        page = b"<!DOCTYPE html><html><body>Please sign in to continue.</body></html>"
        exchange.send(Reply(200, page, "text/html"))


@dataclass(frozen=True)
class Empty:
    """Status 200 without a body."""

    def apply(self, exchange: Exchange) -> None:
        exchange.send(Reply())


@dataclass(frozen=True)
class Unlisted:
    """A list without entries, as a replica gives that lags behind."""

    def apply(self, exchange: Exchange) -> None:
        exchange.send(Reply.json({"jobs": [], "count": 0, "limit": 200, "offset": 0}))


@dataclass(frozen=True)
class Cut:
    """The first half of the true answer; `announced` keeps its whole Content-Length."""

    announced: bool = False

    def apply(self, exchange: Exchange) -> None:
        whole = exchange.carry_out()
        half = whole.body[: len(whole.body) // 2]
        declared = len(whole.body) if self.announced else len(half)
        exchange.send(Reply(whole.status, half, whole.content_type), declared=declared)


@dataclass(frozen=True)
class Refuse:
    """The service is down: connections are refused for `seconds`, this one is reset."""

    seconds: float

    def apply(self, exchange: Exchange) -> None:
        exchange.refuse_connections(self.seconds)
        exchange.reset()


@dataclass(frozen=True)
class Do:
    """Something happens first, then the true answer comes: a machine retires, tokens end."""

    action: Callable[[], object]

    def apply(self, exchange: Exchange) -> None:
        self.action()
        exchange.send(exchange.carry_out())


@dataclass(eq=False)
class Fault:
    """`effect` on `count` requests from the `first` matching one on.

    Attributes:
        method: "GET", "POST", ... or "*".
        path: a route, or a pattern of routes.
        first: 1 is the first matching request after the fault was added.
        count: None for every one from then on.
        accepted: the service carries the request out before the effect; without it, only the
            effects that give the true answer do.
        seen: matching requests so far.
    """

    method: str
    path: str
    effect: Effect
    first: int = 1
    count: int | None = 1
    accepted: bool = False
    seen: int = 0

    def strikes(self, method: str, route: str) -> bool:
        """Count the request if it matches, and say whether it goes wrong."""
        if not (fnmatchcase(method, self.method) and fnmatchcase(route, self.path)):
            return False
        self.seen += 1
        past = self.seen - self.first
        return past >= 0 and (self.count is None or past < self.count)


@dataclass
class Faults:
    """The faults of a server; where several strike one request, the one added first acts."""

    _all: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._all.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        with self._lock:
            self._all.remove(fault)

    def clear(self) -> None:
        with self._lock:
            self._all.clear()

    def striking(self, method: str, route: str) -> Fault | None:
        """The fault that this request meets; every matching one counts it."""
        with self._lock:
            met = [fault for fault in self._all if fault.strikes(method, route)]
        return met[0] if met else None
