"""From a recipe, a run or a model of one's own to what the checks look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.streams import weights_from
from qbackend import get_backend
from qbackend.errors import OptionError, UnknownNameError
from qbackend.generic.finding import find
from qbackend.layers.inputs import whole_number
from qbackend.registry import check_name, parse_name
from qbackend.seam.backend import QuantumBackend

from ..assembly.backends import target_backend
from ..assembly.construct import new_model, quantum_layers, trained_model
from ..assembly.feed import load_images
from ..assembly.same_data import check_size
from ..assembly.shown_data import in_classes_of
from ..config.of_checkpoint import with_data_of_training
from ..config.recipe import list_recipes, load_config
from ..config.sections import Config
from ..data.load import load_data
from ..data.sources import SOURCES
from ..data.splits import ImageData
from ..records.checkpoint import load_model_info
from ..training.optimise import build_loss, build_optimiser
from .factory import built
from .parts import find_parts
from .subject import Samples, Subject

CHECKPOINT = "checkpoint.safetensors"
EXACT = "native"
"""Where the circuits run while everything but their noise is looked at."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for beside the target.

    Attributes:
        data_root: folder of the datasets.
        backend: where the circuits are to run, None for the target's own.
        images: number of training samples that the model is shown.
        seed: of everything that is drawn, None for the target's own.
        data: a dataset or a recipe whose data a model of one's own is shown.
        input_shape: of one sample, where there is no data: (C, H, W).
        settings: changes to a recipe, as `key=value`.
    """

    data_root: Path
    backend: str | None = None
    images: int = 128
    seed: int | None = None
    data: str | None = None
    input_shape: tuple[int, ...] | None = None
    settings: tuple[str, ...] = ()

    def of_recipe(self) -> list[str]:
        """The same as settings of a recipe."""
        given = {"run.backend": self.backend, "run.seed": self.seed}
        return [*self.settings, *(f"{k}={v!r}" for k, v in given.items() if v is not None)]


def subject_of(target: str, wishes: Wishes) -> Subject:
    """What a target's name stands for.

    Args:
        target: a recipe (name or file), a run's folder or its checkpoint, MODULE:NAME or
            FILE.py:NAME.
        wishes: what else was asked for.

    Raises:
        UserError: there is no such thing, or it cannot be read or built.
    """
    # A BatchNorm that is trained takes no single image.
    whole_number("images", wishes.images, least=2)
    path = Path(target)
    is_recipe = target in list_recipes() or path.suffix == ".toml"
    beside = [] if is_recipe else sorted(path.glob("checkpoint-*.safetensors"))
    if beside:
        names = ", ".join(map(str, (path / CHECKPOINT, *beside)))
        raise OptionError(f"{target} is a run of several checkpoints; name one of them: {names}")
    if not is_recipe and (path / CHECKPOINT).is_file():
        return _of_checkpoint(
            target, path / CHECKPOINT, load_config(target, wishes.of_recipe()), wishes
        )
    if not is_recipe and path.suffix == ".safetensors":
        recorded = load_model_info(path).config
        config = Config.from_dict(recorded, f"checkpoint {path}", [])
        return _of_checkpoint(target, path, config, wishes)
    if ":" in target and not is_recipe and not path.exists():
        return _of_factory(target, wishes)
    if not is_recipe and path.is_dir():
        raise UnknownNameError(f"{target} is not a run with a trained model: no {CHECKPOINT} in it")
    for option, value in (("--data", wishes.data), ("--input-shape", wishes.input_shape)):
        if value is not None:
            raise OptionError(
                f"a recipe brings its own data; leave {option} out, or type --set data.name=NAME"
            )
    return _of_recipe(target, load_config(target, wishes.of_recipe()), wishes)


def _of_recipe(name: str, config: Config, wishes: Wishes) -> Subject:
    data = load_images(config, wishes.data_root, torch.device("cpu"))
    check_size(config, data)
    plain = config.train.model_copy(update={"gradient": "auto"})
    model = new_model(config.model_copy(update={"train": plain}), data, backend=EXACT)
    subject = _on_images(name, model, data, wishes.images, config.run.seed)
    return _as_configured(subject, config)


def _of_checkpoint(name: str, checkpoint: Path, config: Config, wishes: Wishes) -> Subject:
    info = load_model_info(checkpoint)
    config = with_data_of_training(config, info.config)
    data = load_images(config, wishes.data_root, torch.device("cpu"))
    data = in_classes_of(info, data, checkpoint)
    check_size(config, data)
    seed = config.run.seed
    model, _ = trained_model(checkpoint, backend=EXACT, seed=seed)
    data = replace(data, mean=info.mean, std=info.std)
    subject = _on_images(name, model, data, wishes.images, seed)
    return replace(_as_configured(subject, config), trained=True)


def _of_factory(target: str, wishes: Wishes) -> Subject:
    for setting in wishes.settings[:1]:
        raise OptionError(
            f"--set {setting} is for recipes and runs; leave it out, and give what concerns the "
            "data in a recipe: --data my.toml"
        )
    if wishes.backend is not None:
        check_name(wishes.backend)
    if (wishes.input_shape is None) == (wishes.data is None):
        raise OptionError(
            "say what the model takes, in one way: --data mnist (a dataset, folder:DIR or a "
            "recipe), or --input-shape 1x28x28 for random numbers"
        )
    seed = wishes.seed or 0
    offered: dict[str, Any] = {"arm": "quantum", "seed": seed, "backend": EXACT}
    data = None
    if wishes.data is not None:
        data = _data(wishes.data, wishes, seed)
        offered |= {"shape": tuple(data.train.images.shape[1:]), "n_classes": len(data.classes)}
    else:
        offered["shape"] = wishes.input_shape
    with weights_from(seed, "network"):
        model, optimiser = built(target, offered)
    own = {layer: layer.backend for layer in quantum_layers(model)}
    for layer in own:
        layer.to_backend(EXACT)
    if data is not None:
        subject = _on_images(target, model, data, wishes.images, seed)
    else:
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(wishes.images, *offered["shape"], generator=generator)
        subject = Subject(target, model, inputs, None, seed=seed)
    backends: dict[str, QuantumBackend] = {}
    refusals: Mapping[str, str] = {}
    if wishes.backend is not None:
        made, refusals = _backend(wishes.backend, partial(get_backend, wishes.backend, seed=seed))
        backends = {part.name: made for part in find_parts(model)} if made else {}
    else:
        backends = {part.name: own[part.layers[0]] for part in find_parts(model) if part.layers}
    shots = next((each.shots for each in backends.values() if each.shots), None)
    return replace(subject, optimiser=optimiser, backends=backends, refusals=refusals, shots=shots)


def _data(name: str, wishes: Wishes, seed: int) -> ImageData:
    if name in SOURCES or name.startswith("folder:"):
        return load_data(name, root=wishes.data_root, seed=seed)
    return load_images(load_config(name), wishes.data_root, torch.device("cpu"))


def _on_images(name: str, model: nn.Module, data: ImageData, n: int, seed: int) -> Subject:
    splits = {
        "training": Samples(data.train.images, data.train.labels),
        "validation": Samples(data.validation.images, data.validation.labels),
    }
    is_shared = data.validation.images is data.test.images
    splits["test"] = (
        splits["validation"] if is_shared else Samples(data.test.images, data.test.labels)
    )
    mean, std = (torch.tensor(each)[:, None, None] for each in (data.mean, data.std))

    def prepare(images: Tensor) -> Tensor:
        # Inputs of the user's own that are no images are taken as they are.
        return (images.float() / 255 - mean) / std if data.mean else images.float()

    drawn = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))[:n]
    return Subject(
        name,
        model,
        prepare(data.train.images[drawn]),
        data.train.labels[drawn],
        splits=splits,
        prepare=prepare,
        classes=data.classes,
        seed=seed,
    )


def _as_configured(subject: Subject, config: Config) -> Subject:
    """With the loss, the optimiser and the backend that a config names."""
    # Shots would only blur what the noise does.
    exact = config.run.model_copy(update={"shots": None, "calibrate": None})
    made, refusals = _backend(
        config.run.backend, partial(target_backend, config.model_copy(update={"run": exact}))
    )
    trained: Sequence[Any] = [each for each in subject.model.parameters() if each.requires_grad]
    return replace(
        subject,
        loss=build_loss(config),
        optimiser=build_optimiser(subject.model, config.train, fused=False) if trained else None,
        is_frozen=config.model.arm == "quantum-frozen",
        backends={part.name: made for part in find_parts(subject.model)} if made else {},
        refusals=refusals,
        shots=config.run.shots,
    )


def _backend(
    name: str, make: Callable[[], QuantumBackend]
) -> tuple[QuantumBackend | None, dict[str, str]]:
    """The backend, or why there is none to ask."""
    parsed = parse_name(name)
    if parsed.is_machine:
        return None, {"backend": f"'{name}' is not asked: nothing is sent to a machine"}
    if parsed.key == "qiskit" and parsed.argument is not None:
        model = getattr(getattr(find(parsed.argument), "options", None), "noise_model", None)
        if model is not None and model.is_ideal():
            return None, {"noise": f"'{name}' has a noise model, and no error in it"}
    return make(), {}


def input_shape(text: str) -> tuple[int, ...]:
    """From "1x28x28" or "16"; raises `OptionError`."""
    parts: Iterable[str] = text.replace(",", "x").split("x")
    try:
        shape = tuple(int(part) for part in parts)
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise OptionError(f"--input-shape {text}: write the sizes of one sample, as in 1x28x28")
    return shape
