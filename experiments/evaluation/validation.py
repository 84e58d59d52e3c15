"""The validation of a model on a machine: the same images ideally, under noise, on the machine.

The two simulations come first: they cost nothing. What each stage answered is kept, so that a run
that goes on later repeats none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from models import to_backend
from qbackend import QuantumLayer
from qbackend.devices.affine_map import AffineMap
from qbackend.validation.records.charges import ledger_summary as ledger_summary
from qbackend.validation.records.files import csv_content, write_arrays, write_atomically

from ..assembly.backends import LOCAL_BACKEND, ideal_backend, noise_backend
from ..assembly.construct import quantum_layers
from ..data.own import viewable
from ..records.comparisons import ValidationRecord
from ..records.folder import Record
from ..records.lines import STAGES, Stage
from .agreement import Answer, agreements
from .answers import drawn
from .assess import assess, in_order, observed_ideally, save_reported, save_simulated_noise
from .calibrated_copies import CorrectedCopies, ask_calibrated, copied_layer, on_backend
from .copies import copy_scores, explained, save_noise_of_copies
from .correct import Observed, corrected, fit_maps
from .device_run import DeviceRun
from .evaluate import Evaluation, predict
from .meter import NO_COPY

N_CHANGED = 16
"""Images kept to show of those that the machine answers otherwise."""


class Validation(DeviceRun):
    """A trained model on its way to a machine, moved from stage to stage."""

    def run(self) -> None:
        """Every stage that is not on record yet, then their comparison.

        Raises:
            JobsPendingError: the machine's jobs are sent; the same call later goes on.
            QhcError: as the backend's `submit` and `result`.
        """
        seed = self.config.run.seed
        recorded = {record.stage for record in self.folder.evaluations()}
        if "ideal" not in recorded:
            to_backend(self.model, ideal_backend(), seed=seed)
            self._assess("ideal", LOCAL_BACKEND)
        noise = None if "noise" in recorded else noise_backend(self.config, self.target)
        if noise is not None:
            to_backend(self.model, noise, seed=seed)
            save_simulated_noise(self.model, self.folder)
            save_noise_of_copies(self.model, self.target, self.folder)
            save_reported(self.target, self.folder)
            self._assess("noise", noise.name)
        observed: list[Observed] = []
        if self.config.run.calibrate is not None:
            to_backend(self.model, ideal_backend(), seed=seed)
            observed = observed_ideally(self.model, self.config, self.data)
        to_backend(self.model, self.target, seed=seed)
        copied = copied_layer(self.model)
        if observed and copied is not None:
            self._assess_copies(copied, observed[0], recorded)
            observed = []
        elif "machine" not in recorded:
            self._assess("machine")
        if observed and "corrected" not in recorded:
            # The same request whether or not the machine was asked for the test before.
            for layer in quantum_layers(self.model):
                layer.reseed(self.config.run.sampling_seed)
            maps = fit_maps(self.model, observed)
            with corrected(self.model, maps):
                self._assess("corrected", maps=maps)
        self._compare()

    def _assess_copies(
        self, layer: QuantumLayer, observed: Observed, recorded: Collection[Stage | None]
    ) -> None:
        """The machine's answers, and those of every copy corrected, from one request."""
        if {"machine", "corrected"} <= set(recorded):
            return
        layer.reseed(self.config.run.sampling_seed)
        images = in_order(self.split, self.model, self.config, self.data)
        asked, maps = ask_calibrated(layer, observed, lambda: predict(self.model, images, 0.0))
        if "machine" not in recorded:
            with on_backend(layer, asked):
                self._assess("machine")
        if "corrected" not in recorded:
            with on_backend(layer, CorrectedCopies(asked, maps)):
                self._assess("corrected", maps=maps)

    def _assess(
        self, stage: Stage, backend: str | None = None, maps: Sequence[AffineMap] = ()
    ) -> None:
        assess(
            self.model,
            self.config,
            self.data,
            self.folder,
            checkpoint=self.checkpoint,
            backend=backend,
            maps=maps,
            keep=partial(self._keep, stage),
            stage=stage,
        )

    def _keep(self, stage: str, evaluation: Evaluation) -> None:
        """Add a stage to `validation.npz`."""
        arrays = _read(self.folder.validation)
        arrays |= {"labels": evaluation.predictions.labels.cpu().numpy()}
        arrays |= {"indices": self.split.indices.cpu().numpy()}
        arrays |= {"classes": np.array(self.data.classes)}
        arrays |= {f"{stage}_logits": evaluation.predictions.logits.float().cpu().numpy()}
        if evaluation.outputs is not None:
            arrays |= {f"{stage}_outputs": evaluation.outputs.cpu().numpy()}
        if evaluation.copies is not None:
            arrays |= {f"{stage}_copies": evaluation.copies.copies}
            if stage == "machine":
                arrays |= explained(self.model, evaluation, evaluation.copies, self.folder)
        write_arrays(self.folder.validation, arrays)

    def _compare(self) -> None:
        arrays = _read(self.folder.validation)
        answers = answers_of(arrays)
        changed = np.flatnonzero(answers["ideal"].predictions != answers["machine"].predictions)
        shown = drawn(changed, N_CHANGED, self.config.run.seed)
        images = viewable(self.split.images.cpu()[shown])
        if images is not None:
            arrays |= {"changed_places": shown, "changed_images": images.numpy()}
        write_arrays(self.folder.validation, arrays)
        rows = list(_rows(arrays, answers))
        write_atomically(self.folder.validation_table, csv_content(rows))
        copies = copy_scores(arrays, self.folder)
        # A session is charged until it is closed.
        self.target.close()
        self.folder.append(
            ValidationRecord(
                machine=self.config.run.backend,
                n_images=len(arrays["labels"]),
                changed=len(changed),
                agreement=tuple(agreements(answers)),
                charges=ledger_summary(self.folder),
                **({"copies": copies} if copies else {}),
            )
        )


def answers_of(arrays: dict[str, np.ndarray]) -> dict[Stage, Answer]:
    """The stages in the arrays of `validation.npz`."""
    return {
        stage: Answer(arrays[f"{stage}_logits"], arrays.get(f"{stage}_outputs"))
        for stage in STAGES
        if f"{stage}_logits" in arrays
    }


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _rows(arrays: dict[str, np.ndarray], answers: dict[Stage, Answer]) -> Iterator[Record]:
    """One per image and stage."""
    classes = arrays["classes"]
    has_copies = any(f"{stage}_copies" in arrays for stage in answers)
    for stage, answer in answers.items():
        predictions = answer.predictions
        copies = arrays.get(f"{stage}_copies", np.full(len(predictions), NO_COPY))
        for place, image in enumerate(arrays["indices"]):
            row: Record = {
                "image": int(image),
                "stage": stage,
                **({"copy": _number(copies[place])} if has_copies else {}),
                "label": classes[arrays["labels"][place]],
                "prediction": classes[predictions[place]],
                "right": int(predictions[place] == arrays["labels"][place]),
            }
            for kind, values in (("output", answer.outputs), ("logit", answer.logits)):
                if values is not None:
                    row |= {f"{kind}_{i}": f"{value:.6g}" for i, value in enumerate(values[place])}
            yield row


def _number(copy: int) -> str:
    """Of a copy, nothing where there is none."""
    return "" if copy == NO_COPY else str(copy)
