"""The account: its API key and tokens, its instances and their plans."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What an instance may do; the defaults are those of IBM's Open Plan.

    Attributes:
        name: as the catalogue writes it.
        pricing: "free", "trial", "paygo", "paid" or "subscription".
        sessions: whether `Session` is allowed.
        seconds: of QPU time in the period; None without a limit.
        batch_seconds: that a batch lives from the start of its first job.
        pending_jobs: queued and running jobs allowed at once; None without a limit. Whether IBM
            still enforces three on the Open Plan, no source settles.
        posts_per_minute: submissions allowed; None without a limit. IBM documents five.
        retry_after: seconds named in the answer to one submission too many; None names none.
    """

    name: str = "Open"
    pricing: str = "free"
    sessions: bool = False
    seconds: float | None = 600.0
    batch_seconds: float = 600.0
    pending_jobs: int | None = None
    posts_per_minute: int | None = None
    retry_after: float | None = None


PAID_PLAN = Plan("Pay-As-You-Go", "paygo", sessions=True, seconds=None, batch_seconds=28800.0)


@dataclass
class Instance:
    """A service instance: `consumed` seconds of its plan are used up."""

    name: str = "loopback-open"
    plan: Plan = field(default_factory=Plan)
    consumed: float = 0.0
    crn: str = field(default_factory=lambda: _new_crn())

    @property
    def plan_id(self) -> str:
        return f"plan-{self.plan.name.lower()}"

    @property
    def is_used_up(self) -> bool:
        return self.plan.seconds is not None and self.consumed >= self.plan.seconds


class Identity:
    """Exchanges the API key for tokens, as IBM's IAM does.

    Attributes:
        api_key: the only one that is known.
        lifetime: of a token in seconds; the client renews it ten seconds before its end.
    """

    def __init__(self, lifetime: float = 3600.0) -> None:
        self.api_key = f"loopback-{secrets.token_hex(16)}"
        self.lifetime = lifetime
        self._valid_until: dict[str, float] = {}

    def issue(self, api_key: str) -> dict[str, Any] | None:
        """IAM's answer to an API key; None if the key is unknown."""
        if api_key != self.api_key:
            return None
        now = time.time()
        expiry = int(now + self.lifetime)
        claims = {"iat": int(now), "exp": expiry, "jti": secrets.token_hex(8)}
        segments = [json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps(claims), "unsigned"]
        token = ".".join(
            base64.urlsafe_b64encode(segment.encode()).decode().rstrip("=") for segment in segments
        )
        self._valid_until[token] = expiry
        return {
            "access_token": token,
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": int(self.lifetime),
            "expiration": expiry,
        }

    def accepts(self, authorization: str) -> bool:
        """Whether an `Authorization` header is good: a live token, or the raw API key.

        IBM accepts the raw key as well; that one was sent is what `Request.key_exposed` is for.
        """
        scheme, _, credential = authorization.partition(" ")
        if scheme == "apikey":
            return credential == self.api_key
        return self._valid_until.get(credential, 0.0) > time.time()

    def refuse_issued_tokens(self) -> None:
        """Refuse every token issued so far; new ones are accepted."""
        self._valid_until.clear()


def _new_crn() -> str:
    account, instance = secrets.token_hex(16), secrets.token_hex(16)
    return f"crn:v1:bluemix:public:quantum-computing:us-east:a/{account}:{instance}::"
