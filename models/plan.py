"""What a kind of network is to everything that trains, measures and reports one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypedDict, Unpack

from torch import nn

from qbackend.errors import OptionError, UnknownNameError, suggest
from qbackend.layers.program import Layer
from qbackend.seam.backend import QuantumBackend


class Spec(Protocol):
    """What the quantum layers of a network are: a thing that plain values say."""

    def __hash__(self) -> int:
        """Equal ones are one."""

    def to_dict(self) -> dict[str, Any]:
        """The values, for JSON and TOML."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` described; raises `SpecError`."""


class LayerOptions(TypedDict):
    """How quantum layers are executed, as `QuantumLayer` takes it."""

    backend: str | QuantumBackend
    shots: int | None
    gradient: str


@dataclass(frozen=True)
class ModelPlan(ABC):
    """A network that can be built; a subclass is a kind of networks.

    A network is an entry of `models.MODELS`. Nothing else has to know it by name, nor its kind.

    Attributes:
        in_channels: of an image.
        n_classes: number of logits.
        spec: the quantum layers, None for a network without.
        arms: what can stand in their place, the first by default; empty where nothing can.
        quantum_arms: those of them that have quantum layers.
        plain_arm: one without, by which work is counted and an image's size is checked.
        layer_keys: what a recipe's [layer] may say beside the keys of `LayerSpec`.
        network_keys: what of the network around its layers a recipe's [model] may change.
        is_pixelwise: whether an image is many rows of each layer, one for every pixel.
    """

    in_channels: int
    n_classes: int
    _: KW_ONLY
    spec: Spec | None = None

    plain_arm: ClassVar[str]
    layer_keys: ClassVar[tuple[str, ...]] = ()
    is_pixelwise: ClassVar[bool] = False

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """As above."""

    @property
    def network_keys(self) -> tuple[str, ...]:
        """As above."""
        return ()

    @property
    @abstractmethod
    def quantum_arms(self) -> tuple[str, ...]:
        """As above."""

    @abstractmethod
    def build(self, arm: str, seed: int, **options: Unpack[LayerOptions]) -> nn.Module:
        """The network, its weights drawn from the seed."""

    @abstractmethod
    def describe(self, arm: str) -> str:
        """What stands in the quantum layers' place, behind "The model NAME " in a report."""

    def bridge(self, arm: str) -> str | None:
        """What a report calls the bridge of a `HybridCNN`, None where it changes nothing."""
        return None

    @property
    def bottleneck(self) -> Layer | None:
        """The quantum layer that an image passes once, None where there is no such one."""
        return None

    @property
    def circuit_work(self) -> int:
        """Floating-point operations that an image takes in circuits, beside the plain arm's."""
        spec = self.bottleneck
        # A circuit turns its 2^Q amplitudes once per weight.
        return 0 if spec is None else 8 * 2**spec.n_wires * spec.n_weights

    def circuit(self, arm: str) -> Layer | None:
        """The bottleneck of an arm that has it."""
        return self.bottleneck if arm in self.quantum_arms else None

    def layers(self, arm: str) -> Spec | None:
        """The quantum layers of an arm, None for one without."""
        return self.spec if arm in self.quantum_arms else None

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The plan with the changes of a recipe's [layer]; raises `SpecError`."""
        if self.spec is None:
            return self
        return self.with_spec({**self.spec.to_dict(), **changes})

    def with_spec(self, values: Mapping[str, Any] | None) -> Self:
        """The plan with the spec of these values, as `Spec.to_dict` has them."""
        if self.spec is None or values is None:
            return self
        return replace(self, spec=self.spec.from_dict(values))

    def with_network(self, changes: Mapping[str, Any]) -> Self:
        """The plan with the changes of a recipe's [model] to the network around the layers.

        Raises `OptionError` for a key that is not among `network_keys`.
        """
        for key in changes:
            if key not in self.network_keys:
                known = ", ".join(self.network_keys)
                raise OptionError(
                    f"{key}: the network has no such key; "
                    + (f"it has {known}" if known else "it is built as it was published")
                )
        return self.resized(**changes) if changes else self

    def resized(self, **changes: Any) -> Self:
        """The plan with other values for some of its `network_keys`."""
        return replace(self, **changes)

    def check(self, name: str, arm: str, spec: Spec | None) -> None:
        """Raise for an arm that the network of that name has not, or a spec of another kind.

        Raises:
            UnknownNameError: no such arm.
            OptionError: a spec that it cannot have.
        """
        if arm not in self.arms:
            raise UnknownNameError(f"unknown arm '{arm}' of '{name}': {suggest(arm, self.arms)}")
        if spec is not None and type(spec) is not type(self.spec):
            wanted, given = type(self.spec).__name__, type(spec).__name__
            raise OptionError(f"'{name}' takes a {wanted}, not a {given}")
