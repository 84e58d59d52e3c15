"""Networks that a function of the user's own makes, with any quantum layers in them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from torch import nn
from torch.nn.parameter import is_lazy

from qbackend import QuantumLayer
from qbackend.errors import OptionError, QhcError, UserError
from qbackend.layers.program import Layer

from .cnn import to_backend
from .plan import LayerOptions, ModelPlan, Spec
from .streams import weights_from

ONE_ARM = ("quantum",)
"""Of a module that offers no ARMS."""


@dataclass(frozen=True)
class FactoryPlan(ModelPlan):
    """A network that a function makes.

    Attributes:
        name: of the function, as its user wrote it.
        find: the function, and the arms that its module offers; asked when they are needed, since
            that executes the user's own file.
        arguments: of the function, by name.
        layer: that a recipe describes for it, None where it describes none.
        shape: of one input.
    """

    name: str
    find: Callable[[], tuple[Callable[..., Any], tuple[str, ...]]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    layer: Layer | None = None
    shape: tuple[int, ...] = ()

    plain_arm = "quantum"

    @property
    def arms(self) -> tuple[str, ...]:
        return self.find()[1]

    @property
    def quantum_arms(self) -> tuple[str, ...]:
        """All of them: which of them have quantum layers is known once they are made."""
        return self.arms

    def describe(self, arm: str) -> str:
        return f"(a network of your own, arm {arm})"

    def bridge(self, arm: str) -> str | None:
        return "quantum layer"

    def layers(self, arm: str) -> Spec | None:
        return None

    def build(self, arm: str, seed: int, **options: Unpack[LayerOptions]) -> nn.Module:
        """The network, its weights drawn from the seed, all its quantum layers on the backend.

        Raises:
            UnknownNameError: no such arm.
            OptionError: the function does not take what it is given, fails, or makes no network.
        """
        factory, _ = self.find()
        self.check(self.name, arm, None)
        offered = {
            "shape": self.shape,
            "n_classes": self.n_classes,
            "arm": arm,
            "seed": seed,
            "backend": options["backend"],
            **({} if self.layer is None else {"layer": self.layer}),
        }
        with weights_from(seed, "network"):
            model = call_by_name(self.name, factory, offered, self.arguments, "model")
        if not isinstance(model, nn.Module):
            raise OptionError(
                f"{self.name} returned a {type(model).__name__}; it must return a torch.nn.Module "
                "from inputs (B, ...) to logits (B, classes)"
            )
        check_sized(model, self.name)
        to_backend(model, options["backend"], shots=options["shots"], seed=seed)
        if options["gradient"] != "auto":
            for layer in model.modules():
                if isinstance(layer, QuantumLayer):
                    layer.to_backend(layer.backend, seed=seed, gradient=options["gradient"])
        return model


def call_by_name(
    name: str,
    function: Callable[..., Any],
    offered: Mapping[str, Any],
    arguments: Mapping[str, Any],
    section: str,
) -> Any:
    """What a function returns, given what it asks for by the names of its parameters.

    Args:
        name: of the function, as its user wrote it.
        function: of the user's own.
        offered: what it may ask for.
        arguments: what it is given in any case; they win.
        section: of the recipe whose `arguments` these are.

    Raises:
        OptionError: it takes an argument not, needs one that there is not, or fails.
    """
    taken = _parameters(function)
    takes_all = any(each.kind is each.VAR_KEYWORD for each in taken.values())
    names = [
        n
        for n, each in taken.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    unknown = [] if takes_all else [each for each in arguments if each not in names]
    known = {**offered, **arguments}
    given = known if takes_all else {each: known[each] for each in names if each in known}
    missing = [
        n
        for n, each in taken.items()
        if each.default is each.empty
        and n not in given
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if "layer" in offered and "layer" not in given:
        raise OptionError(
            f"layer: the recipe has a [layer], and {name} takes none: give it a parameter `layer` "
            "(a LayerSpec or CircuitLayer for QuantumLayer), or leave [layer] out"
        )
    blocked = [n for n in missing if taken[n].kind is taken[n].POSITIONAL_ONLY and n in known]
    if blocked:
        raise OptionError(
            f"{name}{inspect.signature(function)} cannot be called: it is given "
            f"{', '.join(blocked)} by name, and the `/` behind them forbids that; take the `/` out"
        )
    if unknown or missing:
        said = [f"it takes no {', '.join(unknown)}"] if unknown else []
        said += [f"it needs {', '.join(missing)}"] if missing else []
        raise OptionError(
            f"{name}({', '.join(map(str, taken.values()))}) cannot be called: {'; '.join(said)}. "
            f"It may ask by name for {', '.join(offered)}, and for what [{section}.arguments] "
            f"says ({', '.join(arguments) or 'nothing'})"
            + (f": --set {section}.arguments.{missing[0]}=VALUE" if missing else "")
            + (
                "; `layer` is what [layer] says: --set layer.n_wires=4"
                if "layer" in missing and section == "model"
                else ""
            )
        )
    try:
        return function(**given)
    except UserError as error:
        raise OptionError(f"{name}: {error}{_place(error)}") from error
    except QhcError:
        raise
    # Whatever the user's own lines raise.
    except Exception as error:
        raise OptionError(
            f"{name} failed: {type(error).__name__}: {error}{_place(error)}"
        ) from error


def check_sized(model: nn.Module, name: str) -> None:
    """Raise `OptionError` for lazy modules: a checkpoint of theirs would fit no new network."""
    if found := [key for key, each in model.named_parameters() if is_lazy(each)]:
        raise OptionError(
            f"the network of {name} has parameters without a shape ({', '.join(found)}): give its "
            "lazy modules their sizes, or call it once before it is returned, "
            "model(torch.zeros(2, *shape))"
        )


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # compiled code may not say
        return {}


def _place(error: BaseException) -> str:
    """The last line of the user's file that an error passed."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename).name
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("_own_"):
            place = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place
