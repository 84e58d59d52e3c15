"""What a run is: the sections of a resolved recipe, each value with its meaning and its limits.

A `Config` is frozen and complete; `recipe.py` makes one from a recipe and the values given on the
command line. Every mistake in it is reported at once, under its dotted key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from qbackend.errors import ConfigError, suggest
from qbackend.layers.definitions import layer_of
from qbackend.registry import parse_name
from qbackend.seam.backend_name import BackendName

from .data import DataSection
from .machine import MachineSection
from .model import LayerSection, ModelSection, unknown_layer_keys
from .own_files import CodeSection
from .run import FabricSection, LogSection, NoiseSection, RunSection
from .section import Section, table_types
from .train import TrainSection

Protocol = Literal["matched", "published"]
PROTOCOLS: tuple[Protocol, ...] = ("matched", "published")


class Config(Section):
    """A resolved recipe."""

    recipe: str
    """Name of the recipe, or stem of its file."""
    description: str = ""
    """What the recipe trains on what, in a sentence for reports."""
    protocol: Protocol = "matched"
    """matched gives every arm the same front end, optimiser, schedule, splits and seeds; published
    has the settings of the paper that the network is from."""
    remarks: tuple[str, ...] = ()
    """What a reader of the results must know and no value says."""
    run: RunSection = RunSection()
    noise: NoiseSection = NoiseSection()
    machine: MachineSection = MachineSection()
    data: DataSection
    model: ModelSection
    layer: LayerSection = LayerSection()
    train: TrainSection
    fabric: FabricSection = FabricSection()
    log: LogSection = LogSection()
    code: CodeSection | None = None
    """The user's own files that the recipe names; written by qhc."""

    @property
    def backend(self) -> BackendName:
        """The name under [run], taken apart."""
        return parse_name(self.run.backend)

    def notes(self) -> list[str]:
        """Every quirk in force, a sentence each; printed and recorded with the results."""
        train, data = self.train, self.data
        quirks = {
            "the two sides of the published comparison differ in optimiser, decay, schedule, "
            "clipping, widths, dropout and pooling; protocol=matched compares like with like": (
                self.protocol == "published"
            ),
            "the test split serves as validation split: the best epoch is chosen on the images "
            "that it is then tested on": data.validation_from_test,
            "validation images are augmented, so that validation accuracy is not that of the "
            "images as they are": data.augment_validation,
            "training and validation images are divided at random, not class by class": (
                not data.stratified
            ),
            "images are augmented after normalising: what moves in at their borders is the "
            "dataset's mean grey, not the black of the background": (
                data.augment_normalised and any(data.augmentation.model_dump().values())
            ),
            "of epochs of equal validation accuracy the later one is kept": train.ties == "later",
            "validation and test losses include the label smoothing of "
            f"{train.label_smoothing:g}": (
                self.protocol == "published" and train.label_smoothing > 0
            ),
            f"the learning rate restarts every {train.restart_every} batches": (
                train.schedule == "cosine_restarts"
            ),
            f"precision {self.fabric.precision} is that of the training and its validation; the "
            "test is in 32 bits": self.fabric.precision != "32-true",
            f"on CUDA float32 products are of {self.fabric.matmul_precision} precision while "
            "training; the test's are exact to float32": self.fabric.matmul_precision != "highest",
            "weight decay is an L2 penalty inside Adam's step, not AdamW's decoupled one": (
                train.optimiser == "adam" and train.weight_decay > 0
            ),
        }
        return [*self.remarks, *(note for note, holds in quirks.items() if holds)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values without those that are not given, for TOML and JSON."""
        values = self.model_dump(mode="json", exclude_none=True)
        if not self.backend.is_machine:
            # What a simulator never reads would only fill its record.
            values["machine"] = self.model_dump(
                mode="json", include={"machine"}, exclude_defaults=True
            ).get("machine", {})
        return values

    def compared(self) -> dict[str, Any]:
        """The same, equal for configs of equal results: a circuit has many texts, and one key."""
        values = self.to_dict()
        # What is captured has the bits of what is called.
        values["fabric"].pop("capture")
        if self.code is not None:
            # The same files may lie anywhere.
            values["code"] = dict(self.code.sha256)
        if self.layer.circuit is not None:
            layer = layer_of(values["layer"])
            values["layer"] = {"circuit": f"{layer.title}, {layer.key[:12]}"}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str, mistakes: list[str]) -> Config:
        """The config of those values.

        Raises:
            ConfigError: for all mistakes in the values, and the `mistakes` found before; `source`
                says whose they are.
        """
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            mistakes = [*mistakes, *map(_describe, _whole(error.errors()))]
        mistakes = [*mistakes, *unknown_layer_keys(values)]
        if mistakes:
            count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
            raise ConfigError(f"{source} has {count}:", mistakes)
        return config


def _whole(details: Sequence[Any]) -> list[Any]:
    """Without lists that are too short because items of theirs are mistakes themselves."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(len(p) > len(detail["loc"]) and p[: len(detail["loc"])] == detail["loc"]
                   for p in places)
    ]  # fmt: skip


def _describe(detail: Any) -> str:
    """One of pydantic's errors as `dotted.key: what is wrong`."""
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: no such key; {suggest(str(detail['loc'][-1]), _keys(detail['loc'][:-1]))}"
    if detail["type"] == "missing":
        return f"{key}: must be given"
    if detail["type"] in ("model_type", "dataclass_type"):
        return f"{key}: must be a table, got {detail['input']!r}"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}"
    return f"{key}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {detail['input']!r}"


def _keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at `path`."""
    table: object = Config
    for part in path:
        assert isinstance(table, type)
        table = table_types(table)[str(part)]
    assert isinstance(table, type)
    return list(table_types(table))
