"""What is kept of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One request that arrived.

    Attributes:
        at: seconds of `time.monotonic`.
        route: the path as in `routes.ROUTES`.
        path: as on the wire, without its query.
        headers: of the request, names in lower case; of `authorization` only the scheme.
        key_exposed: the raw API key was in it, though it was no request for a token.
        body_bytes: size.
        status: that was answered; None if the connection was broken off.
        intact: the service's own answer, not an error, was sent whole.
        fault: that the request met.
    """

    at: float
    method: str
    route: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    key_exposed: bool
    body_bytes: int
    status: int | None
    intact: bool
    fault: str | None
