"""Exchanging the 1x1 convolutions of any network, by name.

>>> from torchvision.models import resnet18
>>> from models import quantize_pointwise, restore_pointwise
>>> network = quantize_pointwise(resnet18(), "layer*.downsample.0", depth=2, backend="native")
>>> network = restore_pointwise(network)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import TypeVar

from torch import nn

from qbackend import QuantumPointwiseConv2d
from qbackend.errors import OptionError, suggest
from qbackend.layers.inputs import seed_or_drawn
from qbackend.seam.backend import QuantumBackend

from .streams import part_seed, weights_from

Model = TypeVar("Model", bound=nn.Module)


def is_pointwise(module: nn.Module) -> bool:
    """Whether it is a 1x1 convolution over all channels, without padding."""
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.groups == 1
        and module.padding in ((0, 0), "valid")
    )


def exchange_pointwise(
    model: Model, pattern: str, make: Callable[[str, nn.Conv2d], nn.Module]
) -> Model:
    """Put another module in the place of every 1x1 convolution whose name matches the pattern.

    Args:
        model: changed in place; itself no convolution.
        pattern: of dotted names, with the wildcards of a shell: `layer*.downsample.0`.
        make: what stands in for a convolution, from its name and itself.

    Returns:
        the model.

    Raises:
        OptionError: the pattern matches no 1x1 convolution, or the model contains none.
    """
    found = {name: each for name, each in model.named_modules() if name and is_pointwise(each)}
    if not found:
        raise OptionError("the model contains no 1x1 convolution over all channels to exchange")
    names = [name for name in found if fnmatchcase(name, pattern)]
    if not names:
        raise OptionError(
            f"'{pattern}' matches no 1x1 convolution of the model: {suggest(pattern, found)}"
        )
    for name in names:
        convolution = found[name]
        assert isinstance(convolution, nn.Conv2d)
        _put(model, name, make(name, convolution))
    return model


def quantize_pointwise(
    model: Model,
    pattern: str,
    depth: int,
    *,
    ansatz: str = "strongly_entangling",
    backend: str | QuantumBackend = "aer",
    shots: int | None = None,
    seed: int | None = None,
    gradient: str = "auto",
) -> Model:
    """Put a `QuantumPointwiseConv2d` in the place of every matching 1x1 convolution.

    Channels and stride stay as they are; a bias becomes the affine map per channel, which has one.
    The convolutions' weights are lost: a circuit's outputs are quadratic in the channels.

    Args:
        model: changed in place.
        pattern: as `exchange_pointwise` takes it.
        depth: layers of each circuit.
        ansatz: of each circuit.
        backend: where the circuits run, or the name of it.
        shots: per circuit, where a named backend samples.
        seed: with a layer's name, of its initial weights and of its sampling; None draws one from
            torch's generator.
        gradient: how the circuits are differentiated, see `QuantumLayer`.

    Returns:
        the model.

    Raises:
        OptionError: the pattern matches nothing, or the backend cannot do the layer.
        SpecError: no such ansatz or depth.
    """

    seed = seed_or_drawn(seed)

    def make(name: str, convolution: nn.Conv2d) -> nn.Module:
        return QuantumPointwiseConv2d(
            convolution.in_channels,
            convolution.out_channels,
            depth,
            ansatz,
            backend,
            stride=(convolution.stride[0], convolution.stride[1]),
            affine=convolution.bias is not None,
            shots=shots,
            seed=part_seed(seed, name),
            gradient=gradient,
        )

    return exchange_pointwise(model, pattern, make)


def restore_pointwise(model: Model, pattern: str = "*", *, seed: int | None = None) -> Model:
    """Put a new 1x1 convolution in the place of every matching quantum one.

    Channels and stride stay as they are, an affine map becomes a bias. A model that has none to
    restore is left alone.

    Args:
        model: changed in place.
        pattern: of dotted names, as `exchange_pointwise` takes it.
        seed: with a layer's name, of its initial weights; None draws one from torch's generator.

    Returns:
        the model.
    """
    seed = seed_or_drawn(seed)
    for name, layer in list(quantum_pointwise(model)):
        if name and fnmatchcase(name, pattern):
            with weights_from(seed, name):
                convolution = nn.Conv2d(
                    layer.in_channels,
                    layer.out_channels,
                    1,
                    layer.stride,
                    bias=layer.scale is not None,
                )
            _put(model, name, convolution)
    return model


def quantum_pointwise(model: nn.Module) -> Iterator[tuple[str, QuantumPointwiseConv2d]]:
    """The model's quantum pointwise convolutions with their names, in the order of registration."""
    for name, module in model.named_modules():
        if isinstance(module, QuantumPointwiseConv2d):
            yield name, module


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put the module where the one of that name was: in its mode, on its device, of its dtype."""
    old = next(model.get_submodule(name).parameters())
    module.to(device=old.device, dtype=old.dtype).train(model.training)
    parent, _, own = name.rpartition(".")
    # `setattr` would work for attributes alone; parts of a Sequential have numbers for names.
    model.get_submodule(parent)._modules[own] = module
