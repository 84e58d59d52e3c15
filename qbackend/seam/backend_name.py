"""A backend's name, taken apart once: whoever has one asks it, not its letters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BackendName:
    """`KEY` or `KEY:ARGUMENT`; `registry.parse_name` makes one.

    Attributes:
        text: as it is written.
        key: which kind of backend.
        argument: what the kind makes of it, a device for most; None without one.
        is_simulator: our own simulators, exact or, with an argument, under a device's noise.
        is_machine: a machine executes, or a fake device in its place.
        is_fake: the latter, on this computer and for nothing.
        is_choice: an account's best machine for a layer, which is not chosen yet.
    """

    text: str
    key: str
    argument: str | None
    is_simulator: bool
    is_machine: bool
    is_fake: bool
    is_choice: bool = False

    @property
    def noise_file(self) -> Path | None:
        """Of a noise model that was saved, where that is what the argument names."""
        if self.argument is None or not self.argument.endswith(".json"):
            return None
        return Path(self.argument)

    def __str__(self) -> str:
        return self.text
