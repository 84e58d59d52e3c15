"""Circuits of users' beside every peer that is installed: one case after the other, then one page.

    python benchmarks/circuits.py --quick --out circuits.json

Every case has a process of its own, so that what peers compiled for one of them does not weigh on
the next. With `--quick` a quarter of an hour on two cores, of which the stock estimators take most.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from peers import PEERS

from experiments.bench.suite import OURS, every_case
from qbackend import CircuitLayer

TITLE = "# Circuits that people bring\n"
CASES = [case.name for case in every_case() if isinstance(case.spec, CircuitLayer)]
CONTESTANTS = [*OURS, *(peer.name for peer in PEERS if CircuitLayer in peer.takes)]


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Each contestant for a moment only.")
@click.option("--cases", multiple=True, default=CASES, help="Names; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON, a page beside.")
def main(quick: bool, cases: tuple[str, ...], out: Path) -> None:
    """Measure case by case, and join what they leave."""
    command = [sys.executable, str(Path(__file__).with_name("layer.py"))]
    command += [word for name in CONTESTANTS for word in ("--backends", name)]
    command += ["--quick"] if quick else []
    reports, pages = [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            found = Path(folder) / f"{case}.json"
            subprocess.run([*command, "--cases", case, "--out", str(found)], check=True)
            reports.append(json.loads(found.read_text()))
            pages.append(found.with_suffix(".md").read_text().partition("\n\n")[2])
    out.write_text(json.dumps(reports, indent=1) + "\n")
    out.with_suffix(".md").write_text("\n".join([TITLE, *pages]))


if __name__ == "__main__":
    main()
