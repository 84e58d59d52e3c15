"""TorchQuantum, a simulator written in torch that computes in complex64.

https://github.com/mit-han-lab/torchquantum. Its last release, 0.1.8, imports Qiskit 0.x and half a
dozen packages that simulating needs none of, and cannot be installed beside a current Qiskit;
`pip install --no-deps torchquantum` and stand-ins for those imports make it run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch

from experiments.bench.contest import BACKPROP_LIMIT, Contestant, Step, torch_step
from qbackend.layers.ansatze import Rotations
from qbackend.layers.spec import LayerSpec

UNNEEDED = frozenset(
    {
        "dill",
        "matplotlib",
        "pathos",
        "pyscf",
        "qiskit",
        "qiskit_ibm_runtime",
        "qiskit_nature",
        "torchdiffeq",
        "torchpack",
        "torchvision",
        "tqdm",
    }
)
"""Packages that TorchQuantum imports for other things than simulating."""


class _StandIns(MetaPathFinder, Loader):
    """Gives an object that accepts anything for every module of `UNNEEDED`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in UNNEEDED:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> Any:
        return MagicMock(__path__=[], __all__=[], __file__="")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Stand-ins while the block runs; the real modules are as they were after it."""
    real = _take_out()
    finder = _StandIns()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _take_out()
        sys.modules.update(real)


def _take_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in UNNEEDED]
    return {name: sys.modules.pop(name) for name in names}


def _prepare(spec: LayerSpec, dtype: str) -> Step:
    with _stand_ins():
        import torchquantum as tq

    weight = torch.zeros(spec.n_weights, requires_grad=True)
    measure = tq.MeasureAll(tq.PauliZ)

    def layer(features: torch.Tensor) -> torch.Tensor:
        device = tq.QuantumDevice(spec.n_wires, bsz=len(features), device=str(features.device))
        if spec.encoding == "amplitude":
            device.set_states(torch.nn.functional.normalize(features).to(torch.complex64))
        else:
            for wire in range(spec.n_wires):
                device.ry(wires=wire, params=features[:, wire])
        angles = weight.unbind()
        for operation in spec.operations:
            if isinstance(operation, Rotations):
                for wire, index in enumerate(operation.weights):
                    getattr(device, f"r{operation.axis}")(wires=wire, params=angles[index])
            else:
                for pair in operation.pairs:
                    device.cnot(wires=list(pair))
        return measure(device)

    return torch_step(layer, weight)


TORCHQUANTUM = Contestant(
    "torchquantum",
    _prepare,
    needs=("torchquantum",),
    dtypes=("float32",),
    max_amplitudes=BACKPROP_LIMIT,
)
