"""Reading a recipe: a TOML file, its protocol, its arm and the values given on the command line.

A recipe file holds the sections of `Config` and, beside them, what differs: `[published]` and
`[matched]` for the two protocols, `[arms.NAME]` for one arm, `[published.arms.NAME]` for one arm
under one protocol, and `[optimisers.NAME]` for one optimiser. Later wins: sections, arm, protocol,
arm under the protocol, optimiser, `--set`.

A run's own `config.toml` is a recipe too: what it records beside the recipe is left out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qbackend.errors import ConfigError, SpecError, UnknownNameError, suggest

from .machine import MachineSection
from .model import CLASSICAL
from .own_circuit import with_own_circuit
from .own_objects import with_own_code
from .run import RunSection
from .section import table_types
from .sections import PROTOCOLS, Config

_FOLDER = Path(__file__).parent / "recipes"
OF_ANY_DATA = ("validation", "stratified", "validation_from_test")
"""Keys of [data] that have a meaning whatever the data are."""
_RECORDED = ("versions", "quantum_layer", "computer")

Values = dict[str, Any]


def list_recipes() -> list[str]:
    """Names of the recipes that come with qhc."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_config(recipe: str, settings: Iterable[str] = ()) -> Config:
    """The config that a recipe (a name or a TOML file) and `key=value` settings resolve to.

    Raises:
        UnknownNameError: there is no such recipe.
        ConfigError: every mistake in the recipe and in the settings.
    """
    path = _find(recipe)
    values = _read(path)
    if "versions" in values:
        values = _without_records(values)
    values.setdefault("recipe", path.stem)
    return configure(values, settings, f"recipe {recipe}", path.parent)


def configure(
    values: Values, settings: Iterable[str], source: str, folder: Path | None = None
) -> Config:
    """The config that a recipe's values and `key=value` settings resolve to.

    Raises `ConfigError` for every mistake; `source` says whose values they are, `folder` where the
    files are that they name, if not in the working folder.
    """
    mistakes: list[str] = []
    overrides: Values = {}
    for setting in settings:
        _set(overrides, setting, mistakes)
    if overrides or mistakes:
        source += " with the values given"
    resolved = merge(_select(dict(values), overrides, mistakes), overrides)
    _leave_out_others(resolved, overrides)
    config = Config.from_dict(resolved, source, mistakes)
    try:
        layer = with_own_circuit(config.layer, folder or Path())
    except SpecError as error:
        raise ConfigError(f"{source} has a mistake:", [str(error)]) from error
    config = config.model_copy(update={"layer": layer})
    return with_own_code(config, [Path.cwd(), folder or Path()])


def _leave_out_others(resolved: Values, typed: Values) -> None:
    """What the recipe says of another circuit, network or dataset has none for a typed one."""
    tables = {key: table for key, table in typed.items() if isinstance(table, Mapping)}
    if "circuit" in tables.get("layer", {}):
        resolved["layer"] = tables["layer"]
    for key in ("model", "data"):
        table = tables.get(key, {})
        if "factory" in table:
            of_both = (
                {}
                if key == "model"
                else {
                    each: value for each, value in resolved["data"].items() if each in OF_ANY_DATA
                }
            )
            resolved[key] = {**of_both, **table}
        elif "name" in table and isinstance(resolved[key], dict):
            for each in ("factory", "arguments", "seed"):
                resolved[key].pop(each, None)


def merge(*tables: Mapping[str, Any]) -> Values:
    """One table out of several, key by key through all levels; later ones win."""
    merged: Values = {}
    for table in tables:
        for key, value in table.items():
            both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = merge(merged[key], value) if both else value
    return merged


def _find(recipe: str) -> Path:
    if recipe in list_recipes():
        return _FOLDER / f"{recipe}.toml"
    path = Path(recipe)
    if path.is_dir() and (path / "config.toml").is_file():
        return path / "config.toml"
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise UnknownNameError(f"there is no recipe file {recipe}")
    raise UnknownNameError(f"unknown recipe '{recipe}': {suggest(recipe, list_recipes())}")


def _read(path: Path) -> Values:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def _without_records(values: Values) -> Values:
    """The recipe inside a run's `config.toml`."""
    kept = {key: value for key, value in values.items() if key not in _RECORDED}
    for name, section in (("run", RunSection), ("machine", MachineSection)):
        table = values.get(name, {})
        kept[name] = {key: value for key, value in table.items() if key in table_types(section)}
    return kept


def _select(values: Values, overrides: Values, mistakes: list[str]) -> Values:
    """The sections of the chosen protocol and arm, merged."""
    tables = {
        name: _pop_table(values, name, mistakes) for name in (*PROTOCOLS, "arms", "optimisers")
    }
    own = values.get("protocol", PROTOCOLS[0])
    protocol = overrides.get("protocol", own)
    variant = dict(tables[protocol]) if protocol in PROTOCOLS else {}
    if protocol in PROTOCOLS and protocol != own and not variant:
        mistakes.append(f"protocol: the recipe has no [{protocol}] part")
    arms, variant_arms = tables["arms"], _pop_table(variant, "arms", mistakes)
    arm = _arm(merge(values, variant, overrides))
    is_own = "factory" in {**_table(values, "model"), **_table(overrides, "model")}
    if arm == CLASSICAL and arm not in arms and _arm(values) != CLASSICAL and not is_own:
        mistakes.append("model.arm: the recipe names no classical twin in [arms.classical.model]")
    merged = merge(values, arms.get(arm, {}), variant, variant_arms.get(arm, {}))
    optimiser = _entry(merge(merged, overrides), "train", "optimiser")
    return merge(merged, tables["optimisers"].get(optimiser, {}))


def _arm(values: Values) -> str:
    return _entry(values, "model", "arm")


def _entry(values: Values, table: str, key: str) -> str:
    found = values.get(table)
    return str(found.get(key)) if isinstance(found, dict) else ""


def _table(values: Values, name: str) -> Values:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _pop_table(values: Values, name: str, mistakes: list[str]) -> Values:
    table = values.pop(name, {})
    if isinstance(table, dict):
        return table
    mistakes.append(f"{name}: must be a table, got {table!r}")
    return {}


def _set(table: Values, setting: str, mistakes: list[str]) -> None:
    """Enter `dotted.key=value` into `table`; the value is TOML, or else plain text."""
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        mistakes.append(f"{setting}: write key=value, for example train.lr=0.001")
        return
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            mistakes.append(f"{key}: {part} is a value, not a table")
            return
    table[parts[-1]] = value
