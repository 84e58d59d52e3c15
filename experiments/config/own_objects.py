"""What of a config is the user's own: found once, known by its files, and asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qbackend.errors import ConfigError, suggest

from .own_code import module_of, object_of, read_code
from .sections import Config

ARMS = "ARMS"
"""The name under which the module of a network may offer its arms."""
ONE_ARM = ("quantum",)


def with_own_code(config: Config, folders: Sequence[Path]) -> Config:
    """The config with its references found below the folders, and their files known.

    Raises `ConfigError` for what cannot be found or imported, or is nothing to be called, and for
    an arm that there is not.
    """
    given = references(config)
    if not given:
        return config.model_copy(update={"code": None})
    recorded = config.code
    code, written = read_code(given, recorded, folders)
    model, data, train = config.model, config.data, config.train
    if "model.factory" in written:
        model = model.model_copy(update=_named(model, written["model.factory"]))
    if "data.factory" in written:
        data = data.model_copy(update=_named(data, written["data.factory"]))
    if "train.loss" in written:
        train = train.model_copy(update={"loss": written["train.loss"]})
    if train.metrics is not None:
        metrics = tuple(
            written.get(f"train.metrics.{place}", each) for place, each in enumerate(train.metrics)
        )
        train = train.model_copy(update={"metrics": metrics})
    found = config.model_copy(update={"code": code, "model": model, "data": data, "train": train})
    if recorded is not None:
        return found
    for key in given:
        own_callable(found, key)
    return found if model.factory is None else _with_arm(found)


def references(config: Config) -> dict[str, str]:
    """Every reference to the user's own, by its key."""
    found = {"model.factory": config.model.factory, "data.factory": config.data.factory}
    if ":" in config.train.loss:
        found["train.loss"] = config.train.loss
    for place, metric in enumerate(config.train.metrics or ()):
        found[f"train.metrics.{place}"] = metric
    return {key: value for key, value in found.items() if value is not None}


def own_callable(config: Config, key: str) -> Callable[..., Any]:
    """The function or class under a key of `references`; raises `ConfigError`."""
    reference = references(config)[key]
    found = object_of(reference, config.code, key)
    if not callable(found):
        raise ConfigError(
            f"{key} is nothing to be called:",
            [f"{reference} is a {type(found).__name__}; name a function or a class"],
        )
    return found


def own_arms(config: Config) -> tuple[str, ...]:
    """The arms that the network's module offers; raises `ConfigError`."""
    reference = references(config)["model.factory"]
    offered = getattr(module_of(reference, config.code, "model.factory"), ARMS, ONE_ARM)
    is_list = isinstance(offered, list | tuple) and offered
    if not is_list or not all(isinstance(each, str) and each for each in offered):
        raise ConfigError(
            "model.factory offers no arms:",
            [f'{ARMS} must be names, for example ARMS = ("quantum", "linear"), not {offered!r}'],
        )
    return tuple(offered)


def own_model(config: Config) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The function that makes the network, and its arms; raises `ConfigError`."""
    return own_callable(config, "model.factory"), own_arms(config)


def _named(section: Any, reference: str) -> dict[str, str]:
    """A section's factory as a record has it, and the name that follows from it."""
    is_default = section.name == section.factory
    return {"factory": reference, **({"name": reference} if is_default else {})}


def _with_arm(config: Config) -> Config:
    """With the first arm where none was chosen and there is no 'quantum'."""
    arms, model = own_arms(config), config.model
    if "arm" not in model.model_fields_set and model.arm not in arms:
        return config.model_copy(update={"model": model.model_copy(update={"arm": arms[0]})})
    if model.arm not in arms:
        raise ConfigError(
            "model.arm is none of the network's:",
            [
                f"unknown arm '{model.arm}' of '{model.factory}': {suggest(model.arm, arms)}"
                + ("" if arms != ONE_ARM else f"; its module offers no {ARMS}")
            ],
        )
    return config
