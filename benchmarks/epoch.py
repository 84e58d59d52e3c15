"""A training epoch with the quantum layer, against one with a classical layer in its place.

    python benchmarks/epoch.py --data-root data --out epoch.json
    python benchmarks/epoch.py --recipe qpc-cifar10 --base conv --steps 40 --out epoch-qpc.json

The arms train in turn, a short stretch of an epoch each and with the command's own loop, so that
whatever disturbs the machine disturbs all of them alike. Hooks split each step into its parts; a
last stretch of the classical arm runs under PyTorch's profiler.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.profiler import ProfilerActivity, profile

from experiments.assembly.construct import new_model
from experiments.assembly.fabric import launch
from experiments.assembly.feed import load_images
from experiments.assembly.thread_count import settled
from experiments.bench.results import Grid
from experiments.bench.timing import conditions
from experiments.config.recipe import load_config
from experiments.config.sections import Config
from experiments.data.splits import ImageData
from experiments.records.folder import RunFolder
from experiments.records.lines import EpochRecord
from experiments.run.display import Display
from experiments.training.train import Training
from qbackend.errors import QhcError

PARTS = ("data", "forward", "backward", "optimiser", "rest")
"""Of a step, ending when: the network is called (loading, augmentation, loop), the network is
done, the optimiser is called (loss, backward, clipping), it is done, the display has been told."""

N_OPERATORS = 15


class Stopwatch:
    """Follows a training in the display's place and notes when each part of a step is done.

    `steps` has a row of seconds per step, in the order of `PARTS`; `epochs` has the seconds that
    the loop itself reports for all its steps together.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self.steps: list[list[float]] = []
        self.epochs: list[float] = []
        self._row: list[float] = []
        self._latest = 0.0

    def follow(self, training: Training) -> None:
        """Be told when network and optimiser begin and end, for as long as they live."""
        training.optimiser.register_step_pre_hook(self._note)
        training.optimiser.register_step_post_hook(self._note)

    def network(self, module: nn.Module, *_: Any) -> None:
        """A hook for before and after the network's forward pass; validation does not count."""
        if module.training:
            self._note()

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        self.display.begin(epoch, n_epochs, n_steps)
        self._row, self._latest = [], time.perf_counter()

    def step(self) -> None:
        self.display.step()
        self._note()
        self.steps.append(self._row)
        self._row = []

    def end(self, record: EpochRecord) -> None:
        self.epochs.append(record.seconds)

    def _note(self, *_: Any) -> None:
        now = time.perf_counter()
        self._row.append(now - self._latest)
        self._latest = now


@dataclass
class Arm:
    """A model in training, and what was measured of it: one array (steps, parts) per stretch."""

    config: Config
    model: nn.Module
    watch: Stopwatch
    stretches: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(cls, config: Config, data: ImageData) -> Arm:
        """The recipe's model with hooks in place."""
        model = new_model(config, data, backend=config.run.backend, shots=None)
        watch = Stopwatch(Display())
        model.register_forward_pre_hook(watch.network)
        model.register_forward_hook(watch.network)
        return cls(config, model, watch)

    def train(self, data: ImageData, fabric: Fabric) -> None:
        """One pass over the images, by the command's own loop."""
        with TemporaryDirectory() as temporary, self.watch.display.training():
            folder = RunFolder.create(Path(temporary) / "run", self.config)
            training = Training(self.config, data, self.model, folder, fabric, self.watch)
            self.watch.follow(training)
            training.run()
        self.stretches.append(np.array(self.watch.steps))
        self.watch.steps.clear()

    @property
    def steps(self) -> np.ndarray:
        """Seconds per step and part; the first stretch only warms up."""
        return np.concatenate(self.stretches[1:])

    def medians(self) -> np.ndarray:
        """The median step of each stretch but the first, seconds."""
        return np.array([np.median(stretch.sum(axis=1)) for stretch in self.stretches[1:]])


def stretch(data: ImageData, turn: int, n_images: int) -> ImageData:
    """The images of one turn: the next `n_images` of the training split, hardly any to validate."""
    start = turn * n_images % (len(data.train) - n_images + 1)
    train = data.train.select(torch.arange(start, start + n_images))
    return replace(data, train=train, validation=data.validation.select(torch.arange(64)))


def summarise(arms: dict[str, Arm], n_steps: int) -> dict[str, Any]:
    """Medians, quartiles, shares of the parts, and ratios to the first arm."""
    summary = {}
    base = next(iter(arms.values()))
    for name, arm in arms.items():
        totals = arm.steps.sum(axis=1)
        lower, median, upper = np.quantile(totals, (0.25, 0.5, 0.75))
        paired = np.quantile(arm.medians() / base.medians(), (0.25, 0.5, 0.75))
        summary[name] = {
            "step": {"lower": lower, "median": median, "upper": upper, "calls": len(totals)},
            "epoch": median * n_steps,
            "parts": dict(zip(PARTS, np.median(arm.steps, axis=0), strict=True)),
            "shares": dict(zip(PARTS, arm.steps.sum(axis=0) / totals.sum(), strict=True)),
            "ratio": median / np.median(base.steps.sum(axis=1)),
            "paired_ratio": dict(zip(("lower", "median", "upper"), paired, strict=True)),
        }
    return summary


def grid(summary: dict[str, Any], recipe: str, n_steps: int) -> Grid:
    """What `summarise` found, as a table."""
    rows = []
    for name, arm in summary.items():
        step, paired = arm["step"], arm["paired_ratio"]
        rows.append(
            (
                name,
                _spread({key: 1e3 * step[key] for key in paired}),
                f"{arm['epoch']:.2f}",
                f"{arm['ratio']:.3f}",
                _spread(paired),
                *(f"{100 * share:.1f} %" for share in arm["shares"].values()),
            )
        )
    heads = ("arm", "ms a step", f"s for {n_steps} steps", "ratio", "ratio in turn", *PARTS)
    base = next(iter(summary))
    return Grid(f"{recipe}: a training epoch; ratio to the arm {base}", heads, tuple(rows))


def operator_grid(profiler: profile, base: str, n_steps: int) -> Grid:
    """The operators of the arm `base` that take longest, validation and set-up included."""
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    longest = sorted(events, key=lambda event: event.self_cpu_time_total, reverse=True)
    rows = tuple(
        (
            event.key,
            f"{event.self_cpu_time_total / 1e3 / n_steps:.3f}",
            f"{100 * event.self_cpu_time_total / total:.1f} %",
            f"{event.count / n_steps:.1f}",
        )
        for event in longest[:N_OPERATORS]
    )
    heads = ("operator", "ms a step", "share", "calls a step")
    return Grid(f"the arm {base} by operator, under the profiler", heads, rows)


def _spread(value: dict[str, float]) -> str:
    return f"{value['median']:.3f} [{value['lower']:.3f}, {value['upper']:.3f}]"


def measure(
    recipe: str, base: str, backends: Sequence[str], data_root: Path, rounds: int, steps: int
) -> tuple[dict[str, Any], Grid, Grid]:
    """Train the arms in turn; returns the summary, its table and the classical arm's operators."""
    settings = ["train.epochs=1", "protocol=matched"]
    chosen = {base: [*settings, f"model.arm={base}"]}
    for backend in backends:
        chosen[f"quantum {backend}"] = [*settings, f"run.backend={backend}"]
    configs = {name: load_config(recipe, changes) for name, changes in chosen.items()}
    # One number for all: that of the command, if the recipe has none.
    settled(configs[base])
    fabric = launch(configs[base].fabric)
    data = load_images(configs[base], data_root, fabric.device)
    batch_size = configs[base].train.batch_size
    arms = {name: Arm.of(config, data) for name, config in configs.items()}
    names = list(arms)
    for turn in range(rounds + 1):
        images = stretch(data, turn, steps * batch_size)
        # Each round starts with another one: nobody always follows the same neighbour.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            arms[name].train(images, fabric)
    n_steps = len(data.train) // batch_size
    summary = summarise(arms, n_steps)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        arms[base].train(stretch(data, 0, steps * batch_size), fabric)
    return summary, grid(summary, recipe, n_steps), operator_grid(profiler, base, steps)


@click.command(help=__doc__)
@click.option("--recipe", default="mnist", show_default=True)
@click.option("--base", default="linear", show_default=True, help="The classical arm.")
@click.option("--backends", multiple=True, default=("native", "aer"), show_default=True)
@click.option("--data-root", type=click.Path(path_type=Path), default=Path("data"))
@click.option("--rounds", default=20, show_default=True, help="Stretches of each arm.")
@click.option("--steps", default=75, show_default=True, help="Steps in a stretch.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON; the tables go beside it.")
def main(out: Path | None, **options: Any) -> None:
    """Measure and print."""
    try:
        summary, table, operators = measure(**options)
        facts = conditions(())
    except QhcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(table.markdown(), operators.markdown(), sep="\n")
    if out is not None:
        out.write_text(json.dumps({"conditions": facts, "arms": summary}, indent=1) + "\n")
        heading = f"# {table.title.partition(';')[0]}\n"
        pages = (heading, table.markdown(), operators.markdown())
        out.with_suffix(".md").write_text("\n".join(pages))


if __name__ == "__main__":
    main()
