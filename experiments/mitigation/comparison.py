"""Ways to mitigate a machine's errors, compared on the same images with the same weights.

Letters: N images, M outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from models import to_backend
from qbackend.errors import BackendError
from qbackend.layers.inputs import Array
from qbackend.machines.backend import MachineBackend
from qbackend.registry import vendor_of
from qbackend.seam.requests import Result
from qbackend.seam.side_by_side import widened
from qbackend.seam.uncertainty import share_interval
from qbackend.validation.records.files import csv_content, write_atomically

from ..assembly.backends import LOCAL_BACKEND, ideal_backend
from ..assembly.construct import quantum_layers
from ..evaluation.assess import assess, in_order, observed_ideally
from ..evaluation.correct import answers_from, observe
from ..evaluation.device_run import DeviceRun
from ..evaluation.evaluate import Predictions
from ..evaluation.validation import ledger_summary
from ..records.comparisons import MitigationRecord, VariantRecord
from ..records.folder import Record
from ..records.lines import Compiled
from ..rows.errors import row_errors
from .inquiry import Inquiry
from .scores import device_error, gain
from .variants import NAMES, RAW, Question, questions, zero_rows

Answer = tuple[Array, Array, Predictions]
"""A variant's values (N, M), their standard errors (N, M), and what the model makes of them."""


class MitigationComparison(DeviceRun):
    """A trained model whose one quantum layer a machine executes under several mitigations."""

    def run(self) -> None:
        """Evaluate without noise, ask every question, read it as every variant, and record that.

        Raises:
            JobsPendingError: the machine's jobs are sent; the same call later goes on.
            QhcError: as the backend's `submit` and `result`.
        """
        to_backend(self.model, ideal_backend(), seed=self.config.run.seed)
        if "ideal" not in {record.stage for record in self.folder.evaluations()}:
            assess(
                self.model, self.config, self.data, self.folder,
                checkpoint=self.checkpoint, backend=LOCAL_BACKEND, stage="ideal",
            )  # fmt: skip
        machine = self.machine
        found = questions(self.config, machine)
        results = self.inquiry.answers(found.asked)
        answers: dict[str, Answer] = {}
        left_out = dict(found.left_out)
        for question, result in zip(found.asked, results, strict=True):
            for variant in question.variants:
                try:
                    values, stderr = self.inquiry.read(question, variant, result)
                except BackendError as error:
                    # What may pass is no fault of the variant's.
                    if type(error) is not BackendError:
                        raise
                    left_out[variant] = str(error)
                else:
                    answers[variant] = values, stderr, self._predictions(values)
        write_atomically(self.folder.mitigation_table, csv_content(list(self._rows(answers))))
        variants = self._variants(found.asked, results, answers)
        compiled = Compiled.from_dict(machine.compile(self.inquiry.layer.spec).record)
        # A session is charged until it is closed.
        machine.close()
        ideal = [each for each in self.folder.evaluations() if each.stage == "ideal"][-1]
        self.folder.append(
            MitigationRecord(
                machine=self.config.run.backend,
                n_images=ideal.n_images,
                n_training=self._n_training if "calibrated" in answers else 0,
                ideal_accuracy=ideal.accuracy,
                jobs=sum(len(result.job_ids) for result in results),
                variants=variants,
                left_out=left_out,
                compiled=compiled,
                charges=ledger_summary(self.folder),
            )
        )

    @property
    def machine(self) -> MachineBackend:
        """The target, which is one: nothing else is asked in several ways."""
        assert isinstance(self.target, MachineBackend)
        return self.target

    @cached_property
    def inquiry(self) -> Inquiry:
        """The layer and its images' features, by the model without noise."""
        (layer,) = quantum_layers(self.model)
        images = in_order(self.split, self.model, self.config, self.data)
        (test,) = observe(self.model, images)
        training = observed_ideally(self.model, self.config, self.data)
        seed = self.config.run.seed
        return Inquiry(self.machine, layer, test, training[0] if training else None, seed)

    @property
    def _n_training(self) -> int:
        return min(self.config.run.calibrate or 0, len(self.data.train))

    def _predictions(self, values: Array) -> Predictions:
        """Of the model whose layer gives these values (N, M), in order."""
        images = in_order(self.split, self.model, self.config, self.data)
        return answers_from(self.model, values, images, self.config.train.label_smoothing)

    def _variants(
        self, asked: Sequence[Question], results: Sequence[Result], answers: Mapping[str, Answer]
    ) -> tuple[VariantRecord, ...]:
        """What every variant is worth, in the order of the table."""
        exact = self.inquiry.test.outputs.double().cpu().numpy()
        found = {}
        for question, result in zip(asked, results, strict=True):
            whole = self._seconds(question)
            for variant in question.variants:
                if variant not in answers:
                    continue
                values, stderr, predictions = answers[variant]
                seconds = self._seconds(question.alone(variant))
                more: Record = {}
                if result.qpu_seconds:
                    more["charged_seconds"] = result.qpu_seconds * seconds / whole
                if variant != RAW:
                    gained = gain(exact, answers[RAW][0], values)
                    more |= {"gain": gained.squared, "gain_interval": gained.interval}
                    more["verdict"] = gained.verdict
                found[variant] = _record(
                    variant, exact, values, stderr, predictions,
                    shots=result.shots, seconds=seconds, **more,
                )  # fmt: skip
        return tuple(found[name] for name in NAMES if name in found)

    def _seconds(self, question: Question) -> float:
        """Of QPU time on a machine, by the estimate; the machine may be gone by now."""
        machine = self.machine
        assert machine.shots is not None
        compiled = machine.compile(self.inquiry.layer.spec)
        n_test = len(self.inquiry.test.features)
        (alone,) = zero_rows([question], compiled, n_test, self._n_training, machine.shots)
        asked = widened(alone)
        price = vendor_of(self.config.run.backend).estimate
        cost = price(asked.compiled, len(asked.parameters), machine.shots, question.options)
        return cost.machine_seconds

    def _rows(self, answers: Mapping[str, Answer]) -> Iterator[Record]:
        """The csv: one per variant and image."""
        names, indices = self.data.classes, self.split.indices.tolist()
        exact = self.inquiry.test.outputs
        for variant in (name for name in NAMES if name in answers):
            values, stderr, predictions = answers[variant]
            chosen = predictions.logits.argmax(dim=1).tolist()
            for place, label in enumerate(predictions.labels.tolist()):
                row: Record = {
                    "variant": variant,
                    "image": indices[place],
                    "label": names[label],
                    "prediction": names[chosen[place]],
                    "right": int(chosen[place] == label),
                }
                for kind, numbers in (("exact", exact), ("output", values), ("stderr", stderr)):
                    each = enumerate(numbers[place].tolist())
                    row |= {f"{kind}_{output}": f"{number:.6g}" for output, number in each}
                yield row


def _record(
    name: str, exact: Array, values: Array, stderr: Array, predictions: Predictions, **more: Any
) -> VariantRecord:
    errors, beyond = row_errors(exact, values, stderr), device_error(exact, values, stderr)
    right = predictions.logits.argmax(dim=1) == predictions.labels
    return VariantRecord(
        name=name,
        rmse=errors.rmse,
        rmse_error=errors.rmse_error,
        shot_error=errors.shot_error,
        device_error=beyond.squared,
        device_interval=beyond.interval,
        accuracy=float(right.double().mean()),
        accuracy_interval=share_interval(int(right.sum()), len(right)),
        **more,
    )
