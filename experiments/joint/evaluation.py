"""Several trained models, answered by one device on the same images, in one run.

Letters: N images, M outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from qbackend.layers.inputs import Array
from qbackend.machines.backend import MachineBackend
from qbackend.registry import vendor_of
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import CompiledLayer, Request, Result, angles_of
from qbackend.seam.side_by_side import widened
from qbackend.validation.records.files import csv_content, write_atomically

from ..assembly.feed import evaluation_split
from ..config.sections import Config
from ..data.splits import Split
from ..evaluation.assess import in_order, observed_ideally
from ..evaluation.correct import Observed, answers_from, observed_answers
from ..evaluation.evaluate import Predictions
from ..evaluation.sending import all_sent
from ..evaluation.validation import ledger_summary
from ..records.folder import RunFolder
from ..records.joint import JointRecord
from ..records.lines import Compiled
from .asking import Answers, Part, Together, grouped, zero_requests
from .members import Member
from .scores import Judged, differences, member_record, table_rows


@dataclass(frozen=True)
class JointEvaluation:
    """Several trained models that a device evaluates together.

    Attributes:
        members: the models.
        config: of the run; it names the device.
        folder: where the answers and the records go.
        target: the device's backend.
    """

    members: Sequence[Member]
    config: Config
    folder: RunFolder
    target: QuantumBackend

    def run(self) -> None:
        """Evaluate every model without noise, ask the device for all of them, and record that.

        Raises:
            JobsPendingError: the machine's jobs are sent; the same call later goes on.
            QhcError: as the backend's `submit` and `result`.
        """
        seen = [
            observed_answers(member.model, self._images(member), self._smoothing)
            for member in self.members
        ]
        layers = [member.layer for member in self.members]
        groups = grouped([None if layer is None else layer.spec for layer in layers])
        asked = [self._together(group, [seen[place][1] for place in group]) for group in groups]
        requests = self._requests(asked)
        results = self._results(requests)
        judged = [Judged(ideal) for ideal, _ in seen]
        records: list[dict[str, Any]] = [{} for _ in self.members]
        for number, group in enumerate(groups):
            answered = asked[number].answers(results[number])
            seconds = self._seconds(requests[number])
            n_rows = sum(each.n_rows for each in answered)
            for place, answers in zip(group, answered, strict=True):
                judged[place] = self._judged(place, *seen[place], answers)
                share = answers.n_rows / max(1, n_rows)
                records[place] = {
                    "request": number + 1,
                    "rows": answers.n_rows,
                    "seconds": seconds * share,
                }
                if results[number].qpu_seconds:
                    records[place]["charged_seconds"] = results[number].qpu_seconds * share
        indices = self._split(self.members[0]).indices.tolist()
        table = list(table_rows(self.members, judged, indices))
        write_atomically(self.folder.joint_table, csv_content(table))
        compiled = [Compiled.from_dict(each.compiled.record) for each in asked]
        apart = sum(
            self._apart_seconds(asked[number].compiled, records[place]["rows"])
            for number, group in enumerate(groups)
            for place in group
        )
        # A session is charged until it is closed.
        self.target.close()
        self.folder.append(
            JointRecord(
                backend=self.config.run.backend,
                shots=results[0].shots,
                n_images=len(indices),
                n_training=self._n_training,
                jobs=sum(len(result.job_ids) for result in results),
                members=tuple(
                    member_record(member, each, **more)
                    for member, each, more in zip(self.members, judged, records, strict=True)
                ),
                differences=tuple(differences([each.name for each in self.members], judged)),
                seconds=sum(self._seconds(request) for request in requests),
                apart_seconds=apart,
                compiled=tuple(compiled),
                charges=ledger_summary(self.folder),
            )
        )

    @property
    def _smoothing(self) -> float:
        return self.config.train.label_smoothing

    @cached_property
    def _n_training(self) -> int:
        return min(self.config.run.calibrate or 0, len(self.members[0].data.train))

    def _split(self, member: Member) -> Split:
        return evaluation_split(member.data.test, self.config.run.limit, self.config.run.seed)

    def _images(self, member: Member) -> Any:
        return in_order(self._split(member), member.model, self.config, member.data)

    def _together(self, group: Sequence[int], seen: Sequence[list[Observed]]) -> Together:
        """The request of models of one layer; they share the images that calibrate."""
        parts = []
        for turn, (place, (test,)) in enumerate(zip(group, seen, strict=True)):
            member = self.members[place]
            assert member.layer is not None
            calibrating = observed_ideally(member.model, self.config, member.data)
            # Without any, none of the test's.
            source = calibrating[0] if calibrating else test
            own = slice(turn, None, len(group)) if calibrating else slice(0)
            weights = angles_of(member.layer.weight)
            parts.append(Part(weights, _numbers(test)[0], *_numbers(source, own)))
        spec = self.members[group[0]].layer
        assert spec is not None
        return Together(self.target.compile(spec.spec), parts)

    def _requests(self, asked: Sequence[Together]) -> list[Request]:
        """Of each layer one; no two share a simulator's random numbers."""
        shots = self.target.shots
        n_rows = tuple(len(each.request(shots).parameters) for each in asked)
        seed = self.config.run.sampling_seed
        drawn = np.random.SeedSequence([seed, len(asked)]).generate_state(len(asked))
        return [
            each.request(shots, int(own >> 1), n_rows)
            for each, own in zip(asked, drawn, strict=True)
        ]

    def _results(self, requests: Sequence[Request]) -> list[Result]:
        """All are sent, in one batch, before the first is waited for."""
        target = self.target
        gathers = isinstance(target, MachineBackend) and len(requests) > 1
        with target.together() if gathers else nullcontext():  # type: ignore[attr-defined]
            jobs = all_sent(partial(target.submit, request) for request in requests)
        return [job.result() for job in jobs]

    def _judged(
        self, place: int, ideal: Predictions, seen: Sequence[Observed], answers: Answers
    ) -> Judged:
        member = self.members[place]

        def predicted(values: Array) -> Predictions:
            return answers_from(member.model, values, self._images(member), self._smoothing)

        corrected = None if answers.corrected is None else predicted(answers.corrected[0])
        exact = _numbers(seen[0])[1]
        return Judged(ideal, exact, predicted(answers.values), corrected, answers)

    def _seconds(self, request: Request) -> float:
        """Of QPU time on a machine, by the estimate; the machine may be gone by now."""
        if not isinstance(self.target, MachineBackend):
            return 0.0
        asked, shots = widened(request), self.target.shots
        assert shots is not None
        price = vendor_of(self.config.run.backend).estimate
        n_rows = len(asked.parameters)
        return price(asked.compiled, n_rows, shots, self.config.machine).machine_seconds

    def _apart_seconds(self, compiled: CompiledLayer, n_rows: int) -> float:
        """The same of one model's rows, in a run of their own."""
        (alone,) = zero_requests([compiled], [1], n_rows, self._n_training, self.target.shots)
        return self._seconds(alone)


def _numbers(observed: Observed, chosen: slice = slice(None)) -> tuple[Array, Array]:
    """Features and outputs of the chosen rows, float64."""
    features, outputs = observed.features, observed.outputs
    return features[chosen].double().cpu().numpy(), outputs[chosen].double().cpu().numpy()
