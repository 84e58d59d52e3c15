"""Is the noise model to be believed? Real machines' results beside what their snapshots predict.

    python benchmarks/evidence/noise_model.py
    python benchmarks/evidence/noise_model.py --devices ibm_fez --most-qubits 8

Measured: shares of shots that read all zeros after a ZZ feature map and its inverse, on seven IBM
machines, by the Unitary Foundation's metriq project (unitaryfoundation/metriq-data, CC BY 4.0),
in `metriq_qml_kernel.csv` beside this script. Where on the machine a circuit ran is not recorded,
so that each is predicted on the best line of qubits by the snapshot's reported errors, on the
median one and on one that is worse than nine in ten.

Up to ten qubits the density matrix is exact; beyond, outcomes are drawn from matrix product states,
by as many shots as were measured. The snapshot is not of the day of the measurement.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import click
from noise_model_page import write_page
from noise_model_places import Line, lines
from noise_model_prediction import predicted

from qbackend.devices.snapshots import load_snapshot

HERE = Path(__file__).parent
MEASURED = HERE / "metriq_qml_kernel.csv"
PLACES = ("best", "median", "poor")


@dataclass(frozen=True)
class Row:
    """A measurement, and what is predicted for one place.

    Attributes:
        device: the machine.
        qubits: of the circuit.
        measured_at: when.
        shots: measured.
        measured: share of them that read all zeros.
        standard_error: of that share.
        snapshot: day of the calibration that predicts.
        place: best, median or poor by the reported errors.
        line: the qubits.
        reported_fidelity: product of the reported fidelities of gates and readouts.
        predicted: share that reads all zeros.
        predicted_error: its standard error, 0 where the prediction is exact.
    """

    device: str
    qubits: int
    measured_at: str
    shots: int
    measured: float
    standard_error: float
    snapshot: str
    place: str
    line: str
    reported_fidelity: float
    predicted: float
    predicted_error: float


@click.command(help=__doc__)
@click.option("--devices", multiple=True, help="Machines; repeatable.  [default: all]")
@click.option("--most-qubits", default=10, show_default=True, help="Wider circuits are left out.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=HERE.parents[1] / "docs" / "results",
    help="Folder for the rows, the picture and the page.",
)
def main(devices: tuple[str, ...], most_qubits: int, out: Path) -> None:
    """Predict what is not predicted yet, and write the page."""
    path = out / "noise-model.csv"
    known = read_rows(path)
    done = {(row.device, row.qubits, row.measured_at) for row in known}
    wanted = [m for m in measurements() if not devices or m["device"] in devices]
    wanted = [m for m in wanted if int(m["qubits"]) <= most_qubits]
    for measured in wanted:
        if (measured["device"], int(measured["qubits"]), measured["measured_at"]) in done:
            continue
        start = time.monotonic()
        known += predictions(measured)
        write_rows(path, known)
        last = known[-len(PLACES) :]
        shown = "  ".join(f"{row.place} {row.predicted:.3f}" for row in last)
        print(
            f"{last[0].device:15} {last[0].qubits:3} qubits: measured {last[0].measured:.3f}, "
            f"{shown}  ({time.monotonic() - start:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
    write_page(out, [asdict(row) for row in known])


def measurements() -> list[dict[str, str]]:
    """The rows of the file, narrow circuits first, so that what takes long comes last."""
    with MEASURED.open() as file:
        return sorted(csv.DictReader(file), key=lambda row: (int(row["qubits"]), row["device"]))


def predictions(measured: dict[str, str]) -> Iterator[Row]:
    """One row for every place."""
    name, n_qubits = measured["device"], int(measured["qubits"])
    device = load_snapshot(name.replace("ibm_", "fake_"))
    assert device.calibrated_at is not None
    for place, line in zip(PLACES, _places(device.name, n_qubits), strict=True):
        share, error = predicted(device, line.qubits, int(measured["shots"]))
        yield Row(
            device=name,
            qubits=n_qubits,
            measured_at=measured["measured_at"],
            shots=int(measured["shots"]),
            measured=float(measured["p_all_zero"]),
            standard_error=float(measured["standard_error"]),
            snapshot=device.calibrated_at.date().isoformat(),
            place=place,
            line=" ".join(map(str, line.qubits)),
            reported_fidelity=round(line.fidelity, 6),
            predicted=round(share, 6),
            predicted_error=round(error, 6),
        )


@cache
def _places(name: str, n_qubits: int) -> tuple[Line, Line, Line]:
    return lines(load_snapshot(name), n_qubits)


def read_rows(path: Path) -> list[Row]:
    """What a former invocation predicted."""
    if not path.exists():
        return []
    kinds = {
        each.name: {"int": int, "float": float}.get(str(each.type), str) for each in fields(Row)
    }
    with path.open() as file:
        return [
            Row(**{key: kinds[key](value) for key, value in row.items()})
            for row in csv.DictReader(file)
        ]


def write_rows(path: Path, rows: list[Row]) -> None:
    """All of them, in the order of their devices."""
    ordered = sorted(rows, key=lambda row: (row.device, row.qubits, row.measured_at))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, ordered))


if __name__ == "__main__":
    main()
