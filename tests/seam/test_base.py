"""Local jobs and requests."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from qbackend.circuits.logical import compile_layer
from qbackend.errors import (
    BackendError,
    InputError,
    JobCancelledError,
    JobTimeoutError,
    OptionError,
)
from qbackend.layers.spec import LayerSpec
from qbackend.seam.jobs import JobStatus, LocalJob
from qbackend.seam.requests import Request, Result, local_cost
from tests.support.any_circuit import FEATURES, WEIGHTS, own_layer


def result(job_id: str = "x") -> Result:
    return Result(np.zeros((1, 1)), np.zeros((1, 1)), None, (job_id,), "test")


def test_a_job_runs_in_the_background_and_keeps_its_result() -> None:
    gate = threading.Event()
    calls: list[str] = []

    def compute(job_id: str) -> Result:
        gate.wait()
        calls.append(job_id)
        return result(job_id)

    job = LocalJob(compute)
    with pytest.raises(JobTimeoutError) as caught:
        job.result(timeout=0.01)
    assert caught.value.job_id == job.id
    assert not job.status().is_final
    gate.set()
    assert job.result(timeout=5) is job.result()
    assert job.status() is JobStatus.DONE
    assert calls == [job.id]


def test_a_cancelled_job_has_no_result() -> None:
    """Also once its computation, which was under way, has come to its end."""
    begun, gate = threading.Event(), threading.Event()

    def compute(job_id: str) -> Result:
        begun.set()
        gate.wait()
        return result(job_id)

    job = LocalJob(compute)
    (thread,) = (each for each in threading.enumerate() if each.name == job.id)
    assert begun.wait(timeout=5)
    assert job.cancel()
    assert not job.cancel()
    gate.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    with pytest.raises(JobCancelledError, match=job.id):
        job.result(timeout=5)
    assert job.status() is JobStatus.CANCELLED


def test_a_failed_job_raises_what_it_failed_with() -> None:
    def fail(job_id: str) -> Result:
        raise BackendError("broken", job_id=job_id)

    job = LocalJob(fail)
    with pytest.raises(BackendError, match="broken"):
        job.result(timeout=5)
    assert job.status() is JobStatus.FAILED


@pytest.mark.parametrize("shots", [0, -1, 1.5, True, "100"])
def test_shots_out_of_range(shots: object) -> None:
    compiled = compile_layer(LayerSpec(1))
    with pytest.raises(OptionError, match="shots"):
        Request(compiled, np.zeros((1, 3)), shots=shots)


def test_rows_of_the_wrong_width() -> None:
    with pytest.raises(InputError, match=r"\(rows, 3\)"):
        Request(compile_layer(LayerSpec(1)), np.zeros((1, 4)))


@pytest.mark.parametrize(("shots", "circuits"), [(None, 3), (10, 9)])
def test_a_sampled_row_is_a_circuit_in_every_basis(shots: int | None, circuits: int) -> None:
    compiled = compile_layer(own_layer())
    cost = local_cost(Request(compiled, compiled.rows(FEATURES, WEIGHTS), shots=shots))
    assert (cost.rows, cost.circuits, cost.shots) == (3, circuits, circuits * (shots or 0))
