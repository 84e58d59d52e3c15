"""The questions of a comparison on their way to a machine, and its answers as every variant.

Letters: N images' rows, F features, M outputs, K rows that calibrate, C copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from qbackend import QuantumLayer
from qbackend.layers.inputs import Array
from qbackend.machines.backend import MachineBackend
from qbackend.machines.options import CORRECTED_HERE, Mitigation
from qbackend.seam.jobs import Job
from qbackend.seam.requests import Request, Result, angles_of

from ..evaluation.calibrated_copies import corrected_by_last
from ..evaluation.correct import Observed
from ..evaluation.sending import all_sent
from .variants import Question


@dataclass(frozen=True)
class Inquiry:
    """One layer with its images' features, asked in several ways.

    Attributes:
        machine: that executes.
        layer: with the weights.
        test: what goes into it (N, F) and comes out (N, M) without noise.
        training: the same of rows that calibrate; None where nothing does.
        seed: of the run.
    """

    machine: MachineBackend
    layer: QuantumLayer
    test: Observed
    training: Observed | None
    seed: int

    def answers(self, asked: Sequence[Question]) -> list[Result]:
        """Every question's result, its counts read as they are.

        All are sent, in one batch, before the first is waited for.

        Raises:
            JobsPendingError: they are sent, and nobody waits.
            QhcError: as the machine's `submit` and `result`.
        """
        requests = [self._request(question) for question in asked]
        together = tuple(len(request.parameters) for request in requests)

        def submit(question: Question, request: Request) -> Job:
            raw: Mitigation | None = "none" if question.options.calibrates else None
            machine = self.machine.asking(question.options, read_as=raw)
            return machine.submit(replace(request, together=together))

        with self.machine.together() if len(asked) > 1 else nullcontext():
            jobs = all_sent(partial(submit, *each) for each in zip(asked, requests, strict=True))
        return [job.result() for job in jobs]

    def read(self, question: Question, variant: str, result: Result) -> tuple[Array, Array]:
        """Values (N, M) and standard errors (N, M) of a variant, from its question's result.

        A row that encodes nothing was not executed: its outputs are 0.

        Raises:
            BackendError: counts that cannot be corrected so.
        """
        if variant in CORRECTED_HERE:
            machine = self.machine.asking(question.options, read_as=variant)
            result = machine.evaluate(self._request(question))
        live = self._live(self.test)
        n_test = int(live.sum())
        values, stderr = result.values[:n_test], result.stderr[:n_test]
        if variant == "calibrated":
            values, stderr = self._calibrated(result, n_test)
        found = np.zeros((2, len(live), values.shape[1]))
        found[:, live] = values, stderr
        return found[0], found[1]

    def _request(self, question: Question) -> Request:
        """Rows of the test images, and behind them those that calibrate, on every copy."""
        compiled = self.machine.compile(self.layer.spec)
        features = [self.test.features[self._live(self.test)]]
        if question.calibrates:
            assert self.training is not None
            calibrating = self.training.features[self._live(self.training)]
            features.append(calibrating.repeat_interleave(max(1, len(compiled.copies)), dim=0))
        rows = compiled.rows(
            torch.cat(features).double().cpu().numpy(), angles_of(self.layer.weight)
        )
        distinct = len(features[0])
        if question.calibrates:
            distinct += len(features[1]) // max(1, len(compiled.copies))
        seed = question.seed(self.seed)
        return Request(compiled, rows, shots=self.machine.shots, seed=seed, distinct=distinct)

    def _calibrated(self, result: Result, n_test: int) -> tuple[Array, Array]:
        """The test rows' values and errors by a map of their output, and of their copy."""
        assert self.training is not None
        compiled = self.machine.compile(self.layer.spec)
        exact = self.training.outputs[self._live(self.training)].double().cpu().numpy()
        values, stderr = corrected_by_last(result, n_test, exact, len(compiled.copies))
        return values[:n_test], stderr[:n_test]

    def _live(self, observed: Observed) -> np.ndarray:
        """Rows that encode something, (N,)."""
        inputs = self.machine.compile(self.layer.spec).inputs
        return inputs.live(observed.features.double().cpu().numpy())
