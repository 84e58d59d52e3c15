"""The trained models of a joint run: what each is called, and which can be asked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from models import find_plan
from qbackend import QuantumLayer
from qbackend.errors import CheckpointError, OptionError

from ..assembly.backends import ideal_backend
from ..assembly.construct import quantum_layers, trained_model
from ..config.sections import Config
from ..data.splits import ImageData
from ..records.checkpoint import ModelInfo, load_model_info
from ..rows.count import rows_per_image

FEWEST_IMAGES = 2
"""Of one alone, no error has a spread."""


@dataclass(frozen=True)
class Member:
    """One of several models that a device answers in one run.

    Attributes:
        name: that tables have.
        checkpoint: path of the one that was given, for the record.
        info: what the checkpoint says of it.
        model: its circuits without noise.
        data: the images, with the pixel scale of the model.
    """

    name: str
    checkpoint: str
    info: ModelInfo
    model: nn.Module
    data: ImageData

    def check(self) -> None:
        """Raise `OptionError` for a network of the user's own that needs answers one by one."""
        rows = [1] if not _is_own(self.info) else rows_per_image(self.model, self.data)
        if rows not in ([], [1]):
            words = f"{len(rows)} quantum layers" if len(rows) > 1 else f"its layer {rows[0]} times"
            raise OptionError(
                f"an input passes {words} in {self.info.model} ({self.checkpoint}): checkpoints "
                "are asked together whose one quantum layer an input passes once; by itself: "
                f"qhc run --checkpoint {self.checkpoint}"
            )

    @property
    def layer(self) -> QuantumLayer | None:
        """The quantum layer that an image passes once; None for an arm without."""
        layers = quantum_layers(self.model)
        return layers[0] if layers else None


def member_names(checkpoints: Sequence[str]) -> list[str]:
    """Short names of several checkpoints: as many of the last parts of their paths as it takes.

    >>> member_names(["runs/a/checkpoint.safetensors", "runs/b/checkpoint.safetensors"])
    ['a', 'b']
    """
    paths = [Path(each) for each in checkpoints]
    parts = [(path.parent if path.suffix == ".safetensors" else path).parts for path in paths]
    if len(set(parts)) < len(parts):
        parts = [path.parts for path in paths]
    longest = max(map(len, parts))
    for depth in range(1, longest):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return ["/".join(each) for each in parts]


def leading_first(checkpoints: Sequence[Path]) -> tuple[list[Path], list[ModelInfo]]:
    """The files and what they say of their models, those with quantum layers before the others.

    Raises:
        CheckpointError: one cannot be read.
        OptionError: one is of a network of the user's own, whose own code it does not share with
            the others.
    """
    infos = [load_model_info(each) for each in checkpoints]
    _check_code(checkpoints, infos)
    has_layer = list(map(_is_quantum, checkpoints, infos))
    order = sorted(range(len(infos)), key=lambda place: not has_layer[place])
    return [checkpoints[place] for place in order], [infos[place] for place in order]


def check_together(
    checkpoints: Sequence[Path], infos: Sequence[ModelInfo], config: Config, *, other_data: bool
) -> None:
    """Raise for checkpoints that cannot be asked in one run.

    Args:
        checkpoints: their files.
        infos: what each says of its model.
        config: of the run, the first one's with what was typed.
        other_data: whether all are shown a dataset that was named for them.

    Raises:
        CheckpointError: one was trained on other images than the first.
        OptionError: what is asked of one model alone, or a network whose layers take many rows of
            an image.
    """
    _check_asked(config)
    first = infos[0]
    for checkpoint, info in zip(checkpoints, infos, strict=True):
        is_pixelwise = not _is_own(info) and find_plan(info.model).is_pixelwise
        if is_pixelwise and _is_quantum(checkpoint, info):
            raise OptionError(
                f"an image takes hundreds of rows of {info.model} ({checkpoint}): checkpoints are "
                "asked together whose one quantum layer an image passes once; rows of this one's "
                f"feature maps: qhc run --checkpoint {checkpoint} --backend {config.run.backend}"
            )
        if not other_data and _shown(info) != _shown(first):
            raise CheckpointError(
                f"{checkpoint} was trained on {_words(info)}, {checkpoints[0]} on {_words(first)}: "
                "checkpoints that are asked together answer the same test images. Ask it by "
                f"itself: qhc run --checkpoint {checkpoint} --backend {config.run.backend}; or "
                "show all of them one set: --dataset NAME"
            )


def _check_asked(config: Config) -> None:
    """Raise `OptionError` for what is asked of one model alone."""
    run = config.run
    for flag, is_given in (
        ("--train", config.train.weights == "quantum"),
        ("--rows", run.rows is not None),
        ("--set run.mitigations", run.mitigations is not None),
    ):
        if is_given:
            raise OptionError(
                f"{flag} is for one checkpoint: leave it out, or all --checkpoint but one"
            )
    if run.limit is not None and run.limit < FEWEST_IMAGES:
        raise OptionError(
            f"--limit must be at least {FEWEST_IMAGES} to compare checkpoints, got {run.limit}"
        )


def _check_code(checkpoints: Sequence[Path], infos: Sequence[ModelInfo]) -> None:
    """Raise `OptionError` for code of the user's own that the run could not keep a copy of."""
    first = _code(infos[0])
    for checkpoint, info in zip(checkpoints, infos, strict=True):
        code = _code(info)
        if code != first:
            names = sorted({*code, *first} - {k for k in code if code[k] == first.get(k)})
            raise OptionError(
                f"{checkpoint} and {checkpoints[0]} are of other code of your own "
                f"({', '.join(names)}): checkpoints of the same files are asked together. Ask it "
                f"by itself: qhc run --checkpoint {checkpoint}; and put both runs side by side: "
                "qhc report RUN RUN"
            )


def _code(info: ModelInfo) -> dict[str, str]:
    """SHA-256 of the files that it depends on."""
    return dict(info.config.get("code", {}).get("sha256", {}))


def _is_own(info: ModelInfo) -> bool:
    return info.config["model"].get("factory") is not None


def _is_quantum(checkpoint: Path, info: ModelInfo) -> bool:
    """Whether it has a quantum layer; a network of the user's own is made to see that."""
    if not _is_own(info):
        return info.arm in find_plan(info.model).quantum_arms
    model, _ = trained_model(checkpoint, backend=ideal_backend(), seed=info.seed)
    return bool(quantum_layers(model))


def _shown(info: ModelInfo) -> tuple[object, ...]:
    """What test images, and what may be known of them, follow from."""
    data = info.config["data"]
    own_division = data.get("validation_from_test", False)
    return own_division, *(
        data.get(key) for key in ("name", "size", "range", "factory", "arguments")
    )


def _words(info: ModelInfo) -> str:
    data = info.config["data"]
    words = data["name"] + (f" of {data['size']} pixels" if data.get("size") else "")
    if data.get("arguments"):
        words += f" with {', '.join(f'{k} = {v!r}' for k, v in data['arguments'].items())}"
    return words + (", chosen by its test images" if data.get("validation_from_test") else "")
