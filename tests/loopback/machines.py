"""Machines made from the calibration snapshots that qiskit-ibm-runtime ships."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
from qiskit_ibm_runtime.utils.backend_decoder import (
    configuration_from_server_data,
    properties_from_server_data,
)

WORST_COUPLING = 0.05
"""Two-qubit errors above it are left out of a small machine: snapshots write 1 for a dead gate."""

OF_WHOLE_MACHINE = (
    "channels",
    "hamiltonian",
    "meas_lo_range",
    "qubit_channel_mapping",
    "qubit_lo_range",
)
"""Pulse details of a configuration that nothing asks for, and that a part does not have."""


@dataclass(frozen=True)
class Snapshot:
    """What IBM's service says of a machine: the JSON of `/configuration` and `/properties`."""

    configuration: dict[str, Any]
    properties: dict[str, Any]

    @classmethod
    @cache
    def load(cls, device: str) -> Snapshot:
        """The snapshot called `device` ("fez", "brisbane", ...)."""
        folder = files(f"qiskit_ibm_runtime.fake_provider.backends.{device}")
        configuration, properties = (
            json.loads((folder / f"{kind}_{device}.json").read_text()) for kind in ("conf", "props")
        )
        return cls(configuration, properties)

    @property
    def n_qubits(self) -> int:
        return self.configuration["n_qubits"]

    def named(self, name: str) -> Snapshot:
        """The same machine under another name."""
        return Snapshot(
            {**self.configuration, "backend_name": name}, {**self.properties, "backend_name": name}
        )

    def with_fractional_gates(self) -> Snapshot:
        """The machine with RX and RZZ, reported as IBM's service does: like SX and CZ."""
        like = {"sx": "rx", "cz": "rzz"}
        configuration, properties = copy.deepcopy((self.configuration, self.properties))
        for key in ("basis_gates", "supported_instructions"):
            configuration[key] = [*configuration[key], *like.values()]
        configuration["gates"] += [
            {**gate, "name": like[gate["name"]], "parameters": ["theta"]}
            for gate in configuration["gates"]
            if gate["name"] in like
        ]
        properties["gates"] += [
            copy.deepcopy(gate)
            | {"gate": name, "name": name + gate["name"].removeprefix(gate["gate"])}
            for gate in properties["gates"]
            if (name := like.get(gate["gate"]))
        ]
        return Snapshot(configuration, properties)

    def cut(self, qubits: Sequence[int]) -> Snapshot:
        """The machine that only these qubits make, numbered from 0 in the order given."""
        new = {old: number for number, old in enumerate(qubits)}

        def kept(couplings: Iterable[Sequence[int]]) -> list[list[int]]:
            return [[new[q] for q in pair] for pair in couplings if set(pair) <= new.keys()]

        configuration = {
            key: value for key, value in self.configuration.items() if key not in OF_WHOLE_MACHINE
        } | {
            "n_qubits": len(qubits),
            "coupling_map": kept(self.configuration["coupling_map"]),
            "coords": [self.configuration["coords"][q] for q in qubits],
            "meas_map": [list(range(len(qubits)))],
            "u_channel_lo": [],
            "n_uchannels": 0,
            "uchannels_enabled": False,
            "gates": [
                gate | {"coupling_map": kept(gate["coupling_map"])}
                if "coupling_map" in gate
                else gate
                for gate in self.configuration["gates"]
            ],
        }
        gates = []
        for gate in self.properties["gates"]:
            if set(gate["qubits"]) <= new.keys():
                where = [new[q] for q in gate["qubits"]]
                name = gate["gate"] + "_".join(map(str, where))
                gates.append({**gate, "qubits": where, "name": name})
        properties = self.properties | {
            "qubits": [self.properties["qubits"][q] for q in qubits],
            "gates": gates,
            "general": [],
            "general_qlists": [],
        }
        return Snapshot(configuration, properties)

    def region(self, size: int) -> list[int]:
        """`size` connected qubits whose couplings work, the first that a breadth search finds."""
        neighbours: dict[int, set[int]] = {}
        for gate in self.properties["gates"]:
            errors = [p["value"] for p in gate["parameters"] if p["name"] == "gate_error"]
            if len(gate["qubits"]) == 2 and errors and errors[0] < WORST_COUPLING:
                first, second = gate["qubits"]
                neighbours.setdefault(first, set()).add(second)
                neighbours.setdefault(second, set()).add(first)
        for start in sorted(neighbours):
            found, waiting = [start], deque([start])
            while waiting and len(found) < size:
                for qubit in sorted(neighbours[waiting.popleft()] - set(found)):
                    found.append(qubit)
                    waiting.append(qubit)
            if len(found) >= size:
                return sorted(found[:size])
        raise ValueError(f"no {size} connected qubits in {self.configuration['backend_name']}")

    def target(self) -> Target:
        configuration = configuration_from_server_data(
            copy.deepcopy(self.configuration), use_fractional_gates=None
        )
        properties = properties_from_server_data(copy.deepcopy(self.properties))
        return convert_to_target(configuration=configuration, properties=properties)

    def noise_model(self) -> NoiseModel:
        """Aer's own device model of the snapshot."""
        return NoiseModel.from_backend(_TargetOnly(self.target()))


class MachineStatus(Enum):
    """What has become of a machine.

    A paused one accepts jobs and starts none, and so does one in maintenance; a retired one fails
    what is queued; a hidden one is no longer shown to the account, though what is queued there
    still runs.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    RETIRED = "retired"
    HIDDEN = "hidden"


@dataclass
class Machine:
    """A machine of the loopback service.

    Attributes:
        name: what the client asks for.
        snapshot: what the service says of it.
        noisy: whether it executes with the snapshot's noise, or exactly but for the shots.
        queue_seconds: how long a job stays queued at least.
        run_seconds: how long a job runs at least.
        others_waiting: jobs of other users, counted in the queue's length.
    """

    name: str
    snapshot: Snapshot
    noisy: bool = True
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    others_waiting: int = 0
    status: MachineStatus = MachineStatus.ACTIVE
    _noise: dict[tuple[int, ...], NoiseModel | None] = field(default_factory=dict, repr=False)

    @classmethod
    def load(
        cls,
        name: str = "ibm_loopback",
        *,
        device: str = "fez",
        n_qubits: int | None = 16,
        noisy: bool = True,
        queue_seconds: float = 0.0,
        run_seconds: float = 0.0,
        fractional_gates: bool = False,
    ) -> Machine:
        """A machine like `device`, on `n_qubits` connected qubits of it (None: all)."""
        snapshot = Snapshot.load(device)
        if fractional_gates:
            snapshot = snapshot.with_fractional_gates()
        if n_qubits is not None:
            snapshot = snapshot.cut(snapshot.region(n_qubits))
        return cls(name, snapshot.named(name), noisy, queue_seconds, run_seconds)

    @cached_property
    def target(self) -> Target:
        return self.snapshot.target()

    @property
    def is_shown(self) -> bool:
        """Whether the account can see the machine."""
        return self.status not in (MachineStatus.RETIRED, MachineStatus.HIDDEN)

    @property
    def is_idle(self) -> bool:
        """Whether it starts no jobs for now."""
        return self.status in (MachineStatus.PAUSED, MachineStatus.MAINTENANCE)

    def noise_of(self, qubits: tuple[int, ...]) -> NoiseModel | None:
        """The noise of these qubits, numbered from 0 in the order given; None without noise."""
        if qubits not in self._noise:
            model = self.snapshot.cut(qubits).noise_model() if self.noisy else None
            self._noise[qubits] = model
        return self._noise[qubits]


class _TargetOnly(BackendV2):
    """The least that Aer takes a noise model from."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: object, **options: object) -> None:
        raise NotImplementedError("this backend has a target only")
