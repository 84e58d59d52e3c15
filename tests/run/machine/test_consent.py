"""What may be sent: nothing without a yes, an account, or the seconds that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.run import approval
from tests.loopback import LoopbackServer, Plan, State
from tests.loopback.account import Instance
from tests.loopback.client import served, tiny
from tests.support.command_line import Qhc, assert_refused

from .commands import FAKE, MACHINE, TUNING, sent, stages


def test_nothing_is_sent_without_a_yes(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = qhc(*sent(trained, "--out", "a"))
    assert code == 2
    assert f"plan on {MACHINE}" in err
    assert "add --yes" in err
    assert not Path("a").exists()

    answers = iter([False, True])
    asked: list[str] = []

    def ask(question: str, **options: Any) -> bool:
        asked.append(question)
        assert options["default"] is False
        return next(answers)

    monkeypatch.setattr(approval, "can_ask", lambda: True)
    monkeypatch.setattr(approval.Confirm, "ask", ask)
    code, _, err = qhc(*sent(trained, "--out", "a"))
    assert code == 2
    assert "nothing was sent" in err
    assert not server.jobs
    assert stages("a") == ["ideal", "noise"]
    assert qhc("resume", "a")[0] == 0
    assert len(server.jobs) == 1
    assert asked == [f"Send this to {MACHINE}?"] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backend", "native", "--yes"), "'native' executes on this computer"),
        (("--no-wait",), "'aer' executes on this computer, at once and for nothing: --no-wait"),
        (("--primitive", "estimator"), "--primitive only has a meaning on a machine"),
        (("--backend", FAKE, "--zne", "1,x"), "is not a list of numbers"),
        (("--backend", FAKE, "--zne", "1,3"), "the Sampler has no zne"),
        (("--backend", FAKE, "--precision", "0.1"), "the Sampler takes shots"),
        (("--backend", FAKE, "--session", "--mode", "batch"), "contradict each other"),
        (("--backend", FAKE, "--max-qpu-seconds", "-1"), "max_qpu_seconds"),
        (("--backend", "fake_manilla"), "did you mean 'fake_manila'"),
        (("--backend", FAKE, "--train", "quantum"), "add --checkpoint RUN"),
        (("--backend", FAKE, "--set", "model.arm=linear"), "has no quantum layer"),
        (("--backend", FAKE, "--set", "layer.n_wires=6"), "6 wires"),
        (("--backend", MACHINE), "there are no credentials"),
    ],
)
def test_mistakes_leave_with_2_before_anything_is_made(
    qhc: Qhc, arguments: tuple[str, ...], said: str
) -> None:
    assert_refused(qhc, said, "run", *arguments)


def test_what_an_account_cannot_have_is_refused(qhc: Qhc, trained: Path) -> None:
    machines = [tiny(), tiny("ibm_other")]
    with served(machines, [Instance(plan=Plan(seconds=10.0))]) as server:
        code, _, err = qhc(*sent(trained, "--yes", "--out", "a", backend="ibm_brisbane"))
        assert code == 2
        assert "it has ibm_loopback, ibm_other" in err
        assert "fake_brisbane" in err
        code, _, err = qhc(*sent(trained, "--yes", "--session", "--out", "a"))
        assert code == 2
        assert "no sessions" in err
        code, _, err = qhc(*sent(trained, "--yes", "--max-qpu-seconds", "1", "--out", "a"))
        assert code == 2
        assert "--max-qpu-seconds 4" in err
        # The test would fit, the training before it does not.
        code, _, err = qhc(*sent(trained, *TUNING, "--yes", "--max-qpu-seconds", "9", "--out", "a"))
        assert code == 2
        assert "more than the budget of 9 s; nothing was sent" in err
        code, _, err = qhc(*sent(trained, "--yes", "--limit", "100", "--out", "a"))
        assert code == 2
        assert "10 s left" in err
        assert not Path("a").exists()
        assert not server.jobs


def test_a_run_remembers_its_account_and_no_secret(
    qhc: Qhc,
    trained: Path,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret, instance = server.identity.api_key, server.instance.crn
    file = tmp_path / "mine" / "credentials.toml"
    file.parent.mkdir()
    file.write_text(
        f'profile = "none"\n[profiles.own]\ntoken = "{secret}"\ninstance = "{instance}"\n'
    )
    file.chmod(0o600)
    monkeypatch.delenv("QISKIT_IBM_TOKEN")
    account = ("--credentials", "mine/credentials.toml", "--profile", "own")
    server.workload.hold(State.QUEUED)
    code, out, err = qhc(*sent(trained, *account, "--yes", "--no-wait", "--out", "a"))
    assert code == 0, err
    server.workload.release()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, out, err = qhc("resume", "../a")
    assert code == 0, err
    kept = b"".join(path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert b'profile = "own"' in kept
    assert secret.encode() not in kept
    assert secret not in out + err


def test_the_machines_of_an_account_are_listed(qhc: Qhc, server: LoopbackServer) -> None:
    code, out, err = qhc("backends", "--device", FAKE)
    assert code == 0, err
    assert MACHINE in out
    assert "600 s left" in out
    assert server.identity.api_key not in out + err


def test_without_an_account_the_list_says_so(qhc: Qhc) -> None:
    code, out, _ = qhc("backends", "--device", FAKE)
    assert code == 0
    assert "no credentials for IBM Quantum were found" in out
