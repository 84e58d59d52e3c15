"""A trained model on other images and other backends: what is refused, and what is noted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from experiments.assembly.construct import model_info, new_model
from experiments.assembly.feed import load_images
from experiments.assembly.shown_data import difference_notes, in_classes_of
from experiments.config.of_checkpoint import config_of_trained
from experiments.config.recipe import load_config
from experiments.data.splits import ImageData
from experiments.records.checkpoint import load_model_info, save_model
from experiments.records.folder import RunFolder
from experiments.report.words import loss_words
from experiments.run import notes as run_notes
from qbackend import get_backend
from qbackend.errors import CheckpointError, ConfigError

from ..support.command_line import Qhc, assert_refused

DIGITS = load_config("digits")


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images(DIGITS, Path("unused"), torch.device("cpu"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, digits: ImageData) -> Path:
    """Of a model with its initial weights, which is as good here as a trained one."""
    path = tmp_path_factory.mktemp("trained") / "checkpoint.safetensors"
    model = new_model(DIGITS, digits, backend=get_backend("aer"))
    save_model(path, model, model_info(DIGITS, digits, epoch=1))
    return path


OF_THE_MODEL = (
    "model.arm=linear",
    "model.name=hybrid-mnist",
    "layer.n_layers=4",
    "layer.n_wires=3",
    "layer.encoding=angle",
    "layer.ansatz=strongly_entangling",
    'layer.observables=["XIII"]',
)
OF_THE_TRAINING = (
    "train.epochs=3",
    "train.lr=0.5",
    "train.optimiser=sgd",
    "train.label_smoothing=0",
    "train.weights=quantum",
    "train.limit=100",
    "train.gradient=spsa",
    "data.validation=0.5",
    "data.validation_from_test=true",
    "data.augmentation.flip=true",
    "log.tensorboard=true",
    "fabric.precision=bf16-mixed",
)
OF_NOTHING = (
    "recipe=mnist",
    "protocol=published",
    "protocol='published'",
    "description=better",
    'remarks=["none"]',
    "fabric.devices=2",
    "fabric.strategy=ddp",
)
OF_THE_EVALUATION = (
    "run.seed=4",
    "run.backend=native",
    "run.shots=100",
    "run.limit=10",
    "data.name=mnist",
    "data.size=16",
    "data.range=[0, 4095]",
    "data.download=false",
    "train.batch_size=8",
    "fabric.accelerator=cpu",
)


def of_trained(*settings: str, trains: bool = False) -> dict[str, object]:
    return config_of_trained(DIGITS.to_dict(), settings, "it", trains=trains).to_dict()


@pytest.mark.parametrize("setting", [*OF_THE_MODEL, *OF_THE_TRAINING, *OF_NOTHING])
def test_what_an_evaluation_cannot_change_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of_trained(setting)
    key = setting.partition("=")[0]
    (line,) = [line for line in caught.value.mistakes if line.startswith(key)]
    assert "leave it out" in line
    if setting in OF_THE_MODEL:
        assert "train another one: qhc run --recipe digits --set" in line
    elif setting in OF_THE_TRAINING:
        assert "add --train quantum" in line


@pytest.mark.parametrize("setting", OF_THE_EVALUATION)
def test_what_an_evaluation_depends_on_is_taken(setting: str) -> None:
    assert of_trained(setting) != of_trained()


@pytest.mark.parametrize("setting", ["model.arm=quantum", "train.lr=0.01", "recipe=digits"])
def test_what_says_the_same_again_is_taken(setting: str) -> None:
    assert of_trained(setting) == of_trained()


@pytest.mark.parametrize("setting", OF_THE_TRAINING)
def test_fine_tuning_takes_what_belongs_to_a_training(setting: str) -> None:
    assert of_trained(setting, trains=True) != of_trained(trains=True)


@pytest.mark.parametrize("setting", [*OF_THE_MODEL, *OF_NOTHING])
def test_fine_tuning_leaves_the_network_as_it_is(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        of_trained(setting, trains=True)


@pytest.mark.parametrize("trains", [False, True])
def test_the_protocol_is_the_trainings(trains: bool) -> None:
    with pytest.raises(ConfigError, match="protocol: it tells how the model was trained"):
        of_trained("protocol=published", trains=trains)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        of_trained("layer.n_layers=4", "train.lr=1", "run.limit=3")
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize("command", ["run", "estimate"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "layer.n_layers=4"), "qhc run --recipe digits --set layer.n_layers=4"),
        (("--set", "model.arm=linear"), "the model comes as it was trained"),
        (("--train-limit", "100"), "train.limit (--train-limit): nothing is trained"),
        (("--gradient", "spsa"), "train.gradient (--gradient): nothing is trained"),
        (("--set", "machine.primitive=estimator"), "only has a meaning on a machine"),
    ],
)
def test_the_command_refuses_before_anything_is_made(
    qhc: Qhc, checkpoint: Path, command: str, arguments: tuple[str, ...], words: str
) -> None:
    assert_refused(qhc, words, command, "--checkpoint", str(checkpoint), *arguments)


def write_digits(folder: Path, *, side: int = 8, prefix: str = "", n: int = 3) -> None:
    """Some of each digit, in a folder of that name."""
    found = load_digits()
    for digit in range(10):
        home = folder / f"{prefix}{digit}"
        home.mkdir(parents=True)
        for index, image in enumerate(found.images[found.target == digit][:n]):
            pixels = Image.fromarray((image * 255 / 16).astype("uint8"))
            pixels.resize((side, side)).save(home / f"{index}.png")


def notes_of(qhc: Qhc, checkpoint: Path, *arguments: str) -> list[str]:
    """What is recorded, and printed before the results."""
    code, _, err = qhc("run", "--checkpoint", str(checkpoint), "--out", "shown", *arguments)
    assert code == 0, err
    notes = list(RunFolder.open(Path("shown")).state.notes)
    assert all(f"note: {note}" in err for note in notes)
    return notes


def test_other_images_are_noted(qhc: Qhc, checkpoint: Path) -> None:
    write_digits(Path("images"), side=12, prefix="digit ", n=5)
    notes = notes_of(qhc, checkpoint, "--dataset", "folder:images")
    assert notes[-4:-1] == [
        "the model was trained on digits, and is shown folder:images",
        "the model was trained on images of 8x8 pixels, and is shown 12x12",
        "the model's classes are 0, 1, 2, …, those of folder:images are digit 0, digit 1, "
        "digit 2, …: the first counts as the first, and so on",
    ]
    assert notes[-1].startswith(
        "pixels are normalised as in the model's training, by mean 0.3053 and deviation 0.3758; "
        "folder:images has 0."
    )


def test_the_same_images_are_not_noted(qhc: Qhc, checkpoint: Path) -> None:
    assert notes_of(qhc, checkpoint) == []


def test_an_estimate_notes_other_images(qhc: Qhc, checkpoint: Path) -> None:
    write_digits(Path("images"), side=12, n=5)
    code, _, err = qhc(
        "estimate", "--checkpoint", str(checkpoint), "--dataset", "folder:images",
        "--backend", "fake_manila", "--limit", "20",
    )  # fmt: skip
    assert code == 0, err
    assert "note: the model was trained on images of 8x8 pixels, and is shown 12x12" in err
    assert "note: run.limit is 20, and there are 10 test images: all of them are taken" in err


def test_another_seed_is_noted(qhc: Qhc, checkpoint: Path) -> None:
    (note,) = notes_of(qhc, checkpoint, "--seed", "5")
    assert note.startswith("the model was trained with seed 0; seed 5 draws")


def test_other_channels_are_refused(digits: ImageData, checkpoint: Path) -> None:
    colour = replace(
        digits, test=replace(digits.test, images=digits.test.images.repeat(1, 3, 1, 1))
    )
    with pytest.raises(CheckpointError, match=r"3 channels. Train a model for it: qhc run --data"):
        in_classes_of(load_model_info(checkpoint), colour, checkpoint)


def test_classes_are_found_by_their_names(digits: ImageData, checkpoint: Path) -> None:
    """Whatever their order, and where some are absent."""
    info = load_model_info(checkpoint)
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    places = torch.tensor([order.index(label) for label in range(10)])
    splits = {}
    for name in ("train", "validation", "test"):
        split = getattr(digits, name)
        splits[name] = replace(split, labels=places[split.labels])
    shuffled = replace(digits, classes=tuple(str(label) for label in order), **splits)
    found = in_classes_of(info, shuffled, checkpoint)
    assert found.classes == info.classes
    assert torch.equal(found.test.labels, digits.test.labels)
    assert difference_notes(info, found) == []

    few = digits.test.select(
        ((digits.test.labels == 3) | (digits.test.labels == 8)).nonzero()[:, 0]
    )
    labels = (few.labels == 8).long()
    part = replace(few, labels=labels)
    shown = replace(digits, classes=("3", "8"), train=part, validation=part, test=part)
    found = in_classes_of(info, shown, checkpoint)
    assert found.classes == info.classes
    assert torch.equal(found.test.labels, few.labels)

    with pytest.raises(CheckpointError, match="has 2 classes"):
        in_classes_of(info, replace(shown, classes=("3", "B")), checkpoint)


def test_checkpoints_of_before_the_size_was_kept_still_load(
    qhc: Qhc, checkpoint: Path, tmp_path: Path
) -> None:
    with safe_open(checkpoint, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert json.loads(metadata.pop("size")) == [8, 8]
    save_file(tensors, tmp_path / "old.safetensors", metadata)
    assert load_model_info(tmp_path / "old.safetensors").size is None
    assert notes_of(qhc, tmp_path / "old.safetensors") == []


def test_one_process_is_recorded_where_several_trained(
    qhc: Qhc, digits: ImageData, tmp_path: Path
) -> None:
    config = load_config("digits", ["fabric.devices=2", "fabric.strategy=ddp"])
    path = tmp_path / "two.safetensors"
    model = new_model(config, digits, backend=get_backend("aer"))
    save_model(path, model, model_info(config, digits, epoch=1))
    assert notes_of(qhc, path) == []
    fabric = RunFolder.open(Path("shown")).config().fabric
    assert (fabric.devices, fabric.strategy) == (1, "auto")


@pytest.mark.parametrize("backend", ["aer:fake_manila", "native:fake_manila"])
def test_an_arm_without_a_circuit_is_noted_where_a_device_is_named(qhc: Qhc, backend: str) -> None:
    code, _, err = qhc(
        "run", "--set", "model.arm=linear", "--backend", backend, "--epochs", "1", "--out", "here"
    )
    assert code == 0, err
    words = f"hybrid-digits (arm linear) has no quantum layer: nothing of it runs on {backend}"
    assert words in RunFolder.open(Path("here")).state.notes


def test_going_on_with_other_versions_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path / "run", DIGITS, notes=["odd"])
    run_notes.note_versions(folder)
    assert folder.state.notes == ("odd",)
    now = {**folder.versions, "torch": "9.9", "commit": "another"}
    monkeypatch.setattr(run_notes, "versions", lambda: now)
    run_notes.note_versions(folder)
    before = folder.versions["torch"]
    assert folder.state.notes == (
        "odd",
        f"resumed with torch 9.9 in place of {before}",
    )


def test_the_report_names_the_loss_that_was_made_small() -> None:
    margin = load_config("digits", ["train.loss=margin", "train.label_smoothing=0"])
    assert loss_words(DIGITS) == "cross-entropy, label smoothing 0.1"
    assert loss_words(margin).startswith("multi-class hinge with a margin of 1")


def test_mixed_precision_is_noted() -> None:
    config = load_config("digits", ["fabric.precision=bf16-mixed"])
    assert any("the test is in 32 bits" in note for note in config.notes())
    assert not DIGITS.notes()


@pytest.mark.parametrize("names", [("1", "2", "x"), ("x", "0", "y")])
def test_names_that_are_the_models_at_other_places_are_refused(
    names: tuple[str, ...], digits: ImageData, checkpoint: Path
) -> None:
    info = load_model_info(checkpoint)
    shown = replace(digits, classes=(*names, *(f"other {place}" for place in range(7))))
    with pytest.raises(CheckpointError, match="at another place"):
        in_classes_of(info, shown, checkpoint)
    # Where those that are known are where the model has them, the others may be new names.
    kept = replace(digits, classes=("0", "1", *(f"other {place}" for place in range(8))))
    assert in_classes_of(info, kept, checkpoint).classes == kept.classes
