"""How a command reaches a machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qbackend.validation.records.environment import without_home
from qbackend.validation.records.state import Provenance


@dataclass(frozen=True)
class Access:
    """How a command reaches a machine; no part of the recipe.

    Attributes:
        credentials: file to read them from, None for where they usually are.
        profile: its section.
        yes: send what costs money without asking.
        wait: for the results of what was sent.
    """

    credentials: Path | None = None
    profile: str | None = None
    yes: bool = False
    wait: bool = True

    def account(self) -> dict[str, Any]:
        """Which account it is."""
        return {"credentials": self.credentials, "profile": self.profile}

    def record(self) -> dict[str, str]:
        """The same for the run's record: names, no secrets."""
        recorded = {}
        if self.credentials is not None:
            recorded["credentials"] = without_home(str(self.credentials.absolute()))
        if self.profile is not None:
            recorded["profile"] = self.profile
        return recorded

    def with_account_of(self, recorded: Provenance) -> Access:
        """The same with the account that a record names, where this one names none."""
        if self.credentials is not None or self.profile is not None:
            return self
        file = recorded.credentials
        credentials = None if file is None else Path(file).expanduser()
        return replace(self, credentials=credentials, profile=recorded.profile)


DEFAULT_ACCESS = Access()
