"""The layer beside every peer that is installed.

    python benchmarks/layer.py --out results.json
    python benchmarks/layer.py --quick --cases amplitude4 --backends native tensorcircuit-jax

The peers: `pip install -e '.[peers]'`, and `pip install --no-deps torchquantum` (see
`peers/torchquantum.py`). Those that are not installed are listed as such.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from peers import PEERS

from experiments.bench.command import run_bench
from qbackend.errors import QhcError


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="A few cases for a moment each.")
@click.option("--cases", multiple=True, help="Name, beginning of a name, or glob; repeatable.")
@click.option("--backends", multiple=True, help="Of ours or of the peers; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON; the tables go beside it.")
def main(quick: bool, cases: tuple[str, ...], backends: tuple[str, ...], out: Path | None) -> None:
    """Measure and print."""
    try:
        sys.exit(run_bench(quick=quick, cases=cases, backends=backends, out=out, peers=PEERS))
    except QhcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
