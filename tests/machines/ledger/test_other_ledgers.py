"""A ledger that is not the run's last: another run's, an older one of its own, a copy's.

What the service has of the run is asked for before anything is sent.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from qbackend.errors import BackendError, JobFailedError, JobsPendingError, RunFolderError
from qbackend.machines.backend import MachineBackend
from qbackend.machines.service import RemoteState
from qbackend.seam.jobs import JobStatus

from ..fakes import SPEC, FakeService, Fault, ask, backend_of, undisturbed
from ..test_recompiling import used, without

RUN, OTHER_RUN = "qhc-run-" + "a" * 32, "qhc-run-" + "b" * 32
FAILED = RemoteState(JobStatus.FAILED, "Error code 9701; broken")


def of_run(service: FakeService, path: Path, *, wait: bool = True) -> MachineBackend:
    return backend_of(service, ledger=path, run_tag=RUN, wait=wait)


def evaluated(service: FakeService, path: Path, n_rows: int = 3) -> np.ndarray:
    backend = of_run(service, path)
    values = backend.evaluate(ask(backend, n_rows)).values
    backend.close()
    return values


def test_another_runs_ledger(tmp_path: Path) -> None:
    service, path, other = FakeService(), tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    evaluated(service, path)
    backend = backend_of(service, ledger=other, run_tag=OTHER_RUN)
    backend.evaluate(ask(backend, 2))
    backend.close()
    shutil.copy(other, path)
    np.testing.assert_array_equal(evaluated(service, path), undisturbed())
    assert len(service.jobs) == 2


@pytest.mark.parametrize("moment", ["compiled", "sent"])
def test_an_older_ledger(tmp_path: Path, moment: str) -> None:
    """As a backup has it, from before a request, or before a second one."""
    service, path, backup = FakeService(), tmp_path / "a.sqlite", tmp_path / "backup"
    backend = of_run(service, path)
    backend.compile(SPEC)
    if moment == "sent":
        backend.evaluate(ask(backend, 2))
    backend.close()
    shutil.copy(path, backup)
    evaluated(service, path)
    n_jobs = len(service.jobs)
    shutil.copy(backup, path)
    np.testing.assert_array_equal(evaluated(service, path), undisturbed())
    assert len(service.jobs) == n_jobs


def test_an_older_ledger_of_other_qubits_pays_for_nothing(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "a.sqlite"
    evaluated(service, path)
    path.unlink()
    service.target = without(used(service)[:1])
    with pytest.raises(RunFolderError, match=r"jobs job-0.*does not tell of them"):
        evaluated(service, path)
    assert len(service.jobs) == 1


def test_two_copies_of_a_run_that_was_half_sent(tmp_path: Path, three_jobs: None) -> None:
    service, path, copy = FakeService(looks=1), tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    service.most_pending = 1
    backend = of_run(service, path, wait=False)
    with pytest.raises(JobsPendingError):
        backend.submit(ask(backend, 5))
    backend.close()
    shutil.copy(path, copy)
    service.most_pending = 10
    for each in (path, copy):
        np.testing.assert_array_equal(evaluated(service, each, 5), undisturbed(5))
    assert len(service.jobs) == 3


def test_two_copies_of_a_run_whose_job_failed(tmp_path: Path) -> None:
    service, path, copy = FakeService(looks=1), tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    backend = of_run(service, path)
    job = backend.submit(ask(backend))
    service.jobs[0].ending = FAILED
    with pytest.raises(JobFailedError):
        job.result()
    backend.close()
    shutil.copy(path, copy)
    for each in (path, copy, path):
        np.testing.assert_array_equal(evaluated(service, each), undisturbed())
    assert len(service.jobs) == 2


def test_nothing_is_sent_while_the_service_does_not_tell(tmp_path: Path) -> None:
    service = FakeService()
    service.faults.append(Fault("tagged", BackendError("the service refused: no")))
    with pytest.raises(BackendError, match="no"):
        evaluated(service, tmp_path / "a.sqlite")
    assert not service.jobs


def test_the_service_is_asked_once(tmp_path: Path) -> None:
    """And not at all where there is nothing to send."""
    service, path = FakeService(), tmp_path / "a.sqlite"
    backend = of_run(service, path)
    for n_rows in (1, 2, 3):
        backend.evaluate(ask(backend, n_rows))
    backend.close()
    assert service.count("tagged") == 1
    evaluated(service, path)
    assert service.count("tagged") == 1
