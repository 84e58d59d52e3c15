"""What torch's exporters are told of a layer, and the exact layer that they take."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from qbackend import LayerSpec, QuantumLayer, QuantumPointwiseConv2d
from qbackend.errors import InputError, OptionError
from qbackend.layers.program import Layer
from qbackend.module.exact_layer import ExactLayer

from ..support.awkward_circuit import own_circuit
from ..support.cases import ANSATZE, ENCODINGS, MACHINE

SINGLE = 1e-6
"""What rounding may add up to in float32."""

LAYERS: dict[str, Layer] = {
    "amplitude": LayerSpec(2, n_layers=1),
    "angle": LayerSpec(2, "angle", "strongly_entangling", 1, ("ZZ", "IZ")),
    "circuit": own_circuit(),
}
LIBRARIES = ("qbackend", "qiskit", "qiskit_aer", "qiskit_machine_learning")


def rows(layer: Layer, n_rows: int = 5) -> Tensor:
    return torch.randn(n_rows, layer.n_features, generator=torch.manual_seed(0))


def network(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), layer).eval()


EXPORTERS: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "export": lambda module, x: torch.export.export(module, (x,)),
    "trace": lambda module, x: torch.jit.trace(module, (x,)),
    "script": lambda module, x: torch.jit.script(module),
    "onnx of TorchScript": lambda module, x: torch.onnx.export(
        module, (x,), io.BytesIO(), dynamo=False
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_layer_on_a_backend_is_not_exported(exporter: str) -> None:
    module, x = network(QuantumLayer(LayerSpec(2), "native", seed=0)), torch.zeros(5, 3)
    with pytest.raises(OptionError, match=r"layer\.to_torch\(\)"):
        EXPORTERS[exporter](module, x)
    assert module(x).shape == (5, 2)


@pytest.mark.slow
def test_exporters_that_raise_errors_of_their_own_say_it_too() -> None:
    module, x = network(QuantumLayer(LayerSpec(2), "native", seed=0)), torch.zeros(5, 3)
    with pytest.raises(Exception, match=r"layer\.to_torch\(\)"):
        torch.export.export(module, (x,), strict=True)
    with pytest.raises(torch.onnx.OnnxExporterError, match=r"layer\.to_torch\(\)") as caught:
        torch.onnx.export(module, (x,), dynamo=True, verbose=False)
    assert isinstance(caught.value.__cause__, OptionError)


def test_a_pointwise_layer_is_not_exported() -> None:
    layer = QuantumPointwiseConv2d(4, 2, depth=1, backend="native", seed=0)
    with pytest.raises(OptionError, match=r"kernel\.to_torch\(\)"):
        torch.export.export(layer, (torch.randn(1, 4, 2, 2),))


def gradients(layer: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(layer(x).square().sum(), (x, layer.weight))


def check_exact(spec: Layer) -> None:
    layer = QuantumLayer(spec, "native", seed=0)
    exact, x = layer.to_torch(), rows(spec)
    torch.testing.assert_close(exact(x), layer(x), atol=SINGLE, rtol=0)
    exact, layer, x = exact.double(), layer.double(), x.double()
    torch.testing.assert_close(exact(x), layer(x), atol=MACHINE, rtol=0)
    for ours, theirs in zip(gradients(exact, x), gradients(layer, x), strict=True):
        torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=0)


@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("n_wires", [1, 3, 6])
def test_the_exact_layer_of_the_catalogue(n_wires: int, encoding: str, ansatz: str) -> None:
    """Six wires are too wide for quadratic forms."""
    check_exact(LayerSpec(n_wires, encoding, ansatz))


def test_the_exact_layer_of_a_circuit() -> None:
    check_exact(own_circuit())


@pytest.mark.parametrize("name", LAYERS)
def test_shapes_dtypes_and_weights(name: str) -> None:
    spec = LAYERS[name]
    layer = QuantumLayer(spec, "native", seed=0)
    exact, x = layer.to_torch(), rows(spec, 6)
    assert [key for key, _ in exact.named_parameters()] == list(exact.state_dict()) == ["weight"]
    stacked = exact(x.view(2, 3, -1))
    torch.testing.assert_close(stacked, layer(x).view(2, 3, -1), atol=SINGLE, rtol=0)
    torch.testing.assert_close(exact(x[0]), layer(x[0]), atol=SINGLE, rtol=0)
    assert exact(x[:0]).shape == (0, spec.n_outputs)
    assert exact(x.bfloat16()).dtype == torch.bfloat16
    assert exact(x.double()).dtype == torch.float64
    with torch.no_grad():
        exact.weight += 1
    assert not torch.equal(exact.weight, layer.weight)
    with pytest.raises(InputError, match="features"):
        exact(x[:, 1:])
    with pytest.raises(InputError, match="floating-point"):
        exact(x.long())


def test_rows_that_encode_nothing() -> None:
    exact = QuantumLayer(LayerSpec(2), "native", seed=0).double().to_torch()
    x = rows(LayerSpec(2), 3).double()
    x[0], x[1] = 0, 1e-13
    x.requires_grad_()
    values = exact(x)
    values.sum().backward()
    assert not values[:2].any()
    assert not x.grad[:2].any()
    assert values[2].all()
    assert x.grad[2].all()


def test_noise_and_shots_are_not_in_it() -> None:
    spec = LayerSpec(2)
    expected = QuantumLayer(spec, "native", seed=0).to_torch()(rows(spec))
    for layer in (
        QuantumLayer(spec, "aer:fake_fez", seed=0),
        QuantumLayer(spec, "aer", shots=10, seed=0),
    ):
        with pytest.warns(UserWarning, match="without the noise and shots of 'aer"):
            exact = layer.to_torch()
        assert torch.equal(exact(rows(spec)), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        QuantumLayer(spec, "aer", seed=0).to_torch()


@pytest.fixture(params=LAYERS)
def pair(request: pytest.FixtureRequest) -> tuple[QuantumLayer, ExactLayer]:
    layer = QuantumLayer(LAYERS[request.param], "native", seed=0)
    return layer, layer.to_torch()


def run_without(libraries: tuple[str, ...], code: str, folder: Path) -> None:
    """Run `code` in `folder`, where none of the libraries can be imported."""
    refusal = (
        "import sys\n"
        "class Refusal:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name.split('.')[0] in {libraries}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refusal())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", refusal + code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_an_archive_runs_without_any_quantum_package(
    pair: tuple[QuantumLayer, ExactLayer], tmp_path: Path
) -> None:
    layer, exact = pair
    rows_of = {0: torch.export.Dim("rows")}
    program = torch.export.export(exact, (rows(layer.spec),), dynamic_shapes=(rows_of,))
    assert not any(
        tensor.is_complex()
        for tensor in (*program.state_dict.values(), *program.constants.values())
    )
    torch.export.save(program, tmp_path / "layer.pt2")
    x = rows(layer.spec, 7)
    np.save(tmp_path / "features.npy", x.numpy())
    code = (
        "import numpy, torch\n"
        "layer = torch.export.load('layer.pt2').module()\n"
        "values = layer(torch.from_numpy(numpy.load('features.npy')))\n"
        "numpy.save('values.npy', values.detach().numpy())\n"
    )
    run_without(LIBRARIES, code, tmp_path)
    found = torch.from_numpy(np.load(tmp_path / "values.npy"))
    torch.testing.assert_close(found, layer(x).detach(), atol=SINGLE, rtol=0)


@pytest.mark.slow
def test_onnx(pair: tuple[QuantumLayer, ExactLayer], tmp_path: Path) -> None:
    layer, exact = pair
    rows_of = {0: torch.export.Dim("rows")}
    program = torch.onnx.export(
        exact.eval(), (rows(layer.spec),), dynamo=True, dynamic_shapes=(rows_of,), verbose=False
    )
    program.save(str(tmp_path / "layer.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "layer.onnx"))
    (given,) = session.get_inputs()
    x = rows(layer.spec, 7)
    (values,) = session.run(None, {given.name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(values), layer(x).detach(), atol=SINGLE, rtol=0)


def test_the_module_itself_needs_no_qiskit(
    pair: tuple[QuantumLayer, ExactLayer], tmp_path: Path
) -> None:
    layer, exact = pair
    x = rows(layer.spec)
    (tmp_path / "layer").write_bytes(pickle.dumps((exact, x, exact(x))))
    code = (
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "import pickle, torch\n"
        "exact, x, values = pickle.load(open('layer', 'rb'))\n"
        "assert torch.equal(exact(x), values)\n"
    )
    run_without(LIBRARIES[1:], code, tmp_path)
