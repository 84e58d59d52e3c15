"""Rows of feature maps on a device: which are drawn, what they say, and what is sent."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from experiments.cli import main
from experiments.record import RunFolder
from experiments.report import write_report
from experiments.row_draw import FEWEST_ROWS, draw_rows, share_rows
from experiments.row_errors import Distortion, fit_distortion, row_errors
from experiments.row_simulation import N_DRAWS, distorted_accuracy, simulated_accuracies
from models import QuantumPointwiseConv2d, to_backend
from qbackend import LayerSpec
from qbackend.base import (
    Capabilities,
    CompiledLayer,
    Cost,
    QuantumBackend,
    Request,
    Result,
    local_cost,
)
from qbackend.calibration import fit_affine_map
from qbackend.errors import InputError, OptionError
from qbackend.ibm.gateway import Gateway
from qbackend.ibm.ledger import Ledger
from qbackend.jobs import Job, LocalJob
from qbackend.registry import get_backend
from tests.loopback import LoopbackServer, State
from tests.loopback.client import served
from tests.loopback.machines import Machine

MACHINE, FAKE = "ibm_loopback", "fake_manila"
N_ROWS, N_IMAGES, SHOTS = 40, 30, 256
ROWS = ("--rows", str(N_ROWS), "--limit", str(N_IMAGES), "--shots", str(SHOTS))
HASTE = ("--set", "machine.poll=[0.02, 0.05]", "--max-qpu-seconds", "100")

Qhc = Callable[..., tuple[int, str, str]]


@given(
    per_image=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    more=st.integers(0, 5_000),
)
def test_rows_are_shared_in_proportion_and_no_layer_goes_without(
    per_image: list[int], more: int
) -> None:
    n_rows = FEWEST_ROWS * len(per_image) + more
    shares = share_rows(n_rows, per_image)
    assert sum(shares) == n_rows
    assert min(shares) >= FEWEST_ROWS
    large = [(s, n) for s, n in zip(shares, per_image, strict=True) if s > FEWEST_ROWS + 1]
    total, found = sum(n for _, n in large), sum(s for s, _ in large)
    # Each share is rounded by less than one row, and so is the sum by less than one each.
    assert all(abs(s - found * n / total) < 1 + len(large) for s, n in large)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(OptionError, match="--rows 20 is the least"):
        share_rows(19, [300, 200])


def small_net(*, affine: bool = False) -> nn.Sequential:
    """Two quantum pointwise convolutions behind a ReLU, which makes zero vectors."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 1),
        nn.ReLU(),
        QuantumPointwiseConv2d(4, 5, 1, seed=3, affine=affine, stride=2),
        QuantumPointwiseConv2d(5, 7, 1, seed=4, length=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    nn.init.constant_(net[0].bias, -0.3)
    return net.eval()


def batches(n_batches: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(8, 1, 6, 6, generator=generator) for _ in range(n_batches)]
    return [(each, torch.arange(8) % 3) for each in images]


def test_rows_are_vectors_of_real_maps_with_their_exact_outputs() -> None:
    net = small_net()
    shown = batches()
    first, second = draw_rows(net, shown, [30, 20], seed=5)
    with torch.no_grad():
        before = net[:2](torch.cat([images for images, _ in shown]))
        maps = net[2](before)
    vectors = net[2].channel_vectors(before).double().numpy().reshape(24, 9, 4)
    assert first.layer == "2"
    # The convolution before may round other batches otherwise, in float32.
    found = vectors[first.images, first.pixels]
    np.testing.assert_allclose(first.features, found, atol=1e-6)
    assert np.linalg.norm(first.features, axis=1).min() > 0
    assert first.live_share == np.any(vectors != 0, axis=2).mean() < 1
    assert len({*zip(first.images, first.pixels, strict=True)}) == 30
    assert sorted(np.bincount(first.kernels)) == [10, 10, 10]
    answers = maps.flatten(2).numpy()
    for row in range(30):
        kernel = first.kernels[row]
        # The last kernel's second output is cut: the maps have five channels.
        channels = [2 * kernel + wire for wire in range(2) if 2 * kernel + wire < 5]
        found = answers[first.images[row], channels, first.pixels[row]]
        np.testing.assert_allclose(first.exact[row, : len(channels)], found, atol=1e-6)
    again = draw_rows(net, shown, [30, 20], seed=5)
    np.testing.assert_array_equal(again[1].features, second.features)
    other = draw_rows(net, shown, [30, 20], seed=6)
    assert not np.array_equal(other[1].features, second.features)


def test_maps_that_are_zero_have_no_rows() -> None:
    net = small_net()
    nn.init.constant_(net[0].bias, -100.0)
    with pytest.raises(InputError, match="reaches 2 is zero"):
        draw_rows(net, batches(), [10, 10], seed=0)


def test_a_distortion_is_found_again() -> None:
    rng = np.random.default_rng(0)
    n = 4_000
    exact = rng.uniform(-1, 1, (n, 3))
    true = Distortion(np.array([0.9, 0.5, 1.0]), np.array([0.1, 0.0, -0.2]), np.full(3, 0.05))
    clean = exact * true.scale + true.offset
    found = fit_distortion(exact, clean)
    np.testing.assert_allclose(found.scale, true.scale, atol=1e-12)
    np.testing.assert_allclose(found.offset, true.offset, atol=1e-12)
    np.testing.assert_allclose(found.scatter, 0, atol=1e-12)
    measured = clean + 0.05 * rng.normal(size=(n, 3))
    found = fit_distortion(exact, measured)
    # Of a least-squares line over n points, and of a standard deviation.
    slope_error = 0.05 / np.sqrt(n / 3)
    assert np.abs(found.scale - true.scale).max() < 5 * slope_error
    assert np.abs(found.offset - true.offset).max() < 5 * 0.05 / np.sqrt(n)
    assert np.abs(found.scatter - 0.05).max() < 5 * 0.05 / np.sqrt(2 * n)
    errors = row_errors(exact, measured, np.full((n, 3), 0.04))
    differences = measured - exact
    assert errors.rmse == pytest.approx(np.sqrt((differences**2).mean()))
    assert errors.bias == pytest.approx(differences.mean())
    assert errors.shot_error == pytest.approx(0.04)
    halves = [row_errors(exact[i::2], measured[i::2], measured[i::2]) for i in range(2)]
    for name in ("rmse", "bias"):
        one, other = (getattr(half, name) for half in halves)
        spread = np.hypot(*(getattr(half, f"{name}_error") for half in halves))
        assert abs(one - other) < 5 * spread


class _Crooked(QuantumBackend):
    """Exact values, each wire's with a slope and an offset of its own."""

    name = "crooked"
    shots = None

    def __init__(self) -> None:
        self.inner = get_backend("aer")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=True, remote=False, vjp=False, max_wires=9, gradient_methods=("parameter-shift",)
        )

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        return self.inner.compile(spec)

    def submit(self, request: Request) -> Job:
        exact = self.inner.evaluate(request).values
        values = self.bend(exact)
        return LocalJob(
            lambda job_id: Result(values, np.zeros_like(values), None, (job_id,), self.name)
        )

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)

    @staticmethod
    def bend(exact: np.ndarray) -> np.ndarray:
        wires = np.arange(exact.shape[1])
        return exact * (0.8 - 0.2 * wires) + 0.1 * wires - 0.05


@pytest.mark.parametrize("affine", [False, True])
def test_an_error_without_scatter_is_predicted_exactly(affine: bool) -> None:
    net = small_net(affine=affine)
    if affine:
        nn.init.uniform_(net[2].scale, -2, 2)
        nn.init.uniform_(net[2].shift, -2, 2)
    shown = batches()
    drawn = draw_rows(net, shown, [40, 40], seed=0)
    pairs = {rows.layer: (rows.exact, _Crooked.bend(rows.exact)) for rows in drawn}
    distortions = {name: fit_distortion(*pair) for name, pair in pairs.items()}
    images, labels = shown[0]
    seen: list[Tensor] = []
    with net[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0])):
        accuracy = distorted_accuracy(net, shown[:1], distortions, torch.Generator())
        to_backend(net, _Crooked())
        with torch.no_grad():
            direct = net(images)
    torch.testing.assert_close(seen[0], seen[1], atol=1e-5, rtol=0)
    assert accuracy == (direct.argmax(dim=1) == labels).double().mean()
    to_backend(net, "aer")
    found = simulated_accuracies(net, partial(iter, shown[:1]), pairs, seed=0)
    assert found.tolist() == [pytest.approx(float(accuracy))] * N_DRAWS
    maps = {name: fit_affine_map(measured, exact) for name, (exact, measured) in pairs.items()}
    corrected = simulated_accuracies(net, partial(iter, shown[:1]), pairs, 0, maps)
    with torch.no_grad():
        ideal = (net(images).argmax(dim=1) == labels).double().mean()
    assert corrected.tolist() == [pytest.approx(float(ideal))] * N_DRAWS


def test_a_large_scatter_leaves_nothing_but_chance() -> None:
    net = small_net()
    images = torch.randn(3_000, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.randint(3, (3_000,), generator=torch.Generator().manual_seed(3))
    wild = {
        name: Distortion(np.zeros(n), np.zeros(n), np.full(n, 1e3))
        for name, n in (("2", 2), ("3", 3))
    }
    accuracy = distorted_accuracy(net, [(images, labels)], wild, torch.Generator())
    # Labels that nothing tells are met by a third of any answers.
    assert abs(accuracy - 1 / 3) < 5 * np.sqrt(2 / 9 / 3_000)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net with quantum pointwise convolutions after an epoch on few digits."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    small = ("--dataset", "digits", "--epochs", "1", "--limit", "20", "--train-limit", "200")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.runner.write_report", lambda runs: None)
        with pytest.raises(SystemExit) as left:
            main(["run", "--recipe", "qpc-fashionmnist", *small, "--out", str(folder)])
    assert left.value.code == 0
    return folder


@pytest.fixture
def qhc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Qhc:
    """The command in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.runner.write_report", lambda runs: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, captured.out, captured.err

    return call


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([Machine.load(MACHINE, n_qubits=5, noisy=False)]) as running:
        yield running


def on(backend: str, trained: Path, *more: str) -> tuple[str, ...]:
    return ("--checkpoint", str(trained), "--backend", backend, *more)


def last_line(out: str) -> dict[str, Any]:
    return json.loads(out.splitlines()[-1])


def test_rows_on_a_fake_device_say_what_to_expect(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc("run", *on(FAKE, trained, *ROWS), "--out", "a", "--json")
    assert code == 0, err
    assert "all test images, not sent" in err
    line = last_line(out)
    assert (line["rows"], line["shots"], line["jobs"]) == (N_ROWS, SHOTS, 2)
    assert line["rows_backend"] == FAKE
    with open("a/rows.csv", newline="") as file:
        table = list(csv.DictReader(file))
    by_row = {(r["layer"], r["image"], r["pixel"], r["kernel"]) for r in table}
    assert len(by_row) == N_ROWS
    values = {key: np.array([float(row[key]) for row in table]) for key in ("exact", "measured")}
    rmse = np.sqrt(((values["measured"] - values["exact"]) ** 2).mean())
    assert line["maps_rmse"] == pytest.approx(rmse, rel=1e-6)
    assert [layer["n_rows"] for layer in line["layers"]] == [
        len({key for key in by_row if key[0] == name})
        for name in ("stages.0.pointwise", "stages.1.pointwise")
    ]
    for layer in line["layers"]:
        assert 0 < layer["shot_error"] <= 1 / np.sqrt(SHOTS)
    # Digits of 8x8 pixels leave 2x2 pixels for 8 kernels, and one for 13.
    assert line["whole"]["rows"] == line["whole"]["images"] * (4 * 8 + 13)
    low, high = line["expected_interval"]
    assert 0 <= low <= line["expected_accuracy"] <= high <= 1
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    assert sum(entry.n_rows for entry in ledger.entries()) == N_ROWS
    ledger.close()
    page = write_report([Path("a")]).read_text()
    for words in ("Rows of feature maps", "To expect on fake_manila", "independent between pixels"):
        assert words in page
    assert Path("a/figures/row-outputs.png").exists()


def test_a_simulated_device_executes_rows_as_well(qhc: Qhc, trained: Path) -> None:
    few = ("--rows", str(N_ROWS), "--limit", str(N_IMAGES))
    code, out, err = qhc("run", *on(f"native:{FAKE}", trained, *few), "--out", "a", "--json")
    assert code == 0, err
    exact = last_line(out)
    assert exact["shots"] is None
    assert all(layer["shot_error"] == 0 for layer in exact["layers"])
    assert "on this computer" in out + err
    code, out, err = qhc("run", *on("aer", trained, *ROWS), "--out", "b", "--json")
    assert code == 0, err
    sampled = last_line(out)
    # Shots alone: errors of about their standard error, without slope.
    assert sampled["maps_rmse"] <= 1 / np.sqrt(SHOTS) * (1 + 5 / np.sqrt(2 * N_ROWS))


def test_the_rows_of_a_machine_are_planned_sent_once_and_collected_later(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    code, out, err = qhc("estimate", *on(MACHINE, trained, *ROWS, *HASTE), "--json")
    assert code == 0, err
    plan = last_line(out)
    assert (plan["rows"], plan["jobs"]) == (N_ROWS, 2)
    whole = plan["whole"]
    assert whole["rows"] == whole["images"] * 45
    per_row = plan["shares"][0]["shots"] / N_ROWS
    assert whole["shots"] == whole["rows"] * per_row
    assert whole["qpu_seconds"] > plan["qpu_seconds"]
    server.workload.hold(State.QUEUED)
    sent = ("run", *on(MACHINE, trained, *ROWS, *HASTE), "--yes", "--no-wait", "--out", "a")
    code, out, err = qhc(*sent, "--json")
    assert code == 0, err
    assert last_line(out)["status"] == "waiting"
    assert sum(job.rows for job in server.jobs) == N_ROWS
    assert RunFolder.open(Path("a")).row_record is None
    server.workload.release()
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert len(server.jobs) == 2
    assert all(server.deliveries(job) == 1 for job in server.jobs)
    line = last_line(out)
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    # A machine without noise errs by its shots alone.
    assert line["maps_rmse"] <= 1 / np.sqrt(SHOTS) * (1 + 5 / np.sqrt(2 * N_ROWS))


def test_ctrl_c_while_rows_are_sent_sends_no_more(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Gateway, "start", interrupted)
    sent = ("run", *on(MACHINE, trained, *ROWS, *HASTE), "--yes", "--no-wait", "--out", "a")
    code, _, err = qhc(*sent)
    assert code == 130
    assert "1 of 1 jobs" in err
    # The other convolution's request was not even made.
    assert len(Ledger(Path("a/jobs.sqlite")).entries()) == 1
    assert not server.jobs


def test_a_machine_gets_a_hundred_rows_unless_told(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    code, out, err = qhc("estimate", *on(MACHINE, trained), "--json")
    assert code == 0, err
    assert "100 rows of its feature maps are drawn" in err
    assert last_line(out)["rows"] == 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "40", "--backend", FAKE), "--limit N takes fewer images"),
        (("--rows", "40", "--recipe", "qpc-fashionmnist"), "'native' makes no error"),
        (("--recipe", "qpc-fashionmnist", "--backend", f"aer:{FAKE}"), "add --rows 100"),
    ],
)
def test_rows_of_nothing_are_refused(
    qhc: Qhc, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = qhc("run", *arguments)
    assert code == 2
    assert said in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "19"), "--rows 20 is the least"),
        (("--rows", "19", "--backend", f"native:{FAKE}"), "--rows 20 is the least"),
        (("--rows", "40", "--calibrate", "8"), "--rows N fits such a map"),
        (("--train", "quantum", "--gradient", "spsa"), "leave --train out"),
    ],
)
def test_what_does_not_go_with_rows_is_refused(
    qhc: Qhc, trained: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = qhc("run", *on(FAKE, trained, *arguments))
    assert code == 2
    assert said in err
    assert list(tmp_path.iterdir()) == []
