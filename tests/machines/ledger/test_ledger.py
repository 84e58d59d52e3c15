"""The ledger keeps what it was told, in every process, or says that it cannot."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from qbackend.errors import RecordError, RunFolderError
from qbackend.machines.ledger.entries import FIRST_VERSION, VERSION, Intent, OpenWorkload, State
from qbackend.machines.ledger.file import DamagedLedgerError
from qbackend.machines.ledger.identity import ROUNDING
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions

ROWS = np.random.default_rng(0).normal(size=(5, 3))
RANGES = [range(0, 2), range(2, 5)]


def planned(ledger: Ledger, content: str = "content", rows: np.ndarray = ROWS) -> list:
    intent = Intent(content, "ibm_x", "crn", 64, ExecutionOptions())
    return ledger.plan(intent, rows, RANGES, [2.0, 3.0])


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "jobs.sqlite" if request.param == "file" else None)


def test_a_plan_is_entered_with_all_its_jobs(ledger: Ledger) -> None:
    entries = planned(ledger)
    assert [(e.first_row, e.n_rows, e.estimate_seconds) for e in entries] == [
        (0, 2, 2.0),
        (2, 3, 3.0),
    ]
    assert {e.state for e in entries} == {State.PLANNED}
    assert len({e.tag for e in entries}) == 2
    assert ledger.committed_seconds() == 5.0


def test_a_job_goes_through_its_states(ledger: Ledger) -> None:
    first, second = planned(ledger)
    ledger.submitted(first.tag, "job-1")
    ledger.done(first.tag, b"result")
    ledger.charged(first.tag, 1.5)
    ledger.submitted(second.tag, "job-2")
    ledger.ended(second.tag, State.FAILED, "Error code 1000; broken")
    first, second = ledger.entries()
    assert (first.state, first.job_id, first.instance, first.qpu_seconds) == (
        State.DONE,
        "job-1",
        "crn",
        1.5,
    )
    assert ledger.raw(first.tag) == b"result"
    assert (second.state, second.words) == (State.FAILED, "Error code 1000; broken")
    assert first.submitted_at <= first.finished_at
    # What failed may have executed: it counts as estimated until the service says otherwise.
    assert ledger.committed_seconds() == 1.5 + 3.0
    ledger.charged(second.tag, 0.5)
    assert ledger.committed_seconds() == 2.0


def test_what_was_cancelled_counts_once_it_was_sent(ledger: Ledger) -> None:
    first, second = planned(ledger)
    ledger.submitted(first.tag, "job-1")
    for entry in (first, second):
        ledger.ended(entry.tag, State.CANCELLED, "cancelled")
    # It may have run before, until the service says that it did not.
    assert ledger.committed_seconds() == first.estimate_seconds
    ledger.charged(first.tag, 0.0)
    assert ledger.committed_seconds() == 0.0


def test_the_first_result_stays(ledger: Ledger) -> None:
    entry = planned(ledger)[0]
    ledger.submitted(entry.tag, "job")
    ledger.done(entry.tag, b"one")
    ledger.done(entry.tag, b"other")
    ledger.ended(entry.tag, State.FAILED, "too late")
    assert ledger.raw(entry.tag) == b"one"
    assert ledger.entries()[0].state is State.DONE


def test_rows_are_planned_again_as_another_attempt(ledger: Ledger) -> None:
    entries = planned(ledger)
    ledger.submitted(entries[1].tag, "job")
    ledger.ended(entries[1].tag, State.CANCELLED, "cancelled")
    ledger.plan_again([ledger.entries()[1]], "crn")
    current = ledger.current(entries[0].request)
    assert [(e.first_row, e.attempt, e.state) for e in current] == [
        (0, 1, State.PLANNED),
        (2, 2, State.PLANNED),
    ]
    assert current[1].tag != entries[1].tag
    assert len(ledger.entries()) == 3


def test_a_request_is_found_up_to_rounding(ledger: Ledger) -> None:
    key = planned(ledger)[0].request
    assert ledger.find_request("content", ROWS) == key
    assert ledger.find_request("content", ROWS + 0.9 * ROUNDING) == key
    assert ledger.find_request("content", ROWS + 2 * ROUNDING) is None
    assert ledger.find_request("content", ROWS[:4]) is None
    assert ledger.find_request("other", ROWS) is None
    np.testing.assert_array_equal(ledger.parameters(key), ROWS)


def test_the_first_compiled_layer_stays(ledger: Ledger) -> None:
    assert ledger.layer("key") is None
    assert ledger.keep_layer("key", "ibm_x", "one") == "one"
    assert ledger.keep_layer("key", "ibm_x", "other") == "one"
    assert ledger.layers_of("ibm_x") == ["one"]


def test_another_process_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    entries = planned(Ledger(path))
    assert Ledger.existing(path).entries() == entries
    assert Ledger(path).run == str(tmp_path)


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    one, other = Ledger(path), Ledger(path)
    order = []

    def wait() -> None:
        with other.locked():
            order.append("other")

    with one.locked():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.2)
        order.append("one")
    thread.join()
    assert order == ["one", "other"]


def test_who_waits_is_told_once_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.machines.ledger.file.QUIET_SECONDS", 0.01)
    path, heard, told = tmp_path / "jobs.sqlite", [], threading.Event()

    def tell(words: str) -> None:
        heard.append(words)
        told.set()

    one, other = Ledger(path), Ledger(path, tell)
    with other.locked(), other.locked():
        pass
    assert heard == []

    def wait() -> None:
        with other.locked():
            pass

    with one.locked():
        thread = threading.Thread(target=wait)
        thread.start()
        assert told.wait(60)
    thread.join()
    (words,) = heard
    assert words.startswith(f"waiting for process {os.getpid()}, which acts on the jobs of")
    assert f"qhc jobs {tmp_path}" in words


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite")
    entry = planned(ledger)[0]
    ledger.submitted(entry.tag, "job")
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RecordError, match=r"full.*qhc resume"):
        ledger.done(entry.tag, b"x" * 100_000)
    assert ledger.entries()[0].state is State.SUBMITTED
    ledger._connection.execute("PRAGMA max_page_count = 100000")
    ledger.done(entry.tag, b"x" * 100_000)
    assert ledger.entries()[0].state is State.DONE


def test_a_plan_that_does_not_fit_is_not_entered_by_half(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite")
    planned(ledger)
    before = ledger.entries()
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    rows = np.zeros((5, 10_000))
    with pytest.raises(RecordError):
        planned(ledger, "large", rows)
    assert ledger.entries() == before
    assert ledger.find_request("large", rows) is None


def test_no_folder_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="missing"):
        Ledger(tmp_path / "missing" / "jobs.sqlite")
    with pytest.raises(RunFolderError, match="no jobs were ever planned"):
        Ledger.existing(tmp_path / "jobs.sqlite")


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(RunFolderError, match="not a ledger"):
        Ledger(path)
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RunFolderError, match=r"version 99.*go on with the qhc"):
        Ledger(path)


def old_ledger(path: Path) -> list:
    """A ledger of the version before this one, with the entries that it has."""
    ledger = Ledger(path)
    entries = planned(ledger)
    ledger.submitted(entries[0].tag, "job-1")
    entries = ledger.entries()
    for statement in (
        "DROP TABLE workloads",
        "DROP TABLE recovered",
        "ALTER TABLE jobs DROP COLUMN workload",
        f"PRAGMA user_version = {FIRST_VERSION}",
    ):
        ledger._connection.execute(statement)
    ledger.close()
    return entries


def test_a_ledger_of_old_is_read_and_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    entries = old_ledger(path)
    reader = Ledger(path, read_only=True)
    assert (reader.entries(), reader.sessions()) == (entries, {})
    assert reader.committed_seconds() == 5.0
    reader.close()
    for _ in range(2):
        ledger = Ledger(path)
        assert (ledger.version, ledger.entries()) == (VERSION, entries)
        assert ledger.open_workloads() == ledger.recovered("what") == []
        ledger.close()


def test_a_session_is_charged_in_the_place_of_its_jobs(ledger: Ledger) -> None:
    first, second = planned(ledger)
    session = OpenWorkload("session", True, "crn")
    ledger.opened(session, "ibm_x")
    ledger.opened(OpenWorkload("batch", False, "crn"), "ibm_x")
    assert [each.id for each in ledger.open_workloads()] == ["session", "batch"]
    ledger.begun_in(first.tag, "session")
    ledger.begun_in(second.tag, "batch")
    for entry, seconds in ((first, 1.0), (second, 1.5)):
        ledger.submitted(entry.tag, entry.tag)
        ledger.done(entry.tag, b"result")
        ledger.charged(entry.tag, seconds)
    # Until it has ended, a session is what its jobs were estimated to take.
    assert ledger.committed_seconds() == first.estimate_seconds + 1.5
    assert ledger.charged_seconds() == 1.5
    ledger.closed("session")
    ledger.session_charged("session", 40.0)
    assert [each.id for each in ledger.open_workloads()] == ["batch"]
    assert ledger.committed_seconds() == ledger.charged_seconds() == 41.5


def test_what_is_read_only_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    planned(Ledger(path))
    reader = Ledger(path, read_only=True)
    with pytest.raises(RecordError):
        reader.ended("tag", State.FAILED, "words")
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(RunFolderError, match="only a part"):
        Ledger(tmp_path / "empty.sqlite", read_only=True)
    assert not (tmp_path / "empty.sqlite.lock").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_ledger_that_was_cut_is_refused(tmp_path: Path, share: float) -> None:
    """At pages' ends too: SQLite reads such a file until it comes to what is missing."""
    path = tmp_path / "jobs.sqlite"
    ledger = Ledger(path)
    planned(ledger, rows=np.zeros((5, 5_000)))
    ledger.close()
    pages = path.stat().st_size // 4096
    os.truncate(path, max(1, round(share * pages)) * 4096)
    for read_only in (True, False):
        with pytest.raises(DamagedLedgerError, match="only a part of one"):
            Ledger(path, read_only=read_only)


def test_reading_does_not_wait_for_who_acts(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    acting = Ledger(path)
    with acting.locked():
        entries = planned(acting)
        read: list = []
        thread = threading.Thread(target=lambda: read.extend(Ledger(path).entries()))
        thread.start()
        thread.join(10)
        assert read == entries


def test_a_folder_that_takes_no_lock_is_told_of(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite")
    (tmp_path / "jobs.sqlite.lock").unlink(missing_ok=True)
    (tmp_path / "jobs.sqlite.lock").mkdir()
    with pytest.raises(RecordError, match="cannot be used"), ledger.locked():
        pass
