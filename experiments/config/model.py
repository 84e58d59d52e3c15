"""The sections [model] and [layer]: the network, and what is changed of its quantum layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from qbackend.errors import suggest
from qbackend.layers.ansatze import ANSATZE
from qbackend.layers.encodings import ENCODINGS

from .section import Section, known

if TYPE_CHECKING:
    from models import ModelPlan

CLASSICAL = "classical"
"""The arm that is the recipe's classical twin: another network, not the hybrid's with a part
exchanged."""


class ModelSection(Section):
    """The network."""

    name: str
    """A model of `models.list_models()`."""
    arm: str = "quantum"
    """What stands where the circuit is, one of `models.arms_of(name)`; or the classical twin as a
    whole."""

    @field_validator("name")
    @classmethod
    def _known_model(cls, value: str) -> str:
        return known("model", value, _models())

    @field_validator("arm")
    @classmethod
    def _known_arm(cls, value: str, info: ValidationInfo) -> str:
        plan = _models().get(info.data.get("name", ""))
        arms = plan.arms if plan else ()
        # Which arm goes with a classical model is for the model as a whole to say.
        return known("arm", value, arms) if arms and value != CLASSICAL else value

    @model_validator(mode="after")
    def _arm_of_the_model(self) -> ModelSection:
        if bool(_models()[self.name].arms) == (self.arm == CLASSICAL):
            raise ValueError(
                f"arm '{self.arm}' does not go with '{self.name}': '{CLASSICAL}' is the arm of "
                "the classical models, and of them alone"
            )
        return self


class LayerSection(Section):
    """Changes to the model's quantum layer; what is not given stays the model's own.

    Keys of one kind of network alone (`ModelPlan.layer_keys`) are taken as they are.
    """

    model_config = ConfigDict(extra="allow")

    n_wires: int | None = Field(default=None, ge=1)
    encoding: str | None = None
    ansatz: str | None = None
    n_layers: int | None = Field(default=None, ge=1)
    observables: tuple[str, ...] | None = None
    pattern: str | None = None
    """Of a network with quantum pointwise convolutions: which of its 1x1 convolutions they are."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return value and known("encoding", value, ENCODINGS)

    @field_validator("ansatz")
    @classmethod
    def _known_ansatz(cls, value: str | None) -> str | None:
        return value and known("ansatz", value, ANSATZE)


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
