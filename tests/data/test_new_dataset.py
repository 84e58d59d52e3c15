"""Another dataset takes one file: this one, and every command knows it by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.data.source import Images, Source
from experiments.data.sources import SOURCES
from experiments.data.splits import Split
from experiments.records.folder import RunFolder

from ..support.command_line import Qhc, last_line


class Stripes(Source):
    """Stripes across or along: a file of images and one of labels per split."""

    @property
    def folder(self) -> str:
        return "stripes"

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.address,)

    def count(self, folder: Path) -> tuple[int, int]:
        train, test = (len(np.load(folder / f"{name}.npy")) for name in ("train", "test"))
        return train, test

    def read(self, root: Path) -> Images:
        train, test = (self._split(root, name) for name in ("train", "test"))
        return Images(train, test, ("across", "along"))

    def download(self, root: Path) -> None:
        """Made here, in place of a download."""
        (root / self.folder).mkdir(parents=True)
        rng = np.random.default_rng(0)
        for name, n in (("train", self.n_train), ("test", self.n_test)):
            labels = rng.integers(0, 2, n)
            stripes = np.tile(np.repeat([[0, 255]], 8, axis=0), (n, 1, 4))
            stripes[labels == 0] = stripes[labels == 0].transpose(0, 2, 1)
            noise = rng.integers(0, 64, stripes.shape)
            np.save(root / self.folder / f"{name}.npy", np.abs(stripes - noise).astype(np.uint8))
            np.save(root / self.folder / f"{name}-labels.npy", labels)

    def _split(self, root: Path, name: str) -> Split:
        images, labels = (
            torch.from_numpy(np.load(root / self.folder / f"{name}{part}.npy"))
            for part in ("", "-labels")
        )
        return Split.whole(images[:, None], labels)


STRIPES = Stripes(
    name="stripes",
    shape=(1, 8, 8),
    n_classes=2,
    n_train=120,
    n_test=40,
    mean=(0.5,),
    std=(0.45,),
    address="http://127.0.0.1:9/stripes",
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, STRIPES.name, STRIPES)


def test_it_is_listed_fetched_trained_on_and_known_again(qhc: Qhc) -> None:
    assert "stripes" in qhc("data", "list", "--data-root", "data")[1]
    there = ("--dataset", "stripes", "--data-root", "data")
    code, out, err = qhc("run", *there, "--set", "data.download=false")
    assert (code, out) == (2, "")
    assert "qhc data get stripes --data-root data" in err
    assert qhc("data", "get", "stripes", "--data-root", "data")[0] == 0
    few = ("--epochs", "2", "--set", "train.batch_size=16")
    code, out, err = qhc("run", *there, *few, "--out", "made", "--json")
    assert code == 0, err
    assert last_line(out)["accuracy"] > 0.9
    config = RunFolder.open(Path("made")).config()
    assert config.data.name == "stripes"
    assert config.run.threads == 1
    code, out, err = qhc("run", "--checkpoint", "made", "--data-root", "data", "--json")
    assert code == 0, err


def test_a_mistyped_name_is_answered_with_it(qhc: Qhc) -> None:
    code, _, err = qhc("run", "--dataset", "stripe")
    assert code == 2
    assert "did you mean 'stripes'" in err
