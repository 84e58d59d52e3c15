"""A trained net's feature maps on a device, row by row: too many to execute, so some are drawn.

The error that the device makes on them says, by simulation, which accuracy to expect of it.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from models import to_backend
from models.exchange import quantum_pointwise
from qbackend.devices.affine_map import fit_affine_map
from qbackend.layers.inputs import Array
from qbackend.registry import vendor_of
from qbackend.seam.jobs import Job
from qbackend.seam.requests import Request, Result, angles_of
from qbackend.seam.side_by_side import side_by_side
from qbackend.validation.records.files import write_atomically

from ..assembly.backends import LOCAL_BACKEND, ideal_backend
from ..assembly.construct import quantum_layers
from ..data.batches import Batches
from ..evaluation.assess import assess, in_order, save_reported
from ..evaluation.device_run import DeviceRun
from ..evaluation.sending import all_sent
from ..evaluation.validation import ledger_summary
from ..records.comparisons import LayerErrors, RowRecord, Simulated, WholeSet
from ..records.lines import Compiled
from .count import rows_per_convolution
from .draw import DrawnRows, draw_rows, share_rows
from .errors import fit_distortion, row_errors
from .simulation import ASSUMPTION, simulated_accuracies


class RowMeasurement(DeviceRun):
    """A trained model whose rows go to a device; [run] rows says how many."""

    def run(self) -> None:
        """Evaluate exactly, execute the rows, simulate the rest, and record it.

        Raises:
            JobsPendingError: the machine's jobs are sent; the same call later goes on.
            QhcError: as the backend's `submit` and `result`.
        """
        config, seed = self.config, self.config.run.seed
        assert config.run.rows is not None
        to_backend(self.model, ideal_backend(), seed=seed)
        if "ideal" not in {record.stage for record in self.folder.evaluations()}:
            save_reported(self.target, self.folder)
            assess(
                self.model, config, self.data, self.folder,
                checkpoint=self.checkpoint, backend=LOCAL_BACKEND, stage="ideal",
            )  # fmt: skip
        per_image = rows_per_convolution(self.model, self.data)
        counts = share_rows(config.run.rows, list(per_image.values()))
        drawn = draw_rows(self.model, self._batches(), counts, seed)
        start = time.perf_counter()
        results = self._execute(drawn)
        seconds = time.perf_counter() - start
        write_atomically(self.folder.row_table, self._table(drawn, results).encode())
        expected, corrected = self._accuracies(drawn, results)
        ideal = [each for each in self.folder.evaluations() if each.stage == "ideal"][-1]
        whole, compiled = self._whole(per_image, seconds / config.run.rows), self._compiled()
        # A session is charged until it is closed.
        self.target.close()
        self.folder.append(
            RowRecord(
                backend=config.run.backend,
                rows=config.run.rows,
                shots=results[0].shots,
                jobs=sum(len(result.job_ids) for result in results),
                qpu_seconds=sum(result.qpu_seconds for result in results),
                layers=tuple(map(_errors, drawn, results)),
                maps_rmse=_rmse(drawn, results),
                n_images=ideal.n_images,
                ideal_accuracy=ideal.accuracy,
                expected=expected,
                corrected=corrected,
                assumption=ASSUMPTION,
                whole=whole,
                compiled=compiled,
                charges=ledger_summary(self.folder),
            )
        )

    def _execute(self, drawn: Sequence[DrawnRows]) -> list[Result]:
        """One request per convolution: its kernels are the same circuit with other weights.

        All are sent before the first is waited for.
        """
        convolutions = dict(quantum_pointwise(self.model))
        together = tuple(len(rows.features) for rows in drawn)

        def submit(index: int, rows: DrawnRows) -> Job:
            convolution = convolutions[rows.layer]
            weights = np.stack([angles_of(layer.weight) for layer in quantum_layers(convolution)])
            compiled = self.target.compile(convolution.spec)
            parameters = compiled.rows(rows.features, weights[rows.kernels])
            sampling = np.random.SeedSequence([self.config.run.sampling_seed, index])
            seed = int(sampling.generate_state(1)[0] >> 1)
            request = Request(
                compiled, parameters, shots=self.target.shots, seed=seed, together=together
            )
            return self.target.submit(request)

        return [
            job.result() for job in all_sent(partial(submit, *each) for each in enumerate(drawn))
        ]

    def _accuracies(
        self, drawn: Sequence[DrawnRows], results: Sequence[Result]
    ) -> tuple[Simulated, Simulated]:
        """What to expect of the device, as it answers and with its outputs corrected."""
        pairs = {
            rows.layer: (rows.exact, result.values)
            for rows, result in zip(drawn, results, strict=True)
        }
        maps = {name: fit_affine_map(measured, exact) for name, (exact, measured) in pairs.items()}
        given = (self.model, self._batches, pairs, self.config.run.seed)
        answered, corrected = simulated_accuracies(*given), simulated_accuracies(*given, maps)
        return _spread(answered), _spread(corrected)

    def _whole(self, per_image: Mapping[str, int], seconds_per_row: float) -> WholeSet:
        """What the whole test split would take; the machine may be gone by now."""
        config, n_images = self.config, len(self.data.test)
        counts = {name: n_rows * n_images for name, n_rows in per_image.items()}
        costs = []
        if config.backend.is_machine:
            assert self.target.shots is not None
            asked = self.target.shots, config.machine
            specs = {name: layer.spec for name, layer in quantum_pointwise(self.model)}
            compiled = {name: self.target.compile(specs[name]) for name in counts}
            price = vendor_of(config.run.backend).estimate
            costs = [
                price(side_by_side(each), -(-counts[name] // max(1, len(each.copies))), *asked)
                for name, each in compiled.items()
            ]
        n_rows = sum(counts.values())
        return WholeSet(
            images=n_images,
            rows=n_rows,
            machine_seconds=sum(cost.machine_seconds for cost in costs),
            seconds=n_rows * seconds_per_row,
        )

    def _compiled(self) -> Compiled:
        """Of the largest kernel."""
        specs = [layer.spec for _, layer in quantum_pointwise(self.model)]
        widest = max(specs, key=lambda spec: spec.n_wires)
        return Compiled.from_dict(self.target.compile(widest).record)

    def _batches(self) -> Batches:
        return in_order(self.split, self.model, self.config, self.data)

    def _table(self, drawn: Sequence[DrawnRows], results: Sequence[Result]) -> str:
        """A line per row and output."""
        indices = self.split.indices.cpu().numpy()
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ["layer", "image", "pixel", "kernel", "copy", "output", "exact", "measured", "stderr"]
        )
        for rows, result in zip(drawn, results, strict=True):
            for row, output in np.ndindex(*rows.exact.shape):
                copy = "" if result.copies is None else result.copies[row]
                place = indices[rows.images[row]], rows.pixels[row], rows.kernels[row], copy, output
                values = rows.exact, result.values, result.stderr
                numbers = [f"{each[row, output]:.9g}" for each in values]
                writer.writerow([rows.layer, *place, *numbers])
        return text.getvalue()


def _errors(rows: DrawnRows, result: Result) -> LayerErrors:
    """Of one convolution's maps."""
    errors = vars(row_errors(rows.exact, result.values, result.stderr))
    fitted = fit_distortion(rows.exact, result.values).to_dict()
    named = {"layer": rows.layer, "live_share": rows.live_share}
    return LayerErrors.from_dict({**named, **errors, **fitted})


def _rmse(drawn: Sequence[DrawnRows], results: Sequence[Result]) -> float:
    """Of all maps together."""
    pairs = zip(drawn, results, strict=True)
    squares = [((result.values - rows.exact) ** 2).ravel() for rows, result in pairs]
    return float(np.sqrt(np.concatenate(squares).mean()))


def _spread(accuracies: Array) -> Simulated:
    """Of all draws."""
    low, high = np.quantile(accuracies, [0.025, 0.975])
    return Simulated(
        mean=float(accuracies.mean()), interval=(float(low), float(high)), draws=len(accuracies)
    )
