"""Data that a function of the user's own returns: any pair of torch Datasets.

Letters: N inputs, F features, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from qbackend.errors import DataError

from .source import Images
from .splits import Split

NAMES = ("train", "validation", "test")
RETURNS = (
    "it must return torch Datasets of (input, class number): (train, test), or (train, "
    "validation, test), or a dict of these names"
)
TASKS = (
    "qhc run trains classifiers; for regression and several labels at once, train the model in "
    "Python and validate it by qbackend.validate"
)


class Items(Protocol):
    """What is wanted of a Dataset."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Any: ...


def own_data(name: str, returned: Any) -> Images:
    """The splits of what a function of that name returned; inputs are read once, into memory.

    Images of uint8, (C, H, W) each, are normalised and augmented as qhc's own; every other input is
    taken as it is, in float32. Class names are the attribute `classes` of the training Dataset.

    Raises:
        DataError: anything but Datasets of inputs of one shape and of class numbers.
    """
    datasets = _by_name(name, returned)
    notes: list[str] = []
    splits = {part: _split(name, part, each, notes) for part, each in datasets.items()}
    _check_alike(name, splits)
    classes = _classes(name, datasets["train"], splits)
    shape = tuple(splits["train"].images.shape[1:])
    if not is_viewable(splits["train"].images):
        notes.append(
            f"inputs are of shape {shape}, no images of one or three channels: the report shows "
            "none of them"
        )
    return Images(
        train=splits["train"],
        test=splits["test"],
        validation=splits.get("validation"),
        classes=classes,
        notes=tuple(notes),
    )


def is_viewable(inputs: Tensor) -> bool:
    """Whether inputs (N, ...) are images that a report can show."""
    return inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def viewable(inputs: Tensor) -> Tensor | None:
    """Images (N, C, H, W) in uint8, what is not from black to white; None for other inputs."""
    if not is_viewable(inputs):
        return None
    if inputs.dtype == torch.uint8 or len(inputs) == 0:
        return inputs.to(torch.uint8)
    low, high = inputs.amin(), inputs.amax()
    return ((inputs - low) / (high - low).clamp_min(1e-12) * 255).round().to(torch.uint8)


def _by_name(name: str, returned: Any) -> dict[str, Items]:
    datasets: Mapping[str, Any]
    if isinstance(returned, Mapping) and {"train", "test"} <= returned.keys() <= set(NAMES):
        datasets = returned
    elif isinstance(returned, list | tuple) and len(returned) in (2, 3):
        names = NAMES if len(returned) == 3 else ("train", "test")
        datasets = dict(zip(names, returned, strict=True))
    else:
        raise DataError(f"{name} returned {_words(returned)}; {RETURNS}")
    for part, each in datasets.items():
        if not (hasattr(each, "__len__") and hasattr(each, "__getitem__")) or len(each) == 0:
            raise DataError(
                f"{name}: its {part} split is {_words(each)}, which has no length and no items (a "
                f"Dataset that is iterated over has to be made a list first); {RETURNS}"
            )
    return dict(datasets)


def _words(value: Any) -> str:
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"


def _split(name: str, part: str, items: Items, notes: list[str]) -> Split:
    inputs, labels = [], []
    for place in range(len(items)):
        try:
            given, target = items[place]
        # A Dataset of the user's own may fail in any way.
        except Exception as error:
            raise DataError(
                f"{name}: item {place} of its {part} split gives no pair of input and target: "
                f"{type(error).__name__}: {error}; {RETURNS}"
            ) from error
        inputs.append(_input(name, part, place, given))
        labels.append(_label(name, part, place, target))
        if inputs[-1].shape != inputs[0].shape or inputs[-1].dtype != inputs[0].dtype:
            raise DataError(
                f"{name}: inputs of its {part} split differ: item 0 is {_tensor_words(inputs[0])}, "
                f"item {place} {_tensor_words(inputs[-1])}; make them alike"
            )
    first = _input(name, part, 0, items[0][0])
    if first.shape != inputs[0].shape or not torch.equal(first, inputs[0]):
        notes.append(
            f"item 0 of the {part} split of {name} is another each time it is read, and each item "
            "is read once: random changes of every epoch are those of [data.augmentation]"
        )
    return Split.whole(torch.stack(inputs), torch.tensor(labels))


def _input(name: str, part: str, place: int, given: Any) -> Tensor:
    try:
        found = given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name}: the input of item {place} of its {part} split is no tensor but a "
            f"{type(given).__name__}: {error}; images become tensors by torchvision's ToTensor"
        ) from None
    if found.ndim == 0 or found.is_complex():
        raise DataError(
            f"{name}: the input of item {place} of its {part} split is {_tensor_words(found)}; it "
            "must have at least one dimension and real numbers: (F,) for a row of a table"
        )
    is_image = found.dtype == torch.uint8 and found.ndim == 3
    found = found.detach().cpu() if is_image else found.detach().cpu().to(torch.float32)
    if not is_image and not torch.isfinite(found).all():
        raise DataError(
            f"{name}: item {place} of its {part} split has a NaN or an infinite number; leave such "
            "items out, or fill them in"
        )
    return found


def _label(name: str, part: str, place: int, target: Any) -> int:
    found = torch.as_tensor(target) if not isinstance(target, Tensor) else target
    whole = found.numel() == 1 and not found.is_floating_point() and not found.is_complex()
    if not whole or found.dtype == torch.bool or int(found) < 0:
        raise DataError(
            f"{name}: the target of item {place} of its {part} split is {_tensor_words(found)}, no "
            f"class number (0, 1, …); class numbers in floating point are converted by .long(). "
            f"{TASKS}"
        )
    return int(found)


def _tensor_words(found: Tensor) -> str:
    kind = str(found.dtype).removeprefix("torch.")
    value = f" ({found.item():g})" if found.numel() == 1 and not found.is_complex() else ""
    return f"{kind} of shape {tuple(found.shape)}{value}"


def _check_alike(name: str, splits: Mapping[str, Split]) -> None:
    train = splits["train"].images
    for part, split in splits.items():
        if split.images.shape[1:] != train.shape[1:] or split.images.dtype != train.dtype:
            raise DataError(
                f"{name}: inputs of the {part} split are {_tensor_words(split.images[0])}, those "
                f"of the training {_tensor_words(train[0])}"
            )


def _classes(name: str, train: Any, splits: Mapping[str, Split]) -> tuple[str, ...]:
    most = max(int(split.labels.max()) for split in splits.values()) + 1
    given: Sequence[Any] | None = getattr(train, "classes", None)
    if given is None:
        return tuple(str(number) for number in range(max(most, 2)))
    names = tuple(str(each) for each in given)
    if len(names) < max(most, 2) or len(set(names)) < len(names):
        raise DataError(
            f"{name}: the training Dataset's `classes` are {len(names)} names "
            f"({', '.join(names[:5])}), and its class numbers go to {most - 1}: give each class "
            "(at least two) a name of its own"
        )
    return names
