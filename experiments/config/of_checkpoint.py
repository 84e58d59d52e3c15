"""The recipe of a trained model's evaluation: its training's, but for what leaves the model alone.

What would change the model, or tell of a training that did not take place, is refused: the
checkpoint decides it, and a record must not say otherwise.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qbackend.errors import ConfigError

from .recipe import Values, configure, list_recipes
from .sections import PROTOCOLS, Config

FINE_TUNING_EPOCHS = 1
"""Of a trained model, where no number is given."""

_OF_A_MODEL = ("model", "layer")
_EVALUATED = (
    *("run", "noise", "machine", "train.batch_size", "fabric.accelerator"),
    *("data.name", "data.size", "data.range", "data.download"),
    *("data.factory", "data.arguments", "data.seed", "train.metrics", "code"),
)
"""What an evaluation depends on beside the model."""
_TRAINED = (*_EVALUATED, "data", "train", "log", "fabric.precision")
"""The same where the circuit's weights are trained before."""

_FLAGS = {"train.limit": "--train-limit", "train.gradient": "--gradient"}


def config_of_trained(
    recorded: Values,
    settings: Iterable[str],
    source: str,
    *,
    trains: bool,
    folder: Path | None = None,
) -> Config:
    """The config of a trained model's evaluation, or of its fine-tuning.

    Args:
        recorded: the config that the model was trained by, as its checkpoint says.
        settings: what was typed, as `key=value`.
        source: whose values they are, for messages.
        trains: whether the circuit's weights are trained before the evaluation.
        folder: where the checkpoint is, with the user's own code beside it.

    Raises:
        ConfigError: every mistake in the settings, and each of them that the checkpoint decides.
    """
    run = {k: v for k, v in recorded["run"].items() if k in ("backend", "seed")}
    # Neither is what was once allowed to be spent allowed again.
    machine = {k: v for k, v in recorded.get("machine", {}).items() if k != "max_qpu_seconds"}
    train = {
        k: v for k, v in recorded["train"].items() if k not in ("weights", "limit", "gradient")
    }
    if trains:
        # A rate that rises and falls over thousands of steps would not move in a few.
        train |= {"epochs": FINE_TUNING_EPOCHS, "schedule": "constant"}
    values = {**recorded, "run": run, "noise": {}, "machine": machine, "train": train}
    settings = list(settings)
    own_protocol = recorded.get("protocol", PROTOCOLS[0])
    if any(_names_another(setting, "protocol", own_protocol) for setting in settings):
        # A checkpoint's recipe is that of one protocol, the other is not in it.
        mistake = _refusal("protocol", None, recorded["recipe"], trains=trains)
        raise ConfigError(f"{source} is not changed by the values given:", [mistake])
    own, config = (configure(values, given, source, folder) for given in ([], settings))
    before, after = dict(_flat(own.model_dump(mode="json"))), _flat(config.model_dump(mode="json"))
    free = _TRAINED if trains else _EVALUATED
    differing = [
        (key, value)
        for key, value in after
        if value != before.get(key) and not _is_below(key, free)
    ]
    if any(key == "layer.circuit" for key, _ in differing):
        # What else a circuit brings along would only repeat it, and its text fills a screen.
        differing = [each for each in differing if not _is_below(each[0], ["layer"])]
        differing.append(("layer.circuit", "FILE"))
    mistakes = [_refusal(key, value, own.recipe, trains=trains) for key, value in differing]
    if mistakes:
        raise ConfigError(f"{source} is not changed by the values given:", mistakes)
    return with_data_of_training(config, recorded)


def with_data_of_training(config: Config, recorded: Values) -> Config:
    """The config whose own data are divided as in the training that `recorded` is the config of."""
    data = config.data
    if data.factory is None or data.seed is not None:
        return config
    seed = recorded["data"].get("seed", recorded["run"]["seed"])
    return config.model_copy(update={"data": data.model_copy(update={"seed": seed})})


def _refusal(key: str, value: Any, recipe: str, *, trains: bool) -> str:
    typed = f"{key} ({_FLAGS[key]})" if key in _FLAGS else key
    if _is_below(key, _OF_A_MODEL):
        known = recipe if recipe in list_recipes() else "FILE"
        return (
            f"{typed}: the model comes as it was trained; leave it out, or train another one: "
            f"qhc run --recipe {known} --set {shlex.quote(f'{key}={json.dumps(value)}')}"
        )
    if _is_below(key, _TRAINED) and not trains:
        return f"{typed}: nothing is trained; leave it out, or add --train quantum"
    return f"{typed}: it tells how the model was trained, or has no effect on it now; leave it out"


def _names_another(setting: str, key: str, value: str) -> bool:
    """Whether a `key=value` gives that key another value."""
    given, _, text = setting.partition("=")
    return given.strip() == key and text.strip().strip("\"'") != value


def _is_below(key: str, tables: Iterable[str]) -> bool:
    return any(key == table or key.startswith(f"{table}.") for table in tables)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value under its dotted key."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
