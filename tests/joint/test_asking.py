"""Rows of several models in one request: each image's once, and read back as its model's."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.evaluation.calibrated_copies import corrected_by_last
from experiments.evaluation.meter import NO_COPY
from experiments.joint.asking import Part, Together, grouped, interleaved
from experiments.joint.members import member_names
from qbackend import LayerSpec, get_backend
from qbackend.layers.inputs import Array
from qbackend.seam.requests import Request
from tests.machines.fakes import SHOTS, SPEC, FakeService, backend_of
from tests.support.cases import features, weights

N_TEST, N_TRAINING, DEAD = 31, 40, 7


def exact(rows: Array, angles: Array) -> Array:
    backend = get_backend("aer")
    compiled = backend.compile(SPEC)
    return backend.evaluate(Request(compiled, compiled.rows(rows, angles))).values


@pytest.mark.parametrize("n_copies", [1, 3, 7])
def test_every_image_goes_through_all_models_on_one_copy(n_copies: int) -> None:
    live = np.ones((3, 20), bool)
    live[1, 4] = live[2, 9] = False
    order = interleaved(live, n_copies)
    assert len(order) == live.sum() == len(np.unique(order, axis=0))
    assert live[order[:, 0], order[:, 1]].all()
    on = {tuple(pair): place % n_copies for place, pair in enumerate(order.tolist())}
    shared = [image for image in range(20) if live[:, image].all()]
    whole = shared[: len(shared) // n_copies * n_copies]
    assert len(whole) == 18 // n_copies * n_copies
    for image in whole:
        assert len({on[model, image] for model in range(3)}) == 1
    # Never further apart than all models take for as many images as there are copies.
    places = {tuple(pair): place for place, pair in enumerate(order.tolist())}
    for image in whole:
        found = [places[model, image] for model in range(3)]
        assert max(found) - min(found) == 2 * n_copies


@pytest.mark.parametrize("copies", [1, 2])
def test_a_machine_without_noise_gives_every_model_its_own_outputs(copies: int) -> None:
    service = FakeService()
    machine = backend_of(service, copies=copies, border=0)
    compiled = machine.compile(SPEC)
    parts, tests = [], []
    for model in range(2):
        rows = np.random.default_rng(model).normal(size=(N_TEST, SPEC.n_features))
        training = features(SPEC, N_TRAINING, 10 + model)[model::2]
        angles = weights(SPEC, model)
        tests.append(exact(rows, angles))
        if model == 1:
            rows[DEAD], tests[model][DEAD] = 0.0, 0.0
        parts.append(Part(angles, rows, training, exact(training, angles)))
    together = Together(compiled, parts)
    request = together.request(SHOTS, seed=4)
    n_rows = 2 * N_TEST - 1
    assert len(request.parameters) == n_rows + copies * N_TRAINING
    assert request.distinct == n_rows + N_TRAINING
    result = machine.submit(request).result()
    assert len(service.jobs) == 1
    answers = together.answers(result)
    assert [each.n_rows for each in answers] == [N_TEST, N_TEST - 1]
    for answer, wanted in zip(answers, tests, strict=True):
        assert (np.abs(answer.values - wanted) < 5 * answer.stderr + 1e-6).all()
    dead = answers[1]
    assert dead.corrected is not None
    assert (dead.values[DEAD] == 0).all()
    assert (dead.corrected[0][DEAD] == 0).all()
    assert dead.copies[DEAD] == NO_COPY
    # The map of each copy, by another library's fit of the rows that both models gave it, and on
    # top of it each model's own.
    on = np.zeros(len(result.values), int) if result.copies is None else result.copies
    truth = np.concatenate([part.exact for part in parts]).repeat(copies, axis=0)
    halves = np.arange(len(truth)) < len(truth) // 2
    for output in range(truth.shape[1]):
        lines = []
        mapped = np.zeros(len(truth))
        for copy in range(copies):
            rows_of_it = on[n_rows:] == copy
            assert rows_of_it.sum() == N_TRAINING
            measured = result.values[n_rows:][rows_of_it, output]
            lines.append(np.polyfit(measured, truth[rows_of_it, output], 1))
            mapped[rows_of_it] = np.polyval(lines[-1], measured)
        for answer, own in zip(answers, (halves, ~halves), strict=True):
            own_line = np.polyfit(mapped[own], truth[own, output], 1)
            for copy, line in enumerate(lines):
                mine = answer.copies == copy
                assert answer.corrected is not None
                np.testing.assert_allclose(
                    answer.corrected[0][mine, output],
                    np.polyval(own_line, np.polyval(line, answer.values[mine, output])),
                    atol=1e-9,
                )


def test_one_model_alone_is_corrected_by_its_copies_maps_and_nothing_else() -> None:
    machine = backend_of(FakeService(), copies=2, border=0)
    rows, angles = features(SPEC, N_TRAINING, 3), weights(SPEC, 3)
    together = Together(machine.compile(SPEC), [Part(angles, rows, rows, exact(rows, angles))])
    result = machine.submit(together.request(SHOTS, seed=4)).result()
    n_rows = len(together.order)
    values, stderr = corrected_by_last(result, n_rows, exact(rows, angles), 2)
    (answer,) = together.answers(result)
    assert answer.corrected is not None
    np.testing.assert_allclose(answer.corrected[0], values[:n_rows], atol=1e-9)
    np.testing.assert_allclose(answer.corrected[1], stderr[:n_rows], atol=1e-9)


def test_models_of_one_layer_are_one_request() -> None:
    one, other = LayerSpec(2, "angle"), LayerSpec(3, "angle")
    assert grouped([one, None, other, LayerSpec(2, "angle")]) == [[0, 3], [2]]


def test_checkpoints_are_called_by_as_little_of_their_paths_as_tells_them_apart() -> None:
    runs = ["runs/a/checkpoint.safetensors", "/old/b/checkpoint.safetensors"]
    assert member_names(runs) == ["a", "b"]
    assert member_names(["x/a/checkpoint.safetensors", "y/a/checkpoint.safetensors"]) == [
        "x/a",
        "y/a",
    ]
    assert member_names(["x/one.safetensors", "x/two.safetensors"]) == [
        "one.safetensors",
        "two.safetensors",
    ]
