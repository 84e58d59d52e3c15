"""The layer among torch's tools: checkpointing, loaders' workers, processes, the compiler."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from qbackend import LayerSpec, QuantumLayer
from qbackend.module.network import LayerNetwork
from qbackend.seam.backend import Forward

from ..support.awkward_circuit import own_circuit
from ..support.cases import MACHINE, features

EXACT = ["aer", "native"]


@pytest.fixture(params=EXACT)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def rows(spec: LayerSpec, n_rows: int = 3) -> torch.Tensor:
    return torch.tensor(features(spec, n_rows, 0))


def test_recomputing_keeps_nothing_and_gives_the_same(backend: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0).double()
    x = rows(spec).requires_grad_()
    kept, again = layer(x), layer.recomputed(x)
    torch.testing.assert_close(kept, again, atol=MACHINE, rtol=0)
    assert kept.grad_fn.pullback is not None
    assert again.grad_fn.pullback is None
    inputs = (x, layer.weight)
    firsts = [torch.autograd.grad(v.sum(), inputs, create_graph=True) for v in (kept, again)]
    seconds = [torch.autograd.grad(f[0].square().sum(), inputs) for f in firsts]
    pairs = zip(firsts[0] + seconds[0], firsts[1] + seconds[1], strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=0)


class Outputs(torch.utils.data.Dataset):
    """A dataset that runs the layer inside the workers."""

    def __init__(self, layer: QuantumLayer) -> None:
        self.layer = layer

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        with torch.no_grad():
            return self.layer(torch.full((4,), index + 1.0))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_data_loader_workers(backend: str, context: str) -> None:
    layer = QuantumLayer(LayerSpec(2), backend, seed=0)
    data = Outputs(layer)
    expected = torch.stack([data[index] for index in range(4)])
    loader = torch.utils.data.DataLoader(
        data, batch_size=2, num_workers=2, multiprocessing_context=context
    )
    torch.testing.assert_close(torch.cat(list(loader)), expected)


def _train_in_parallel(rank: int, folder: str, backend: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    model = nn.parallel.DistributedDataParallel(
        nn.Sequential(nn.Linear(3, 4), QuantumLayer(LayerSpec(2), backend, seed=0))
    )
    x = torch.randn(4, 3, generator=torch.manual_seed(0))[2 * rank : 2 * rank + 2]
    model(x).square().mean().backward()
    torch.save(model.module[1].weight.grad, f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    # Gloo's threads outlive the process group; now and then they abort an interpreter that shuts
    # down below them, so this one does not.
    os._exit(0)


@pytest.mark.slow
def test_distributed_training_averages_the_gradients(backend: str, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_train_in_parallel, (str(tmp_path), backend), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(first, second)
    assert first.abs().sum() > 0


def test_a_compiled_module_trains_as_it_would(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dynamo calls the layer; it takes nothing of it for a constant, and looks into nothing."""
    looked_into: list[bool] = []
    evaluate = LayerNetwork.evaluate

    def watched(network: LayerNetwork, *tensors: torch.Tensor, **options: bool) -> Forward:
        looked_into.append(torch.compiler.is_compiling())
        return evaluate(network, *tensors, **options)

    monkeypatch.setattr(LayerNetwork, "evaluate", watched)
    plain = nn.Sequential(nn.Linear(3, 4), QuantumLayer(LayerSpec(2), backend, seed=0))
    twin = copy.deepcopy(plain)
    compiled = torch.compile(twin, backend="eager")
    x = torch.randn(5, 3, generator=torch.manual_seed(0))
    for _ in range(3):
        values = [model(x) for model in (plain, compiled)]
        assert torch.equal(*values)
        for model, outputs in zip((plain, twin), values, strict=True):
            model.zero_grad()
            outputs.square().sum().backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.1 * parameter.grad
    assert torch.equal(plain[1].weight, twin[1].weight)
    assert looked_into == 6 * [False]


class Between(nn.Module):
    """Layers of several shapes between classical ones."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.amplitude = QuantumLayer(LayerSpec(2), backend, seed=0)
        self.angle = QuantumLayer(LayerSpec(2, "angle"), backend, seed=1)
        self.own = QuantumLayer(own_circuit(), backend, seed=2)
        self.last = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.own(self.angle(self.amplitude(self.first(x)))))


def test_a_compiled_module_is_not_compiled_again_and_again(backend: str) -> None:
    """Neither new weights nor further layers are a reason; a second batch size is one, once."""
    plain = Between(backend)
    twin = copy.deepcopy(plain)
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    models = {plain: plain, twin: torch.compile(twin, backend=count)}
    optimizers = {model: torch.optim.Adam(model.parameters(), lr=0.05) for model in models}
    by_step = []
    for step in range(20):
        x = torch.randn(5 if step % 2 else 8, 3, generator=torch.manual_seed(step))
        values = []
        for model, called in models.items():
            optimizers[model].zero_grad()
            values.append(called(x))
            values[-1].square().sum().backward()
            optimizers[model].step()
        assert torch.equal(*values)
        for ours, theirs in zip(plain.parameters(), twin.parameters(), strict=True):
            assert torch.equal(ours.grad, theirs.grad)
        by_step.append((len(graphs), _frames()))
    assert by_step[0][0] > 0
    # The module in its four parts; of all three layers one `forward`, for four and for any number
    # of features.
    assert by_step[0][1] <= 4 + 2
    assert by_step[1][1] <= 2 * by_step[0][1]
    assert set(by_step[1:]) == {by_step[1]}


def _frames() -> int:
    """Pieces of Python code that Dynamo has compiled, or compiled anew."""
    return torch._dynamo.utils.counters["frames"]["total"]
