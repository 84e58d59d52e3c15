"""Another study takes one file: this one, and `qhc ablate` knows it."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from experiments.commands.ablate import ablate, study_command
from experiments.records.folder import Record
from experiments.report.comparison.groups import Spread, spread
from experiments.studies.axes import Axis
from experiments.studies.frame import Cell, Groups, ScoreColumn, Study

from ..support.command_line import Qhc, assert_refused


@dataclass(frozen=True)
class Throw:
    """A throw of dice."""

    dice: int
    luck: str


@dataclass(frozen=True)
class Sum:
    """What a throw gives over the seeds."""

    setting: Throw
    sum: Spread


@dataclass(frozen=True)
class DiceStudy(Study[Throw, Sum]):
    """How much dice show."""

    faces: int = field(default=6, metadata={"help": "Of a die."})

    name = "dice"
    help = "Find out how much dice show."
    setting = Throw
    axes = (
        Axis("dice", "How many.  [default: 1,2]", centre=1, values=(1, 2), read=int),
        Axis("luck", "good, bad.  [default: both]", centre="bad", known=lambda: ("bad", "good")),
    )
    columns = (ScoreColumn("mean sum", lambda found: f"{found.sum.mean:.1f}"),)
    chosen: ClassVar[dict[str, str]] = {"train.lr": "--luck"}

    def compute(self, cell: Cell[Throw]) -> Record:
        best = self.faces if cell.setting.luck == "good" else 1
        return {"sum": cell.setting.dice * best * cell.config.train.epochs + cell.seed}

    def sum_up(self, setting: Throw, groups: Groups[Throw]) -> Sum:
        return Sum(setting, spread(each["sum"] for each in groups[setting].values()))

    def inputs(self, cell: Cell[Throw]) -> Record:
        return {**super().inputs(cell), "faces": self.faces}


COMMAND = ("ablate", "dice", "--epochs", "10", "--seeds", "2", "--jobs", "1", "--out", "out")


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ablate.commands, "dice", study_command(DiceStudy()))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, int]]:
    """The cells that are computed, as they are."""
    found: list[tuple[int, str, int]] = []
    compute = DiceStudy.compute

    def told(self: DiceStudy, cell: Cell[Throw]) -> Record:
        found.append((cell.setting.dice, cell.setting.luck, cell.seed))
        return compute(self, cell)

    monkeypatch.setattr(DiceStudy, "compute", told)
    return found


def saved() -> tuple[list[dict[str, str]], dict[str, Any]]:
    with Path("out/dice.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads(Path("out/dice.json").read_text())


def test_a_star_has_tables_and_a_page(qhc: Qhc, computed: list[tuple[int, str, int]]) -> None:
    code, out, err = qhc(*COMMAND)
    assert code == 0, err
    star = [(1, "bad"), (2, "bad"), (1, "good")]
    assert computed == [(*each, seed) for seed in (0, 1) for each in star]
    rows, content = saved()
    assert [list(row.values()) for row in rows] == [
        ["1", "bad", "0", "10"], ["2", "bad", "0", "20"], ["1", "good", "0", "60"],
        ["1", "bad", "1", "11"], ["2", "bad", "1", "21"], ["1", "good", "1", "61"],
    ]  # fmt: skip
    assert list(rows[0]) == ["dice", "luck", "seed", "sum"]
    assert content["recipe"] == "digits"
    assert len(content["cells"]) == 6
    assert [each["sum"]["mean"] for each in content["settings"]] == [10.5, 20.5, 60.5]
    assert content["settings"][2]["setting"] == {"dice": 1, "luck": "good"}
    table = Path("out/dice.txt").read_text()
    assert "digits, 2 seeds" in table
    assert table in out
    assert [line.split() for line in table.splitlines() if "20.5" in line] == [["2", "bad", "20.5"]]
    page = Path("out/report.html").read_text()
    assert "digits: dice" in page
    assert '<th scope="col" class="number">Mean sum</th>' in page
    assert '<td class="number">60.5</td>' in page
    assert "ablate dice --epochs 10" in page


def test_only_what_is_missing_is_computed(qhc: Qhc, computed: list[tuple[int, str, int]]) -> None:
    assert qhc(*COMMAND)[0] == 0
    before = Path("out/dice.csv").read_bytes()
    computed.clear()
    assert qhc(*COMMAND)[0] == 0
    assert computed == []
    assert Path("out/dice.csv").read_bytes() == before
    # Every combination has one more setting, under two seeds.
    assert qhc(*COMMAND, "--full")[0] == 0
    assert computed == [(2, "good", 0), (2, "good", 1)]
    # Another die is another outcome.
    computed.clear()
    assert qhc(*COMMAND, "--faces", "20")[0] == 0
    assert len(computed) == 6
    assert "200.5" in Path("out/dice.txt").read_text()


def test_options_follow_from_the_declaration(qhc: Qhc) -> None:
    _, out, _ = qhc("ablate", "dice", "--help")
    words = " ".join(out.split())
    assert "--dice LIST How many. [default: 1,2]" in words
    assert "--faces N Of a die. [default: 6]" in words
    _, out, _ = qhc("ablate", "--help")
    assert "Find out how much dice show." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--luck", "goood"), "unknown luck 'goood': did you mean 'good'?"),
        (("--dice", ","), "dice needs at least one value"),
        (("--set", "train.lr=1"), "the comparison chooses train.lr itself; use --luck instead"),
        (("--set", "run.seed=1"), "use --seeds instead"),
        (("--set", "fabric.devices=2"), "leave fabric.devices at 1"),
    ],
)
def test_mistakes_are_explained(qhc: Qhc, arguments: tuple[str, ...], words: str) -> None:
    assert_refused(qhc, words, "ablate", "dice", *arguments)
