"""What stands in the circuit's place, and what that changes: arms by seeds of one recipe.

Every arm sees the same splits, initial front end, order of images and augmentation under one seed,
so that differences are taken seed by seed. A run that is finished is never repeated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from qbackend.errors import OptionError

from ..config.recipe import load_config
from ..config.sections import Config
from ..records.files import csv_content, write_atomically
from ..report.comparison.groups import Group, PairedDifference, Spread, paired_difference
from ..report.reading import Run, read_run
from ..report.write import write_report
from ..run.display import Display
from ..run.results import table_text
from ..run.start import Place
from .series import check_same, finish

REFERENCE = "quantum"


@dataclass(frozen=True)
class ArmScores:
    """One arm over its seeds; accuracies are shares.

    Attributes:
        arm: its name.
        parameters: of the network.
        test: accuracy of the best validation epoch's weights.
        last: test accuracy of the last epoch's weights.
        validation: accuracy of the best epoch.
        seconds: per epoch of training, each run's median.
        difference: of `test` to the reference's, paired by seed; None for the reference itself.
    """

    arm: str
    parameters: int
    test: Spread
    last: Spread
    validation: Spread
    seconds: Spread
    difference: PairedDifference | None


def ablate_arms(
    recipe: str,
    settings: Sequence[str],
    arms: Sequence[str],
    n_seeds: int,
    place: Place,
    display: Display,
) -> Path:
    """Train every arm with seeds 0 to `n_seeds` - 1 and compare; returns the folder of it all.

    The folder has a run folder per arm and seed, `arms.txt`, `arms.csv`, `arms.json` and a report
    of all runs side by side.

    Raises:
        UserError: a mistake in any of the runs' configs, before the first one starts.
        RunFolderError: the folder has a run of another config.
        QhcError: what stopped a run; the same call goes on.
    """
    configs = {
        f"{arm}-seed{seed}": load_config(
            recipe, [*settings, f"model.arm={json.dumps(arm)}", f"run.seed={seed}"]
        )
        for seed in range(n_seeds)
        for arm in arms
    }
    first = next(iter(configs.values()))
    if first.fabric.devices != 1:
        raise OptionError("the comparison of arms runs in one process; leave fabric.devices at 1")
    parent = place.out or Path("runs", f"arms-{first.recipe}")
    for name, config in configs.items():
        check_same(parent / name, config)
    for number, (name, config) in enumerate(configs.items(), start=1):
        finish(parent / name, config, place, f"run {number} of {len(configs)}: {name}", display)
    runs = {arm: [read_run(parent / f"{arm}-seed{n}") for n in range(n_seeds)] for arm in arms}
    write_scores(parent, compare(runs), first)
    write_report([run.folder for found in runs.values() for run in found], parent)
    return parent


def compare(runs: dict[str, list[Run]]) -> list[ArmScores]:
    """The arms' scores in the order of `runs`; differences are to `REFERENCE`, if it is there."""
    groups = {arm: Group(arm, {"model.arm": arm}, tuple(found)) for arm, found in runs.items()}
    reference = groups.get(REFERENCE)
    return [
        ArmScores(
            arm=arm,
            parameters=group.runs[0].state.parameters,
            test=group.spread(lambda run: _test_accuracy(run, "best")),
            last=group.spread(lambda run: _test_accuracy(run, "last")),
            validation=group.spread(_validation_accuracy),
            seconds=group.spread(lambda run: run.median(lambda epoch: epoch.seconds)),
            difference=(
                paired_difference(group, reference, lambda run: _test_accuracy(run, "best"))
                if reference is not None and arm != REFERENCE
                else None
            ),
        )
        for arm, group in groups.items()
    ]


def write_scores(folder: Path, scores: Sequence[ArmScores], config: Config) -> None:
    """Write `arms.json`, `arms.csv` and `arms.txt`; raises `RecordError`."""
    content = {
        "recipe": config.recipe,
        "protocol": config.protocol,
        "backend": config.run.backend,
        "notes": config.notes(),
        "arms": [asdict(each) for each in scores],
    }
    write_atomically(folder / "arms.json", json.dumps(content, indent=1).encode())
    rows = [_row(each) for each in scores]
    write_atomically(folder / "arms.csv", csv_content(rows))
    write_atomically(folder / "arms.txt", table_text(scores_table(scores, config)).encode())


def scores_table(scores: Sequence[ArmScores], config: Config) -> Table:
    """The scores for a person to read."""
    seeds = scores[0].test.n
    title = (
        f"{config.recipe}, {config.protocol}, backend {config.run.backend}: accuracy in %, mean ± "
        f"standard deviation over {seeds} seeds; difference paired by seed, 95 % interval"
    )
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD)
    table.add_column("arm", no_wrap=True)
    for heading in (
        "parameters",
        "validation",
        "test, best",
        "test, last",
        f"best minus {REFERENCE}",
        "s/epoch",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in scores:
        table.add_row(
            each.arm,
            f"{each.parameters:,}",
            _spread(each.validation),
            _spread(each.test),
            _spread(each.last),
            _difference(each.difference),
            f"{each.seconds.mean:.2f}",
        )
    return table


def _test_accuracy(run: Run, checkpoint: str) -> float:
    """Of the last such evaluation, NaN without one."""
    found = [
        record.accuracy
        for record in run.evaluations
        if record.split == "test" and record.checkpoint == checkpoint
    ]
    return found[-1] if found else float("nan")


def _validation_accuracy(run: Run) -> float:
    best = run.best_epoch
    return best.validation.accuracy if best is not None else float("nan")


def _row(scores: ArmScores) -> dict[str, Any]:
    difference = scores.difference
    return {
        "arm": scores.arm,
        "parameters": scores.parameters,
        "seeds": scores.test.n,
        "validation_mean": scores.validation.mean,
        "validation_deviation": scores.validation.deviation,
        "test_mean": scores.test.mean,
        "test_deviation": scores.test.deviation,
        "last_test_mean": scores.last.mean,
        "last_test_deviation": scores.last.deviation,
        "difference_mean": difference.mean if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "seconds_per_epoch": scores.seconds.mean,
    }


def _spread(spread: Spread) -> str:
    return f"{100 * spread.mean:.2f} ± {100 * spread.deviation:.2f}"


def _difference(difference: PairedDifference | None) -> str:
    if difference is None:
        return ""
    low, high = (f"{100 * edge:+.2f}" for edge in (difference.low, difference.high))
    return f"{100 * difference.mean:+.2f} ({low} to {high})"
