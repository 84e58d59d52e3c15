"""Rows that encode nothing, and maps of copies, in the answers of a machine without noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.evaluation.correct import Observed
from experiments.mitigation.inquiry import Inquiry
from experiments.mitigation.variants import RAW, Question
from qbackend import QuantumLayer
from qbackend.machines.options import ExecutionOptions
from tests.machines.fakes import SHOTS, SPEC, FakeService, backend_of

READ = (RAW, "m3", "tensored", "calibrated")
N_TEST, N_TRAINING, DEAD = 30, 40, 7


def observed(layer: QuantumLayer, n_rows: int, seed: int) -> Observed:
    features = torch.from_numpy(np.random.default_rng(seed).normal(size=(n_rows, 4)))
    features[DEAD] = 0.0
    with torch.no_grad():
        return Observed(features, layer(features))


@pytest.mark.parametrize("copies", [1, 2])
def test_a_machine_without_noise_gives_the_exact_outputs_in_every_reading(copies: int) -> None:
    layer = QuantumLayer(SPEC, "aer", seed=3)
    service = FakeService()
    machine = backend_of(service, copies=copies, border=0)
    test, training = observed(layer, N_TEST, 1), observed(layer, N_TRAINING, 2)
    inquiry = Inquiry(machine, layer, test, training, seed=0)
    options = ExecutionOptions(readout_mitigation="tensored", copies=copies, border=0)
    question = Question(options, READ, calibrates=True)
    (result,) = inquiry.answers([question])
    exact = test.outputs.numpy()
    # One dead row of the test, one of those that calibrate, which every copy has.
    n_rows = N_TEST - 1 + copies * (N_TRAINING - 1)
    assert len(result.values) == n_rows
    assert question.n_rows(N_TEST, N_TRAINING, machine.compile(SPEC)) == n_rows + 1 + copies
    live = np.arange(N_TEST) != DEAD
    answers = {variant: inquiry.read(question, variant, result) for variant in READ}
    assert len(service.jobs) == 1
    for values, stderr in answers.values():
        assert (values[DEAD] == 0).all()
        assert (stderr[DEAD] == 0).all()
    for variant in READ[:-1]:
        values, stderr = answers[variant]
        assert (np.abs(values - exact)[live] < 5 * stderr[live] + 1e-6).all(), variant
        assert (stderr[live] > 0.2 / np.sqrt(SHOTS)).any()
    # The map of each copy, by another library's fit of that copy's rows.
    on = np.zeros(n_rows, int) if result.copies is None else result.copies
    calibrating = np.delete(training.outputs.numpy(), DEAD, axis=0).repeat(copies, axis=0)
    raw, corrected = (answers[variant][0][live] for variant in (RAW, "calibrated"))
    for copy in range(copies):
        rows = on[N_TEST - 1 :] == copy
        for output in range(2):
            measured = result.values[N_TEST - 1 :][rows, output]
            line = np.polyfit(measured, calibrating[rows, output], 1)
            mine = on[: N_TEST - 1] == copy
            np.testing.assert_allclose(
                corrected[mine, output], np.polyval(line, raw[mine, output]), atol=1e-9
            )
