"""The runs of a comparison: which of them are those that it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.assembly.bounds import bounded
from experiments.config.recipe import load_config
from experiments.records.folder import RunFolder
from experiments.studies.series import check_same
from qbackend.errors import RunFolderError


def test_a_machine_s_limit_is_no_number_of_images_that_there_are() -> None:
    made, notes = bounded(load_config("digits", ["run.backend=fake_manila"]))
    assert made.run.limit == 100
    assert any("at most 100 test images" in note for note in notes)


def test_a_run_of_fewer_images_than_a_batch_has_is_known_again(tmp_path: Path) -> None:
    """Its folder has the batch that those images make, not the recipe's."""
    config = load_config("digits", ["train.limit=16", "run.threads=1"])
    made, _ = bounded(config)
    assert made.train.batch_size == 16 < config.train.batch_size
    RunFolder.create(tmp_path / "here", made)
    check_same(tmp_path / "here", config)
    other = load_config("digits", ["train.limit=17", "run.threads=1"])
    with pytest.raises(RunFolderError, match=r"train\.limit is 16 there and 17 here"):
        check_same(tmp_path / "here", other)
