"""The sections [model] and [layer]: the network, and what is changed of its quantum layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from qbackend.errors import OptionError, suggest
from qbackend.layers.ansatze import ANSATZE
from qbackend.layers.encodings import ENCODINGS

from .own_files import check_reference
from .section import Section, known

if TYPE_CHECKING:
    from models import ModelPlan

CLASSICAL = "classical"
"""The arm that is the recipe's classical twin: another network, not the hybrid's with a part
exchanged."""


Width = Annotated[int, Field(ge=1, le=65_536, strict=True)]


class ModelSection(Section):
    """The network: one of the catalogue, with what is changed of it, or one of your own.

    What is not given stays the model's own; which keys it has says `ModelPlan.network_keys`.
    """

    factory: str | None = None
    """FILE.py:NAME or MODULE:NAME, a function or class of your own that makes the network (a torch
    Module from inputs to logits). It is given what it asks for by name: `shape` (of one input),
    `n_classes`, `arm`, `seed`, `backend`, `layer` (what [layer] says), and `arguments`."""
    arguments: dict[str, Any] | None = None
    """Of that function, by name."""
    name: str = Field(default="", validate_default=True)
    """A network of the catalogue, a key of `models.MODELS`; with a factory, what reports call
    it."""
    arm: str = "quantum"
    """What stands where the circuit is, one of `models.arms_of(name)`; or the classical twin as a
    whole; with a factory, one of its module's ARMS."""
    channels: tuple[Annotated[int, Field(ge=1, le=4_096, strict=True)], ...] | None = Field(
        default=None, min_length=1, max_length=16
    )
    """Of the convolutions of each stage, from the image on; a pooling parts two stages. Of qpcnn-s
    and qpcnn-m: behind the first convolution and behind each stage."""
    depth: int | None = Field(default=None, ge=1, le=16, strict=True)
    """Convolutions in each stage."""
    pooling: Literal["max", "average"] | None = None
    """Between two stages, over 2x2 pixels."""
    pooled: int | None = Field(default=None, ge=1, le=64, strict=True)
    """Side of the square that each channel is averaged to behind the convolutions."""
    reducer: Width | None = None
    """Width of the hidden layer between the convolutions and the quantum layer's features."""
    head: Width | None = None
    """Width of the hidden layer between the quantum layer, or what is in its place, and logits."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Of the head."""
    activation: str | None = None
    """relu, leaky_relu, elu, gelu, silu or tanh: behind each hidden layer and convolution."""

    @property
    def network(self) -> dict[str, Any]:
        """What is changed of the network around the quantum layers, by the keys above."""
        return self.model_dump(include=set(NETWORK_KEYS), exclude_none=True)

    @field_validator("factory")
    @classmethod
    def _is_reference(cls, value: str | None) -> str | None:
        return value and check_reference(value)

    @field_validator("name")
    @classmethod
    def _known_model(cls, value: str, info: ValidationInfo) -> str:
        if "factory" not in info.data:
            # Told of the factory already.
            return value
        if info.data["factory"] is not None:
            return value or str(info.data["factory"])
        if not value:
            raise ValueError("must be given")
        return known("model", value, _models())

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, value: str | None) -> str | None:
        from models.blocks import ACTIVATIONS

        return value and known("activation", value, ACTIVATIONS)

    @field_validator("arm")
    @classmethod
    def _known_arm(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("factory") is not None:
            return value
        plan = _models().get(info.data.get("name", ""))
        arms = plan.arms if plan else ()
        # Which arm goes with a classical model is for the model as a whole to say.
        return known("arm", value, arms) if arms and value != CLASSICAL else value

    @model_validator(mode="after")
    def _keys_of_the_network(self) -> ModelSection:
        if self.factory is not None and self.network:
            raise ValueError(
                f"{', '.join(self.network)}: of networks of the catalogue; what {self.factory} "
                "takes stands in [model.arguments]"
            )
        if self.factory is None and self.arguments is not None:
            raise ValueError("arguments are those of a factory; leave them out")
        if self.factory is None:
            try:
                _models()[self.name].with_network(self.network)
            except OptionError as error:
                raise ValueError(f"'{self.name}': {error}") from None
        return self

    @model_validator(mode="after")
    def _arm_of_the_model(self) -> ModelSection:
        if self.factory is not None:
            return self
        if bool(_models()[self.name].arms) == (self.arm == CLASSICAL):
            raise ValueError(
                f"arm '{self.arm}' does not go with '{self.name}': '{CLASSICAL}' is the arm of "
                "the classical models, and of them alone"
            )
        return self


NETWORK_KEYS = (
    *("channels", "depth", "pooling", "pooled"),
    *("reducer", "head", "dropout", "activation"),
)
"""Keys of [model] that change a network of the catalogue around its quantum layers."""

OWN_CIRCUIT = ("circuit", "name", "features", "weights", "observables", "outputs")
"""Keys of [layer] that say a circuit of the user's own, as `CircuitLayer.to_dict` has them."""

Terms = tuple[tuple[str, float], ...]


class LayerSection(Section):
    """Changes to the model's quantum layer; what is not given stays the model's own.

    With `circuit`, another layer in the place of the model's. Keys of one kind of network alone
    (`ModelPlan.layer_keys`) are taken as they are.
    """

    model_config = ConfigDict(extra="allow")

    n_wires: int | None = Field(default=None, ge=1)
    """Wires of a layer of the catalogue."""
    encoding: str | None = None
    """How its features become a state: amplitude (2^Q features) or angle (one for each wire)."""
    ansatz: str | None = None
    """Its trained circuit: basic_entangler, strongly_entangling, rotation_only or unentangled."""
    n_layers: int | None = Field(default=None, ge=1)
    """Repetitions of that."""
    observables: tuple[str | Terms, ...] | None = None
    """Of a circuit of one's own: `"ZZII"`, `"0.5*XXII - 0.25*ZIII"`, or such a sum as a list of
    `[letters, number]`."""
    circuit: str | None = None
    """`FILE.qasm` (OpenQASM 3), `FILE.qpy`, `MODULE:FUNCTION` or `FILE.py:FUNCTION`; in a resolved
    recipe the circuit itself, as text."""
    name: str | None = None
    """Of that circuit, in reports."""
    features: tuple[str, ...] | None = None
    """Its parameters that are features, by their names or those of vectors; all that are not
    weights where it is not given."""
    weights: tuple[str, ...] | None = None
    """Its parameters that are trained, likewise."""
    outputs: Literal["expectations", "probabilities"] | None = None
    """What is measured: the observables, by default Z on each qubit, or the probability of every
    basis state."""
    pattern: str | None = None
    """Of a network with quantum pointwise convolutions: which of its 1x1 convolutions they are."""

    @field_validator("observables", mode="before")
    @classmethod
    def _sums(cls, value: Any) -> Any:
        if value is not None and not (
            isinstance(value, list | tuple) and all(map(_is_observable, value))
        ):
            raise ValueError(
                'write a list of Pauli strings or of sums of them, for example ["ZZII", '
                '"0.5*XXII - 0.25*ZIII"] or [[["XXII", 0.5], ["ZIII", -0.25]]], not '
                f"{value!r}"
            )
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return value and known("encoding", value, ENCODINGS)

    @field_validator("ansatz")
    @classmethod
    def _known_ansatz(cls, value: str | None) -> str | None:
        return value and known("ansatz", value, ANSATZE)


def _is_observable(value: Any) -> bool:
    """Whether it is a text, or a list of pairs of letters and a number."""
    if isinstance(value, str):
        return True
    return isinstance(value, list | tuple) and all(
        isinstance(term, list | tuple) and list(map(type, term)) in ([str, float], [str, int])
        for term in value
    )


def unknown_layer_keys(values: Mapping[str, Any]) -> Iterator[str]:
    """The mistakes in a recipe's [layer] that only the recipe's model tells from its own keys."""
    layer, model = values.get("layer"), values.get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    plan = _models().get(str(name)) if isinstance(layer, Mapping) else None
    names = [*LayerSection.model_fields, *(plan.layer_keys if plan else ())]
    for key in layer if isinstance(layer, Mapping) else ():
        if key not in names:
            yield f"layer.{key}: no such key; {suggest(key, names)}"


def _models() -> Mapping[str, ModelPlan]:
    # Models bring torch along, which only a recipe with a model has to wait for.
    from models import MODELS

    return MODELS
