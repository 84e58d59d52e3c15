"""A call of the service, its reply, and what endpoints read and change."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .account import Identity, Instance
from .jobs import Job, Session
from .machines import Machine
from .workload import Workload


@dataclass(frozen=True)
class Reply:
    """What the service answers."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, content: Any, status: int = 200) -> Reply:
        return cls(status, json.dumps(content).encode())


class RefusalError(Exception):
    """An answer that is an error, in the service's form."""

    def __init__(
        self, status: int, code: int, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        error = {
            "code": code,
            "message": message,
            "solution": "",
            "more_info": f"https://quantum.cloud.ibm.com/docs/errors#{code}",
        }
        body = json.dumps({"errors": [error], "trace": "loopback"}).encode()
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        self.reply = Reply(status, body, headers=headers)


@dataclass(frozen=True)
class Call:
    """One request: `names` are the parts of its path that its route leaves open."""

    names: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def first(self, key: str, default: str = "") -> str:
        return self.query.get(key, [default])[0]

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body or b"{}")


@dataclass
class Cloud:
    """What the endpoints read and change."""

    identity: Identity
    workload: Workload
    _posts: dict[str, deque[float]] = field(default_factory=dict)

    def check_token(self, call: Call) -> None:
        if not self.identity.accepts(call.headers.get("authorization", "")):
            raise RefusalError(401, 1201, "Invalid credentials.")

    def instance(self, call: Call) -> Instance:
        """The one that the call is made for."""
        self.check_token(call)
        crn = call.headers.get("service-crn", "")
        if crn not in self.workload.instances:
            raise RefusalError(403, 1200, "You are not authorized to perform this action.")
        return self.workload.instances[crn]

    def machine(self, name: str) -> Machine:
        machine = self.workload.machines.get(name)
        if machine is None or not machine.is_shown:
            raise RefusalError(404, 1007, f"Backend {name} not found.")
        return machine

    def job(self, call: Call) -> Job:
        instance = self.instance(call)
        self.workload.expire()
        job = self.workload.job(call.names["id"])
        if job is None or job.deleted or job.instance != instance.crn:
            raise RefusalError(404, 1291, f"Job not found. Job ID: {call.names['id']}")
        return job

    def session(self, call: Call) -> Session:
        instance = self.instance(call)
        session = self.workload.session(call.names["id"])
        if session is None or session.instance != instance.crn:
            raise RefusalError(404, 1209, f"Session not found. Session ID: {call.names['id']}")
        return session

    def count_post(self, instance: Instance) -> None:
        """Refuse a submission that comes too soon after others."""
        plan, now = instance.plan, time.monotonic()
        posts = self._posts.setdefault(instance.crn, deque())
        while posts and posts[0] < now - 60:
            posts.popleft()
        if plan.posts_per_minute is not None and len(posts) >= plan.posts_per_minute:
            raise RefusalError(429, 1202, "Too many requests.", retry_after=plan.retry_after)
        posts.append(now)
