"""Names that were changed are still understood where users wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.commands.cli import main
from experiments.config.recipe import load_config
from experiments.config.run import RunSection
from experiments.records.folder import RunFolder
from qbackend import get_backend
from tests.records.test_old_run import OLD_EVALUATION

FOR_A_DEVICE = "has no noise and no preparation"


@pytest.mark.parametrize(
    "given", [("--encoder", "compact"), ("--set", "run.encoder=compact")], ids=" ".join
)
def test_a_flag_and_a_key(
    given: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", *given, "--out", str(tmp_path / "run")])
    assert left.value.code == 2
    assert FOR_A_DEVICE in capsys.readouterr().err


def test_a_section_that_was_saved() -> None:
    assert RunSection.model_validate({"encoder": "textbook"}).preparation == "textbook"


def test_an_option_of_the_library() -> None:
    assert get_backend("native:fake_manila", encoder="textbook").preparation == "textbook"


def test_a_folder_of_then(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", load_config("digits"))
    text = folder.config_file.read_text(encoding="utf-8")
    written = text.replace("[run]", '[run]\nencoder = "textbook"', 1)
    folder.config_file.write_text(written, encoding="utf-8")
    folder.metrics.write_text(OLD_EVALUATION, encoding="utf-8")
    there = RunFolder.open(tmp_path / "run")
    assert there.config().run.preparation == "textbook"
    compiled = there.evaluations()[0].compiled
    assert compiled is not None
    assert compiled.preparation == "compact"
