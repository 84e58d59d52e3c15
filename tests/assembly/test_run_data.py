"""The images of a run: what cannot be trained on, and what it cannot go on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.records.folder import RunFolder
from models import MODELS

from ..support.command_line import Qhc


def write(path: Path, value: int, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (side, side), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def rename(images: Path) -> None:
    """Every label moves by one."""
    (images / "a").rename(images / "d")


def add(images: Path) -> None:
    """Another division into splits."""
    write(images / "b" / "99.png", 99)


def change(images: Path) -> None:
    write(images / "c" / "0.png", 10**6)


def leave(images: Path) -> None:
    """As they were."""


@pytest.mark.parametrize("alter", [rename, add, change, leave])
@pytest.mark.parametrize("again", [("--checkpoint", "begun"), ()], ids=["validation", "training"])
def test_a_run_goes_on_with_the_images_it_began_with(
    qhc: Qhc, again: tuple[str, ...], alter: Callable[[Path], None]
) -> None:
    for index in range(12):
        for name in "abc":
            write(Path("images") / name / f"{index}.png", 40 * index + ord(name))
    data = ("--dataset", "folder:images")
    settings = ("--epochs", "1", "--set", "train.batch_size=8")
    assert qhc("run", *data, *settings, "--out", "begun")[0] == 0
    name = "begun"
    if again:
        name = "validated"
        assert qhc("run", *again, *data, "--out", name)[0] == 0
    RunFolder.open(Path(name)).note(status="interrupted")
    alter(Path("images"))
    code, _, err = qhc("resume", name)
    if alter is leave:
        assert code == 0, err
    else:
        classes_first = again and alter is rename
        assert code == 2
        assert ("is at another place" if classes_first else "have changed since") in err


@pytest.mark.parametrize(
    "model", [name for name in MODELS if name.startswith(("hybrid", "classical"))]
)
def test_images_too_small_for_the_network(qhc: Qhc, model: str) -> None:
    """One pixel is left of them at the last pooling but one."""
    for index in range(12):
        for name in "abc":
            write(Path("images") / name / f"{index}.png", 40 * index + ord(name), side=1)
    arm = ("--set", "model.arm=classical") if model.startswith("classical") else ()
    named = ("--set", f"model.name={model}", *arm)
    code, out, err = qhc("run", "--dataset", "folder:images", *named, "--out", "made")
    assert (code, out) == (2, ""), err
    assert f"images of 1x1 pixels are too small for {model}" in err
    assert "--set data.size=" in err
    assert not Path("made").exists()
