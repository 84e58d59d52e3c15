"""What a model is validated on: batches of inputs and targets, read once.

Letters: B items of a batch, N items together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError
from ..layers.inputs import whole_number

Inputs: TypeAlias = "Tensor | tuple[Tensor, ...] | dict[str, Tensor]"
"""Of a model: what it is called with, by position where there are several, or by name."""

BATCH = 256
"""Items of a dataset that are taken together."""

EXPECTED = (
    "data is an iterable of batches (inputs (B, ...), targets (B, ...)), for example "
    "DataLoader(dataset, batch_size=64), a Dataset, or a pair of tensors"
)


@dataclass(frozen=True)
class Batches:
    """Items in their order.

    Attributes:
        inputs: of each batch.
        targets: of each batch, (B, ...).
    """

    inputs: tuple[Inputs, ...]
    targets: tuple[Tensor, ...]

    def __len__(self) -> int:
        """N."""
        return sum(len(each) for each in self.targets)

    @property
    def target(self) -> Tensor:
        """Of all items, (N, ...), on the CPU."""
        together = torch.cat([each.detach().cpu() for each in self.targets])
        # NumPy has no bfloat16.
        return together.float() if together.dtype == torch.bfloat16 else together

    @property
    def sha256(self) -> str:
        """By which the same items in the same order are known, however they are batched."""
        digests: dict[str, Any] = {}
        for inputs, targets in zip(self.inputs, self.targets, strict=True):
            for name, tensor in {**_named(inputs), "targets": targets}.items():
                start = repr((name, str(tensor.dtype), tuple(tensor.shape[1:]))).encode()
                digest = digests.setdefault(name, hashlib.sha256(start))
                digest.update(tensor_bytes(tensor))
        together = "".join(digests[name].hexdigest() for name in sorted(digests))
        return hashlib.sha256(together.encode()).hexdigest()


def read_batches(data: Any, limit: int | None = None) -> Batches:
    """The first items of what a user gives, all without a `limit`; an iterator is read once.

    A dataset of torch's is taken in batches, in its order.

    Raises:
        InputError: no items, or what is none of the kinds that `EXPECTED` names.
        OptionError: a limit below 1.
    """
    if limit is not None:
        limit = whole_number("limit", limit)
    inputs: list[Inputs] = []
    targets: list[Tensor] = []
    left = limit
    for given in _iterated(data):
        batch_inputs, batch_targets = _checked(given)
        if left is not None:
            batch_inputs, batch_targets = _first(batch_inputs, left), batch_targets[:left]
            left -= len(batch_targets)
        if len(batch_targets):
            inputs.append(batch_inputs)
            targets.append(batch_targets)
        if left == 0:
            break
    if not targets:
        raise InputError(f"there is nothing in the data; {EXPECTED}")
    return Batches(tuple(inputs), tuple(targets))


def called(model: nn.Module, inputs: Inputs) -> Any:
    """What the model gives for a batch, which goes to where its weights are."""
    first = next(chain(model.parameters(), model.buffers()), None)
    device = torch.device("cpu") if first is None else first.device
    if isinstance(inputs, dict):
        return model(**{name: each.to(device) for name, each in inputs.items()})
    if isinstance(inputs, tuple):
        return model(*(each.to(device) for each in inputs))
    return model(inputs.to(device))


def _iterated(data: Any) -> Iterator[Any]:
    if isinstance(data, Dataset):
        return iter(DataLoader(data, batch_size=BATCH))
    if isinstance(data, tuple | list) and len(data) == 2:
        one, other = data
        if isinstance(one, Tensor | np.ndarray) and isinstance(other, Tensor | np.ndarray):
            return iter([data])
    if not isinstance(data, Iterable) or isinstance(data, str | Mapping | Tensor | np.ndarray):
        raise InputError(f"{EXPECTED}; got {_kind(data)}")
    return iter(data)


def _checked(given: Any) -> tuple[Inputs, Tensor]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InputError(f"{EXPECTED}; an element of it is {_kind(given)}")
    inputs, targets = _as_inputs(given[0]), _as_tensor(given[1])
    if targets is None or targets.ndim == 0:
        raise InputError(
            f"{EXPECTED}; the targets of a batch are {_kind(given[1])}: where these are single "
            "items, DataLoader(list_of_items, batch_size=64) makes batches of them"
        )
    lengths = {len(each) if each.ndim else 0 for each in _named(inputs).values()}
    if lengths != {len(targets)}:
        found = ", ".join(str(tuple(each.shape)) for each in _named(inputs).values())
        raise InputError(
            f"a batch has inputs {found} and targets {tuple(targets.shape)}: they differ in the "
            f"number of items, their first number; {EXPECTED}"
        )
    return inputs, targets


def _as_inputs(given: Any) -> Inputs:
    found: Any
    if isinstance(given, Mapping):
        found = {str(name): _as_tensor(each) for name, each in given.items()}
        parts = list(found.values())
    elif isinstance(given, tuple | list):
        found = tuple(_as_tensor(each) for each in given)
        parts = list(found)
    else:
        found = _as_tensor(given)
        parts = [found]
    if not parts or any(part is None for part in parts):
        raise InputError(
            f"the inputs of a batch are {_kind(given)}: a tensor, or tensors in a tuple or a dict "
            "that the model is called with"
        )
    return found


def _as_tensor(given: Any) -> Tensor | None:
    if isinstance(given, np.ndarray):
        return torch.from_numpy(given)
    return given if isinstance(given, Tensor) else None


def _first(inputs: Inputs, count: int) -> Inputs:
    if isinstance(inputs, dict):
        return {name: each[:count] for name, each in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(each[:count] for each in inputs)
    return inputs[:count]


def _named(inputs: Inputs) -> dict[str, Tensor]:
    if isinstance(inputs, dict):
        return {f"inputs.{name}": each for name, each in inputs.items()}
    parts = inputs if isinstance(inputs, tuple) else (inputs,)
    return {f"inputs.{place}": each for place, each in enumerate(parts)}


def tensor_bytes(tensor: Tensor) -> bytes:
    """Its numbers as they are in memory."""
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    # NumPy has no bfloat16.
    return plain.view(torch.uint8).numpy().tobytes() if len(plain) else b""


def _kind(given: Any) -> str:
    if isinstance(given, Tensor):
        return f"a tensor of shape {tuple(given.shape)}"
    return f"a {type(given).__name__}"
