"""What an evaluation measures, keeps and counts."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch.nn import functional

from experiments.assembly.feed import evaluation_split
from experiments.data.batches import BatchSource
from experiments.data.splits import Split
from experiments.evaluation.answers import drawn
from experiments.evaluation.evaluate import N_SAMPLES, Evaluation, evaluate
from experiments.evaluation.metrics import score
from models import HybridCNN, build_model, to_backend
from qbackend import QuantumLayer
from qbackend.seam.uncertainty import share_interval

from ..support.distant import Distant

CLASSES = ("zero", "one", "two", "three")
NORMAL = {"device": "cpu", "mean": (0.5,), "std": (0.25,)}


def split_of(n: int) -> Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return Split.whole(images, torch.randint(0, 10, (n,), generator=generator))


def evaluated(split: Split, **options: object) -> tuple[torch.nn.Module, Evaluation]:
    model = build_model("hybrid-digits", seed=0, **options)  # type: ignore[arg-type]
    names = tuple("0123456789")
    return model, evaluate(model, BatchSource(split, 16, **NORMAL).epoch(), names, 0.1)  # type: ignore[arg-type]


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=50),
    seed=st.integers(0, 1000),
)
def test_scores_are_those_of_scikit_learn(labels: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(labels), 4, generator=generator)
    truth = torch.tensor(labels)
    losses = functional.cross_entropy(logits, truth, reduction="none")
    scores = score(logits, truth, losses, CLASSES, distributed=False)
    answers = logits.argmax(1).tolist()
    everyone = [0, 1, 2, 3]
    assert scores.confusion == tuple(
        map(tuple, confusion_matrix(labels, answers, labels=everyone).tolist())
    )
    options = {"labels": everyone, "zero_division": 0.0}
    each = precision_recall_fscore_support(labels, answers, **options)
    found = [(c.precision, c.recall, c.f1, c.support) for c in scores.per_class]
    # torchmetrics computes in float32.
    assert found == [pytest.approx(row, rel=1e-6) for row in zip(*each, strict=True)]
    present = sorted({*labels, *answers})
    means = precision_recall_fscore_support(
        labels, answers, labels=present, zero_division=0.0, average="macro"
    )
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx(means[:3], rel=1e-6)
    assert scores.n_images == len(labels)
    right = sum(a == b for a, b in zip(labels, answers, strict=True))
    assert scores.accuracy == right / len(labels)
    assert scores.loss == pytest.approx(losses.double().mean().item(), rel=1e-6)


def test_the_interval_is_wilsons() -> None:
    logits = torch.eye(4)[[0] * 10]
    labels = torch.tensor([0] * 8 + [1] * 2)
    scores = score(logits, labels, torch.zeros(10), CLASSES, distributed=False)
    assert scores.accuracy_interval == share_interval(8, 10)


def test_what_goes_into_and_comes_out_of_the_bridge() -> None:
    split = split_of(40)
    model, evaluation = evaluated(split)
    assert evaluation.features is not None
    assert evaluation.outputs is not None
    assert evaluation.features.shape == (40, 16)
    assert torch.equal(model.eval().bridge(evaluation.features), evaluation.outputs)
    assert torch.equal(model.head(evaluation.outputs), evaluation.predictions.logits)
    assert not model.bridge._forward_hooks


def test_a_model_without_a_bridge_has_nothing_to_show() -> None:
    model = build_model("classical-digits", seed=0)
    split = split_of(5)
    found = evaluate(model, BatchSource(split, 4, **NORMAL).epoch(), tuple("0123456789"), 0.0)  # type: ignore[arg-type]
    assert found.features is found.outputs is None
    with np.load(io.BytesIO(found.arrays(split, tuple("0123456789"), seed=0))) as file:
        assert "features" not in file
        assert "outputs" not in file


def test_the_mode_of_the_model_is_left_as_it_was() -> None:
    for training in (True, False):
        model = build_model("hybrid-digits", arm="linear", seed=0).train(training)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        evaluate(model, BatchSource(split_of(20), 8, **NORMAL).epoch(), tuple("0123456789"), 0.0)  # type: ignore[arg-type]
        assert model.training is training
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_the_arrays_hold_wrong_answers_first_and_no_pickle() -> None:
    split = split_of(100).select(torch.arange(99, -1, -1))
    _, evaluation = evaluated(split)
    with np.load(
        io.BytesIO(evaluation.arrays(split, tuple("0123456789"), seed=7)), allow_pickle=False
    ) as f:
        arrays = {name: f[name] for name in f}
    assert arrays["labels"].tolist() == split.labels.tolist()
    assert arrays["indices"].tolist() == list(range(99, -1, -1))
    assert arrays["classes"].tolist() == list("0123456789")
    assert arrays["samples"].dtype == np.uint8
    assert (arrays["samples"] == split.images.numpy()[arrays["sample_places"]]).all()
    wrong = arrays["logits"].argmax(1) != arrays["labels"]
    n_wrong = min(N_SAMPLES // 2, wrong.sum())
    n_right = min(N_SAMPLES - n_wrong, (~wrong).sum())
    assert n_wrong > 0
    assert n_right > 0
    shown = wrong[arrays["sample_places"]]
    assert shown.tolist() == [True] * n_wrong + [False] * n_right
    assert len(set(arrays["sample_places"].tolist())) == len(shown)
    assert arrays["sample_seed"] == 7


def test_the_samples_are_drawn_by_the_seed_and_not_the_first() -> None:
    places = np.arange(0, 400, 4)
    first, again, other = (drawn(places, 16, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert set(first) != set(other)
    assert set(first) <= set(places)
    assert not np.array_equal(np.sort(first), places[:16])
    assert set(drawn(places, 1000, 3)) == set(places)


def test_jobs_are_counted_where_there_are_any() -> None:
    split = split_of(40)
    model, exact = evaluated(split)
    assert (exact.jobs, exact.qpu_seconds) == (0, 0.0)
    model, sampled = evaluated(split, shots=10)
    assert (sampled.jobs, sampled.qpu_seconds) == (3, 0.0)
    (layer,) = (module for module in model.modules() if isinstance(module, QuantumLayer))
    assert layer.backend.shots == 10
    assert type(layer.backend).__name__ != "Meter"
    record = sampled.record(backend="aer", split="test", checkpoint="best")
    assert (record.shots, record.jobs, record.n_images) == (10, 3, 40)


def test_a_machine_is_asked_once_for_all_images() -> None:
    split, backend = split_of(40), Distant(400)
    model, exact = evaluated(split)
    sizes: list[int] = []
    assert isinstance(model, HybridCNN)
    for part in (model.front, model.head):
        part.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    to_backend(model, backend)
    found = evaluate(model, BatchSource(split, 16, **NORMAL).epoch(), tuple("0123456789"), 0.1)  # type: ignore[arg-type]
    assert backend.asked == [40]
    assert sizes == [16, 16, 8] * 2
    assert (found.jobs, found.shots) == (1, 400)
    assert torch.equal(found.features, exact.features)
    torch.testing.assert_close(model.eval().head(found.outputs), found.predictions.logits)
    # The variance of an output is at most 1 / shots.
    assert (found.outputs - exact.outputs).abs().max() < 5 / math.sqrt(400)
    assert 0 < found.shot_error <= 1 / math.sqrt(400)
    record = found.record(backend="distant", split="test", checkpoint="best")
    assert record.shot_error == pytest.approx(found.shot_error)
    assert exact.shots is exact.shot_error is None


@given(n=st.integers(1, 60), limit=st.integers(1, 80), seed=st.integers(0, 2**40))
def test_the_evaluation_images_follow_from_the_seed(n: int, limit: int, seed: int) -> None:
    split = split_of(60).select(torch.arange(n))
    chosen = evaluation_split(split, limit, seed).indices.tolist()
    assert chosen == evaluation_split(split, limit, seed).indices.tolist()
    assert len(set(chosen)) == len(chosen) == min(n, limit)
    assert set(chosen) <= set(split.indices.tolist())
    fewer = evaluation_split(split, max(1, limit - 1), seed).indices.tolist()
    if limit < n:
        assert fewer == chosen[: len(fewer)]
    assert evaluation_split(split, None, seed) is split
