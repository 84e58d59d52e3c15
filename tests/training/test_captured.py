"""A training whose steps are recorded and replayed, as on CUDA, beside one whose are called."""

from __future__ import annotations

import gc
from pathlib import Path
from threading import Thread
from weakref import ref

import pytest
import torch
from lightning_fabric import Fabric

from experiments.assembly.arithmetic import arithmetic
from experiments.assembly.construct import new_model
from experiments.assembly.fabric import launch
from experiments.config.sections import Config
from experiments.data.splits import ImageData
from experiments.training import learner
from experiments.training.recorder import CaptureError, Work, obstacle
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import TrainingError
from qbackend.gradients.torch_circuit import outputs
from qbackend.layers.spec import LayerSpec
from qbackend.native.exact import NativeBackend
from qbackend.native.noisy import NativeNoisy
from qbackend.seam.backend import Forward, Gradients, QuantumBackend
from qbackend.seam.requests import CompiledLayer

from .operation_graph import OperationRecorder
from .small import N_EPOCHS, Silent, config_of, same_files, timeless, training


class InTorch(NativeBackend):
    """Exact values by torch's operations alone, which are what is recorded here."""

    def forward_loaded(
        self, spec: LayerSpec, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        with torch.set_grad_enabled(differentiate):
            leaves = [each.detach().requires_grad_(differentiate) for each in (features, weights)]
            values = outputs(spec, *leaves)

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            return torch.autograd.grad(values, leaves, cotangent)

        return Forward(values.detach(), pull if differentiate else None)


class NoisyInTorch(NativeNoisy):
    """A device's noise, as it is computed off the CPU."""

    def forward(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        *,
        differentiate: bool,
    ) -> Forward:
        simulation = self._on_device(self._simulation(compiled), features)
        return simulation.forward(features, weights, differentiate)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> OperationRecorder:
    found = OperationRecorder()
    monkeypatch.setattr(learner, "recorder_of", lambda device: found)
    return found


def trained(
    config: Config,
    data: ImageData,
    path: Path,
    watcher: Silent | None = None,
    backend: QuantumBackend | None = None,
) -> Silent:
    watcher = watcher or Silent()
    model = new_model(config, data, backend=backend or InTorch())
    training(config, data, launch(config.fabric), path, watcher, model).run()
    return watcher


@pytest.mark.parametrize(
    "settings",
    [
        ("model.arm=quantum",),
        ("model.arm=linear", "train.keep_last=true", "train.batch_size=9", "train.epochs=5"),
        ("model.arm=linear", "data.augmentation.rotation=20", "data.augment_validation=true"),
        ("model.arm=linear", "fabric.precision=bf16-mixed", "fabric.channels_last=true"),
        ("model.arm=quantum", "train.weights=quantum", "train.optimiser=sgd", "train.clip=0.1"),
        ("model.arm=none", "train.optimiser=adam", "train.schedule=cosine", "train.clip=0"),
    ],
)
def test_replayed_steps_are_those_that_would_have_been_called(
    settings: tuple[str, ...], data: ImageData, tmp_path: Path, recorder: OperationRecorder
) -> None:
    """Same losses, same weights, same state of the optimiser, bit for bit."""
    replayed = trained(config_of(*settings), data, tmp_path / "replayed")
    assert recorder.n_recorded > 0
    n_replayed = recorder.n_replayed
    assert n_replayed > N_EPOCHS
    called = trained(config_of(*settings, "fabric.capture=off"), data, tmp_path / "called")
    assert recorder.n_replayed == n_replayed
    assert timeless(replayed.records) == timeless(called.records)
    assert same_files(
        *(tmp_path / name / "training.safetensors" for name in ("replayed", "called"))
    )
    assert not replayed.said


def test_training_under_noise_too(
    data: ImageData, tmp_path: Path, recorder: OperationRecorder
) -> None:
    config, path = config_of("train.epochs=2"), tmp_path / "replayed"
    backend = NoisyInTorch(load_snapshot("fake_fez"))
    replayed = trained(config, data, path, backend=backend)
    assert recorder.n_replayed > 0
    called = trained(
        config_of("train.epochs=2", "fabric.capture=off"),
        data,
        tmp_path / "called",
        backend=backend,
    )
    assert timeless(replayed.records) == timeless(called.records)
    assert not replayed.said


@pytest.mark.parametrize("last", [(2, 1), (2, 5), (3, 8)])
def test_one_that_was_stopped_goes_on_with_the_same_bits(
    last: tuple[int, int], data: ImageData, tmp_path: Path, recorder: OperationRecorder
) -> None:
    config = config_of("model.arm=linear", "fabric.channels_last=true")
    whole = trained(config, data, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(config, data, tmp_path / "parts", Silent(stop_at=last))
    rest = trained(config, data, tmp_path / "parts")
    assert timeless(whole.records)[last[0] - 1 :] == timeless(rest.records)
    assert same_files(*(tmp_path / name / "training.safetensors" for name in ("whole", "parts")))


def test_a_step_that_waits_is_said_and_goes_on(
    data: ImageData, tmp_path: Path, recorder: OperationRecorder
) -> None:
    config = config_of("model.arm=linear")
    model = new_model(config, data, backend="native")
    model.front.register_forward_hook(
        lambda module, given, features: features * features.sum().item()
    )
    run = training(
        config, data, launch(config.fabric), tmp_path / "run", watcher := Silent(), model
    )
    run.run()
    assert recorder.n_recorded == 0
    assert len(watcher.records) == N_EPOCHS
    assert [said.split(" is not captured")[0] for said in watcher.said] == [
        "note: the training",
        "note: the validation",
    ]
    assert all("_local_scalar_dense" in said for said in watcher.said)
    assert [f"note: {note}" for note in run.folder.state.notes[-2:]] == watcher.said
    assert run.learner.check_every == learner.CHECK_EVERY


def test_a_capture_that_fails_is_gone_on_without(
    data: ImageData, tmp_path: Path, recorder: OperationRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device may be of no more use to this process: the next one does not try again."""

    def fail(work: Work) -> Work:
        raise CaptureError("out of memory")

    monkeypatch.setattr(recorder, "record", fail)
    config = config_of("model.arm=linear")
    path, watcher = tmp_path / "run", Silent()
    with pytest.raises(TrainingError, match=f"out of memory.*qhc resume {path}"):
        trained(config, data, path, watcher)
    assert "the training is not captured" in watcher.said[0]
    rest = trained(config, data, path)
    assert len(rest.records) == N_EPOCHS
    called = trained(config_of("model.arm=linear", "fabric.capture=off"), data, tmp_path / "called")
    assert timeless(rest.records) == timeless(called.records)


def test_what_was_recorded_is_let_go_of(
    data: ImageData, tmp_path: Path, recorder: OperationRecorder
) -> None:
    config = config_of("model.arm=linear", "train.epochs=1")
    model = new_model(config, data, backend="native")
    run = training(config, data, launch(config.fabric), tmp_path / "run", Silent(), model)
    run.run()
    assert recorder.n_recorded > 0
    there = ref(model)
    gc.collect()
    gc.disable()
    try:
        del run, model
        assert there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("run.backend=aer",), "on 'aer' is computed on the host"),
        (
            ("run.backend=native", "train.gradient=parameter-shift"),
            "'native' is computed on the host",
        ),
        (("model.arm=linear", "fabric.precision=16-mixed"), "bf16-mixed does not"),
    ],
)
def test_what_cannot_be_captured_is_said_beforehand(
    settings: tuple[str, ...],
    reason: str,
    data: ImageData,
    fabric: Fabric,
    tmp_path: Path,
    recorder: OperationRecorder,
) -> None:
    watcher, config = Silent(), config_of(*settings)
    run = training(config, data, fabric, tmp_path / "run", watcher)
    assert reason in run.folder.state.notes[-1]
    assert reason in watcher.said[0]
    assert isinstance(run.learner._steps, learner.CalledBatches)


def test_a_strategy_with_a_part_in_every_step_is_no_part_of_a_graph(fabric: Fabric) -> None:
    """Of one process too: it keeps what backward passes end in, from before."""
    model, config = torch.nn.Linear(2, 2), config_of("model.arm=linear")
    shared = Fabric(accelerator="cpu", devices=1, strategy="ddp")
    assert obstacle(config, model, shared) == "the strategy DDPStrategy has a part in every step"
    assert obstacle(config, model, fabric) is None


def test_nothing_is_recorded_on_the_cpu(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    run = training(
        config_of("model.arm=linear"), data, fabric, tmp_path / "run", watcher := Silent()
    )
    assert isinstance(run.learner._steps, learner.CalledBatches)
    assert not watcher.said


def test_a_thread_beside_others_captures_nothing(
    data: ImageData, tmp_path: Path, recorder: OperationRecorder
) -> None:
    config, watcher = config_of("model.arm=linear", "train.epochs=1"), Silent()
    thread = Thread(target=trained, args=(config, data, tmp_path / "run", watcher))
    thread.start()
    thread.join()
    assert len(watcher.records) == 1
    assert recorder.n_recorded == 0
    assert "other threads" in watcher.said[0]


def test_maps_with_their_channels_together(data: ImageData, tmp_path: Path) -> None:
    config = config_of("model.arm=linear", "fabric.channels_last=true", "train.epochs=1")
    model = new_model(config, data, backend=InTorch())
    training(config, data, launch(config.fabric), tmp_path, Silent(), model).run()
    weights = [each for each in model.parameters() if each.ndim == 4]
    assert weights
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in weights)


def test_how_numbers_are_multiplied_holds_while_it_lasts_and_no_longer() -> None:
    section = config_of("fabric.matmul_precision=high", "fabric.deterministic=true").fabric

    def now() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic

    before = now()
    with arithmetic(section, torch.device("cuda")):
        assert now() == ("high", True)
        with arithmetic(section, torch.device("cpu")):
            assert now() == ("high", True)
    assert now() == before != ("high", True)
    with arithmetic(section, torch.device("cpu")):
        assert now() == before
    assert any(
        "high precision" in note for note in config_of("fabric.matmul_precision=high").notes()
    )
