"""The backend `native:DEVICE`: a device's noise in the Pauli basis, on CPU and CUDA.

On the CPU compiled kernels do it, by NumPy's arrays; elsewhere all that a pass takes stays on the
features' device, where fused kernels or torch's operations do it. A captured step needs the backend
for as long as it is replayed.

Letters: B batch, F features, M observables, N rows, W weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..circuits.device_form import Preparation
from ..devices.noise import NoisyLayer, compile_under_noise
from ..devices.noise_spec import NoiseSpec
from ..errors import OptionError
from ..layers.inputs import check_finite
from ..layers.program import Layer
from ..seam.backend import Capabilities, DifferentiableBackend, Forward, Gradients, check_width
from ..seam.device import Device
from ..seam.requests import CompiledLayer, Request, Result, angles_of
from ..seam.simulators import ExactSimulator, simulator_capabilities
from .cuda.driver import Machine, machine_of
from .pauli.layer import LayerSimulation
from .pauli.on_device import DeviceSimulation

MAX_WIRES = 6


class NativeNoisy(ExactSimulator, DifferentiableBackend):
    """Exact expectation values under a device's noise, and derivatives to train by.

    Values are those of the compiled circuit. Derivatives by weights and by angle features are
    exact; by amplitude features they are what `noisy_preparation` says, always finite.

    Args:
        device: whose gates and noise to take.
        noise: the strength of each part.
        preparation: how amplitudes are prepared, "auto", "compact" or "textbook".
    """

    def __init__(
        self, device: Device, noise: NoiseSpec | None = None, preparation: Preparation = "auto"
    ) -> None:
        self.name, self.sampler = f"native:{device.name}", f"aer:{device.name}"
        self.device = device
        self.noise = NoiseSpec() if noise is None else noise
        self.preparation = preparation
        self._layers: dict[Layer, NoisyLayer] = {}
        self._simulations: dict[Layer, LayerSimulation] = {}
        self._on_devices: dict[tuple[Layer, torch.dtype, torch.device], DeviceSimulation] = {}

    @property
    def capabilities(self) -> Capabilities:
        max_wires = min(self.device.target.num_qubits, MAX_WIRES)
        return simulator_capabilities(
            exact=True, max_wires=max_wires, vjp=True, noisy=True, on_device=True
        )

    def compile(self, spec: Layer) -> CompiledLayer:
        """The layer on the device's best qubits, with the noise that acts there; one per spec.

        Raises:
            OptionError: too many wires or qubits, or a gate without calibration.
        """
        if spec not in self._layers:
            check_width(self, spec)
            layer = compile_under_noise(spec, self.device, self.noise, preparation=self.preparation)
            self._simulation(layer)
            self._layers[spec] = layer
        return self._layers[spec]

    def forward(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        *,
        differentiate: bool,
    ) -> Forward:
        simulation = self._simulation(compiled)
        if not features.is_cpu:
            return self._on_device(simulation, features).forward(features, weights, differentiate)
        vector = angles_of(weights)
        dtype = features.detach().numpy().dtype
        given = features.detach().double().numpy()
        check_finite("features", given)
        live = compiled.inputs.live(given)
        values = np.zeros((len(given), compiled.spec.n_outputs))
        values[live] = simulation.values(dtype, compiled.rows(given[live], vector))
        outputs = torch.from_numpy(values).to(features)
        if not differentiate:
            return Forward(outputs, None)

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            factors = cotangent.detach().double().numpy()[live]
            by_row, by_weights = simulation.pull(dtype, given[live], vector, factors, of_features)
            by_features = None
            if by_row is not None:
                gradient = np.zeros_like(given)
                gradient[live] = by_row
                by_features = torch.from_numpy(gradient).to(features)
            return by_features, torch.from_numpy(by_weights) if of_weights else None

        return Forward(outputs, pull)

    def reported_device(self) -> Device:
        return self.device

    def check(self, request: Request) -> None:
        self._simulation(request.compiled)

    def run(self, request: Request, job_id: str) -> Result:
        return _run_rows(self._simulation(request.compiled), request, job_id)

    def close(self) -> None:
        self._layers, self._simulations, self._on_devices = {}, {}, {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_layers": {}, "_simulations": {}, "_on_devices": {}}

    def _simulation(self, compiled: CompiledLayer) -> LayerSimulation:
        """The layer's simulation; of layers with one spec, the latest one's is kept."""
        if not isinstance(compiled, NoisyLayer):
            raise OptionError("the layer was compiled without noise: compile it by this backend")
        found = self._simulations.get(compiled.spec)
        if found is None or found.layer is not compiled:
            found = self._simulations[compiled.spec] = LayerSimulation(compiled)
        return found

    def _on_device(self, simulation: LayerSimulation, features: torch.Tensor) -> DeviceSimulation:
        """The same for features where they are."""
        key = simulation.layer.spec, features.dtype, features.device
        found = self._on_devices.get(key)
        if found is None or found.simulation is not simulation:
            machine = self._machine_on(features.device)
            found = DeviceSimulation(simulation, features.dtype, features.device, machine)
            self._on_devices[key] = found
        return found

    def _machine_on(self, device: torch.device) -> Machine | None:
        """What runs fused kernels there, None where they cannot be had."""
        return machine_of(device) if device.type == "cuda" else None


def _run_rows(simulation: LayerSimulation, request: Request, job_id: str) -> Result:
    values = simulation.values_by_row(request.parameters)
    properties = simulation.layer.properties
    return Result(
        values=values,
        stderr=np.zeros_like(values),
        shots=None,
        job_ids=(job_id,),
        device=properties.device,
        calibrated_at=properties.calibrated_at,
    )
