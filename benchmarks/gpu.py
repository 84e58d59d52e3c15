"""Everything that one GPU is for, beside its peers, within minutes.

    python benchmarks/gpu.py --out docs/results/gpu.json
    python benchmarks/gpu.py --stages 'amplitude4*' --stages 'epoch mnist*' --out few.json

Steps are forward and backward in float32, with both gradients: waited for one by one, and replayed
as a captured graph where they can be. Who differs from float64 by more than rounding explains is
not timed. Stages run in a process of their own, one after the other, the most informative first; if
it dies, the next ones get a new one. What time was too short for is listed as not measured. Where
there is no GPU the page says so, and small checks run on the CPU instead.

The peers: see `layer.py`. JAX is told to multiply in float32, or it would not agree to 1e-6.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

import click
from gpu_page import page
from gpu_stages import TARGETS, stages
from gpu_work import Lines, run_all, work
from peers import PEERS

from experiments.bench.accelerator import Place
from experiments.bench.timing import conditions

FOR_JAX = {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
WRITING = 2.0
"""Seconds that are left for the page."""
DISTRIBUTIONS = sorted({name for peer in PEERS for name in peer.needs} | {"numba", "cuda-bindings"})


@click.command(help=__doc__)
@click.option("--minutes", default=8.0, show_default=True, help="For everything.")
@click.option("--stages", "patterns", multiple=True, help="Globs of names; repeatable.")
@click.option("--data-root", type=click.Path(path_type=Path), default=Path("data"))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON, a page beside.")
@click.option("--worker", type=click.Path(path_type=Path), hidden=True)
@click.argument("names", nargs=-1)
def main(
    minutes: float,
    patterns: tuple[str, ...],
    data_root: Path,
    out: Path,
    worker: Path | None,
    names: tuple[str, ...],
) -> None:
    """Measure in processes of their own, then write JSON and a page."""
    start, place = time.monotonic(), Place.best()
    every = {stage.name: stage for stage in stages(place, data_root)}
    if worker is not None:
        os.environ.update(FOR_JAX)
        sys.exit(work([every[name] for name in names], Lines(worker), place.wait))
    chosen = [name for name in every if any(fnmatch(name, p) for p in patterns or ["*"])]
    absent = {name: every[name].missing for name in chosen if every[name].missing}
    present = [name for name in chosen if name not in absent]
    command = [sys.executable, __file__, "--data-root", str(data_root), "--out", str(out)]
    with tempfile.TemporaryDirectory() as folder:
        lines = Lines(Path(folder) / "lines")
        left = 60 * minutes - WRITING - (time.monotonic() - start)
        run_all(present, [*command, "--worker", str(lines.path)], lines, left)
        found = lines.read()
    found |= {name: {"not_installed": ", ".join(missing)} for name, missing in absent.items()}
    report = {
        "device": place.name,
        "measured_on_a_gpu": place.is_gpu,
        "command": shlex.join(["python", "benchmarks/gpu.py", *sys.argv[1:]]),
        "minutes": (time.monotonic() - start) / 60,
        "conditions": conditions(DISTRIBUTIONS),
        "stages": [
            {
                "case": every[name].case,
                "who": every[name].who,
                "target": TARGETS.get(every[name].case) if every[name].is_ours else None,
                **(found.get(name) or {"not_measured": "no time was left"}),
            }
            for name in chosen
        ],
    }
    out.write_text(json.dumps(report, indent=1) + "\n")
    text = page(report)
    out.with_suffix(".md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()
