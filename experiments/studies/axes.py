"""What a study varies: the values of each axis, and the combinations of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from qbackend.errors import OptionError, UnknownNameError, suggest


@dataclass(frozen=True)
class Axis:
    """One thing that a study varies: an attribute of its settings, and an option of its command.

    Attributes:
        name: of the attribute.
        help: of the option, with what it is by default in words.
        centre: the value that the others are compared with, where the axis has it.
        values: by default; None for all that are known.
        known: the names that values are among, None where `read` says what it takes.
        read: a value from what was typed; raises `OptionError`.
        show: a value in words.
        flag: the option, if it is not called as the attribute.
        metavar: what the help says in a value's place.
    """

    name: str
    help: str
    centre: Any
    values: tuple[Any, ...] | None = None
    known: Callable[[], Collection[str]] | None = None
    read: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    flag: str = ""
    metavar: str = "LIST"

    @property
    def option(self) -> str:
        """As it is typed."""
        return self.flag or f"--{self.name}"

    def chosen(self, text: str) -> tuple[Any, ...]:
        """The values of a comma-separated list, the axis's own for an empty text.

        Raises:
            UnknownNameError: a name that is not known; the message suggests.
            OptionError: what was typed has no values, or one that cannot be.
        """
        known = self.known() if self.known is not None else ()
        if not text:
            return tuple(known) if self.values is None else self.values
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        if not entries:
            raise OptionError(f"{self.name} needs at least one value")
        for entry in entries:
            if known and entry not in known:
                raise UnknownNameError(f"unknown {self.name} '{entry}': {suggest(entry, known)}")
        return tuple(self.read(entry) for entry in entries)


@dataclass(frozen=True)
class Axes:
    """Axes with the values that were chosen, by the axis's name."""

    axes: tuple[Axis, ...]
    values: Mapping[str, Sequence[Any]]

    @classmethod
    def typed(cls, axes: tuple[Axis, ...], lists: Mapping[str, str]) -> Axes:
        """From comma-separated lists, "" or none for an axis's own values; raises as `Axis`."""
        return cls(axes, {axis.name: axis.chosen(lists.get(axis.name, "")) for axis in axes})

    @property
    def centre(self) -> dict[str, Any]:
        """What the others differ from: each axis's centre where it has that, else its first."""
        return {
            axis.name: axis.centre if axis.centre in values else values[0]
            for axis in self.axes
            for values in [self.values[axis.name]]
        }

    def only(self, name: str, wanted: Collection[Any]) -> Axes:
        """The same with those of an axis's values that are `wanted`."""
        left = [value for value in self.values[name] if value in wanted]
        return replace(self, values={**self.values, name: left})

    def plane(self, *names: str) -> Iterator[dict[str, Any]]:
        """Every combination of the values of some axes, with the centre's on the others."""
        for values in product(*(self.values[name] for name in names)):
            yield {**self.centre, **dict(zip(names, values, strict=True))}
