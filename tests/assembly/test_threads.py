"""The number of threads: chosen by the work, recorded, and used by everything that computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from experiments.assembly import thread_count as work
from experiments.assembly import threads
from experiments.assembly.thread_count import batch_work, with_threads
from experiments.assembly.threads import available_cores, use_threads
from experiments.config.recipe import list_recipes, load_config
from experiments.records.folder import RunFolder
from experiments.studies.series import check_same
from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.aer import machine as aer_machine
from qbackend.aer import noisy as aer_noisy
from qbackend.aer import runs as aer_circuits
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import ConfigError, RunFolderError

from ..support.command_line import Qhc, last_line


@pytest.fixture
def _threads_as_before() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in threads._ENVIRONMENT}
    yield
    use_threads(1)
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "available_cores", lambda *, processes=1: max(1, 2 // processes))


def chosen(recipe: str, *settings: str) -> int | None:
    return with_threads(load_config(recipe, settings)).run.threads


@pytest.mark.usefixtures("two_cores")
def test_small_work_gets_one_thread_and_large_work_the_cores() -> None:
    assert chosen("digits") == chosen("digits", "model.arm=classical") == 1
    assert {recipe: chosen(recipe) for recipe in list_recipes() if recipe != "digits"} == (
        dict.fromkeys((recipe for recipe in list_recipes() if recipe != "digits"), 2)
    )
    # A wide circuit is work too, and so is a larger batch.
    assert chosen("digits", "layer.n_wires=14", "layer.encoding=angle") == 2
    assert chosen("digits", "train.batch_size=1000") == 2


@pytest.mark.usefixtures("two_cores")
def test_what_is_given_is_taken_and_processes_share_the_cores() -> None:
    assert chosen("digits", "run.threads=7") == 7
    assert chosen("mnist", "fabric.devices=2") == 1
    assert chosen("mnist", "fabric.devices=5") == 1


def test_more_cores_are_used_as_far_as_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "available_cores", lambda *, processes=1: 64)
    assert chosen("digits") == 1
    assert chosen("mnist") == batch_work(load_config("mnist")) // work.WORTH_A_THREAD
    assert 2 < chosen("mnist") < chosen("cifar100") <= chosen("stl10") == 64


@pytest.mark.parametrize("recipe", ["digits", "mnist", "mnist-angle", "qpc-fashionmnist"])
def test_every_arm_of_a_network_is_worth_the_same(recipe: str) -> None:
    pointwise = recipe.startswith("qpc")
    arms = ("quantum", "conv", "low-rank") if pointwise else ("quantum", "linear", "mlp", "none")
    assert len({batch_work(load_config(recipe, [f"model.arm={arm}"])) for arm in arms}) == 1


def test_the_work_is_that_of_the_largest_convolution_and_more() -> None:
    """By hand: 16 channels of 14x14 pixels become 32 by 3x3, a product and a sum each."""
    largest = 2 * 14 * 14 * 16 * 9 * 32
    first, reducer, head = 2 * 28 * 28 * 9 * 16, 2 * (512 * 256 + 256 * 16), 2 * (512 + 1280)
    pool, bridge, circuit = 2 * 32 * 7 * 7 * 16, 2 * 16 * 4, 8 * 16 * 8
    per_image = largest + first + pool + reducer + head + bridge + circuit
    assert batch_work(load_config("mnist")) == 64 * per_image


def test_the_environment_limits_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cpu_count", lambda: 8)
    assert [available_cores(given) for given in ("", "3", "16", "2,1", "0", "all")] == [
        8, 3, 8, 2, 8, 8,
    ]  # fmt: skip
    assert available_cores("", processes=3) == 2
    assert available_cores("", processes=9) == 1
    # Fabric hands its share of the cores down to the processes that it starts.
    assert available_cores("2", processes=3) == 2


@pytest.mark.usefixtures("_threads_as_before")
@pytest.mark.parametrize("number", [2, 1])
def test_every_library_uses_that_number(number: int) -> None:
    use_threads(number)
    assert torch.get_num_threads() == number
    pools = [pool for pool in threadpool_info() if pool.get("threading_layer") != "disabled"]
    assert len(pools) >= 2
    assert {pool["num_threads"] for pool in pools} == {number}
    ask = "from threadpoolctl import threadpool_info; import numpy, torch, json\n"
    ask += "print(json.dumps([torch.get_num_threads(), [p['num_threads'] for p in "
    ask += "threadpool_info() if p.get('threading_layer') != 'disabled']]))"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    of_torch, of_pools = json.loads(told.stdout)
    assert {of_torch, *of_pools} == {number}


@pytest.mark.parametrize("number", [1, 3])
def test_aer_is_told(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aer has an OpenMP of its own, and runs in a thread that knows no other's settings."""
    told: list[Any] = []

    class Aer(aer_circuits.AerSimulator):
        def run(self, *given: Any, **options: Any) -> Any:
            told.append(options.get("max_parallel_threads", self.options.max_parallel_threads))
            return super().run(*given, **options)

    for module in (aer_circuits, aer_noisy, aer_machine):
        monkeypatch.setattr(module, "AerSimulator", Aer)
    aer_circuits._simulator.cache_clear()
    torch.set_num_threads(number)
    rows = torch.rand(2, 2)
    QuantumLayer(LayerSpec(2, "angle"), "aer:fake_manila", seed=0)(rows)
    QuantumLayer(LayerSpec(2, "angle"), get_backend("aer", shots=5), seed=0)(rows)
    wide = LayerSpec(aer_circuits.UNITARY_WIRES + 1, "angle")
    QuantumLayer(wide, "aer", seed=0)(torch.rand(2, wide.n_wires))
    aer_machine.simulated(load_snapshot("fake_manila"), [0]).run(
        aer_circuits.QuantumCircuit(1)
    ).result()
    aer_circuits._simulator.cache_clear()
    assert len(told) == 4
    assert set(told) == {number}


def test_one_image_in_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aer's values under noise have the same bits with any number of threads."""
    monkeypatch.setattr(aer_noisy, "BINDINGS", 4)
    layer = QuantumLayer(LayerSpec(2, "angle"), "aer:fake_manila", seed=0)
    rows = torch.rand(11, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    answers = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        answers.append(layer(rows).detach().numpy())
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


@pytest.mark.usefixtures("_threads_as_before", "two_cores")
def test_the_record_has_the_number_and_it_is_the_recipes_when_repeated(
    qhc: Qhc, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qhc("run", "--epochs", "1", "--out", "one")[0] == 0
    assert RunFolder.open(Path("one")).config().run.threads == 1
    code, out, err = qhc("run", "--checkpoint", "one", "--limit", "10", "--out", "two", "--json",
                         "--set", "run.threads=2")  # fmt: skip
    assert code == 0, err
    assert last_line(out)["backend"] == "aer"
    assert RunFolder.open(Path("two")).config().run.threads == 2
    assert torch.get_num_threads() == 2
    assert load_config("two").run.threads == 2


@pytest.mark.parametrize("number", ["0", "-1", "1025", "many"])
def test_a_number_out_of_range_is_named(number: str) -> None:
    with pytest.raises(ConfigError, match=rf"run\.threads: .*{number}"):
        load_config("digits", [f"run.threads={number}"])


@pytest.mark.usefixtures("two_cores")
def test_a_comparison_goes_on_with_the_number_that_it_began_with(tmp_path: Path) -> None:
    config = load_config("digits")
    RunFolder.create(tmp_path / "here", load_config("digits", ["run.threads=2"]))
    check_same(tmp_path / "here", config)
    with pytest.raises(RunFolderError, match=r"run\.threads is 2 there and 3 here"):
        check_same(tmp_path / "here", load_config("digits", ["run.threads=3"]))
    RunFolder.create(tmp_path / "older", config)
    with pytest.raises(RunFolderError, match=r"run\.threads is None there and 1 here"):
        check_same(tmp_path / "older", config)
