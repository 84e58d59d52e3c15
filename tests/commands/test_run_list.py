"""`qhc runs` and `qhc report --open`: the list in a terminal, and a page in a browser."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
from rich.console import Console

from experiments.commands.run_list import print_runs
from experiments.report.all_runs.listing import find_runs

from ..support.command_line import Qhc
from ..support.runs import synthetic_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    for seed, skill in ((0, 2.0), (1, 16.0), (2, 6.0)):
        synthetic_run(folder / f"digits-seed{seed}", seed=seed, n_images=40, skill=skill)
    synthetic_run(folder / "[bold]", arm="linear", evaluated=False, status="interrupted")
    return folder


def shown(out: str) -> list[str]:
    """Names of the runs in a table."""
    return [word for line in out.splitlines() for word in line.split()[:1] if "-seed" in word]


@pytest.mark.usefixtures("runs")
def test_runs_are_listed_filtered_and_sorted(qhc: Qhc) -> None:
    code, out, err = qhc("runs")
    assert (code, err) == (0, "")
    assert set(shown(out)) == {f"digits-seed{seed}" for seed in range(3)}
    assert "[bold]" in out
    assert "interrupted" in out
    assert "4 runs under runs/; as a page: qhc report runs" in out
    _, out, _ = qhc("runs", "-n", "2", "--sort", "seed", "--arm", "quan*")
    assert shown(out) == ["digits-seed0", "digits-seed1"]
    assert "2 runs of 4" in out
    _, out, _ = qhc("runs", "--sort", "seed", "--reverse", "--state", "finished")
    assert shown(out) == ["digits-seed2", "digits-seed1", "digits-seed0"]
    _, out, _ = qhc("runs", "--json", "--sort", "test", "--state", "finished")
    found = json.loads(out)["runs"]
    assert [run["test"] for run in found] == sorted((r["test"] for r in found), reverse=True)
    assert found[0]["path"].startswith("runs/digits-seed")
    assert len(found[0]["curve"]) == found[0]["epochs"] == 6


@pytest.mark.usefixtures("runs")
def test_a_filter_that_nothing_meets_says_so(qhc: Qhc) -> None:
    code, out, err = qhc("runs", "--state", "finishd")
    assert (code, out) == (2, "")
    assert "no run can be 'finishd': did you mean 'finished'" in err
    words = "of 4 runs under runs/ none has recipe 'dgits'; did you mean 'digits'?\n"
    assert qhc("runs", "--recipe", "dgits") == (0, words, "")
    words = "of 4 runs under runs/ none has state 'failed'; known: finished, interrupted\n"
    assert qhc("runs", "--state", "failed") == (0, words, "")


def test_where_there_are_none_it_says_how_to_make_one(qhc: Qhc, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert qhc("runs") == (0, "no runs under runs/ yet; to make one: qhc run\n", "")
    code, _, err = qhc("report")
    assert code == 2
    assert "runs is not a run" in err


@pytest.mark.parametrize("width", [60, 80, 100, 130, 160, 200])
def test_a_table_fits_its_terminal(runs: Path, width: int) -> None:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_runs(find_runs(runs), 4, runs, console)
    table = console.export_text().split("4 runs")[0]
    assert max(map(len, table.splitlines())) <= width
    assert "finished" in table
    assert "backend" in table
    assert ("parameters" in table) == (width >= 170)


@pytest.mark.parametrize("arguments", [("runs/digits-seed0",), (), ("runs",)])
def test_a_page_is_opened(
    qhc: Qhc, runs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr("experiments.report.run.page.SECTIONS", ())
    monkeypatch.setenv("BROWSER", "some")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.append(address)) or True)
    code, out, err = qhc("report", *arguments, "--open")
    assert (code, err) == (0, "")
    page = Path(out.strip()).resolve()
    assert page.name == ("report.html" if arguments[:1] == ("runs/digits-seed0",) else "runs.html")
    assert opened == [page.as_uri()]


@pytest.mark.parametrize("trouble", ["no screen", "no browser", "error"])
def test_without_a_browser_it_says_where_the_page_is(
    qhc: Qhc, runs: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def opens(address: str) -> bool:
        if trouble == "no browser":
            return False
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", opens)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if trouble != "no screen":
        monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SSH_CONNECTION", "some")
    code, out, err = qhc("report", "--open")
    assert (code, out) == (0, "runs/runs.html\n")
    assert f"open {(runs / 'runs.html').as_uri()} in yours, or copy the file" in err
