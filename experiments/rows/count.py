"""How many circuit executions a model takes for one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from models import to_backend
from models.exchange import quantum_pointwise
from qbackend import QuantumLayer
from qbackend.circuits.logical import compile_layer
from qbackend.layers.program import Layer
from qbackend.seam.backend import Capabilities, QuantumBackend
from qbackend.seam.jobs import Job, LocalJob
from qbackend.seam.requests import CompiledLayer, Cost, Request, Result, local_cost

from ..assembly.construct import quantum_layers
from ..data.splits import ImageData


class Guesser(QuantumBackend):
    """Answers rows one by one, as a machine does, but at random.

    Exact backends are asked in other ways; with this one the network takes the machine's.
    """

    name = "guesser"
    shots = 1

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=False,
            remote=False,
            vjp=False,
            max_wires=1_000,
            gradient_methods=("parameter-shift",),
        )

    def compile(self, spec: Layer) -> CompiledLayer:
        return compile_layer(spec)

    def submit(self, request: Request) -> Job:
        shape = len(request.parameters), len(request.compiled.observables)

        def compute(job_id: str) -> Result:
            values = np.random.default_rng(request.seed).uniform(-1, 1, shape)
            return Result(values, np.ones(shape), self.shots, (job_id,), self.name)

        return LocalJob(compute)

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)


@torch.no_grad()
def rows_per_image(model: nn.Module, data: ImageData) -> list[int]:
    """Executions of each quantum layer for one image, in the layers' order, at most.

    Rows that encode nothing are never executed, and are counted.
    """
    was_training, layers = model.training, quantum_layers(model)
    networks = [layer.neural_network for layer in layers]
    to_backend(model, Guesser(), seed=0)
    with _counting(layers) as counts:
        image = data.test.images[:1].float()
        # Inputs without a mean are taken as they are.
        image = image / 255 if data.mean else image
        model.eval()(image.to(next(model.parameters()).device))
    model.train(was_training)
    for layer, network in zip(layers, networks, strict=True):
        layer.neural_network = network
    return counts


def rows_per_convolution(model: nn.Module, data: ImageData) -> dict[str, int]:
    """The same for each quantum pointwise convolution, all its kernels together, by its name."""
    per_layer = zip(map(id, quantum_layers(model)), rows_per_image(model, data), strict=True)
    rows = dict(per_layer)
    return {
        name: sum(rows[id(kernel)] for kernel in convolution.kernels)
        for name, convolution in quantum_pointwise(model)
    }


@contextmanager
def _counting(layers: Sequence[QuantumLayer]) -> Iterator[list[int]]:
    counts = [0] * len(layers)
    with ExitStack() as hooks:
        for index, layer in enumerate(layers):
            hooks.enter_context(layer.register_forward_pre_hook(partial(_count, counts, index)))
        yield counts


def _count(counts: list[int], index: int, _: nn.Module, given: tuple[Tensor, ...]) -> None:
    counts[index] += given[0].numel() // given[0].shape[-1]
