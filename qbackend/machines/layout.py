"""Which qubits a compiled layer measures, and whether its machine can still execute it."""

from __future__ import annotations

from qiskit.transpiler import Target

from ..errors import MachineError, OptionError
from ..seam.device import Device
from ..seam.requests import CompiledLayer


def measured_qubits(compiled: CompiledLayer) -> list[int]:
    """The qubits that observables ask for, in ascending order; one where they ask for none."""
    return sorted(frozenset().union(*observed_qubits(compiled))) or [0]


def observed_qubits(compiled: CompiledLayer) -> list[frozenset[int]]:
    """The qubits whose Z each of the M observables multiplies.

    Raises:
        OptionError: an observable that is no product of Z alone, which counts do not give.
    """
    observed = []
    for observable in compiled.observables:
        terms = observable.to_sparse_list()
        letters, qubits, coefficient = terms[0]
        if len(terms) != 1 or set(letters) - {"Z"} or coefficient != 1:
            raise OptionError(
                f"the observable {observable.to_list()} is no product of Z, which is all that "
                "the Sampler's counts give: use --set machine.primitive=estimator"
            )
        observed.append(frozenset(qubits))
    return observed


def lost_places(compiled: CompiledLayer, target: Target) -> list[str]:
    """Gates and measurements of a compiled layer that the target has not (any more)."""
    circuit = compiled.circuit
    wanted = [
        (item.operation.name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits))
        for item in circuit.data
        if item.operation.name != "barrier"
    ]
    wanted += [("measure", (qubit,)) for qubit in measured_qubits(compiled)]
    missing = [each for each in dict.fromkeys(wanted) if not _has(target, *each)]
    return [f"{name} on {', '.join(map(str, qubits))}" for name, qubits in missing]


def check_executable(compiled: CompiledLayer, device: Device) -> None:
    """Raise `MachineError` for a layer that the device cannot execute as it is calibrated now."""
    if lost := lost_places(compiled, device.target):
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise MachineError(
            f"the calibration of {device.name} has lost what this run's circuit was compiled for "
            f"({'; '.join(lost[:3])}{more}): nothing was sent. The results that are there are "
            "kept; to compile anew, begin a new run: qhc run"
        )


def _has(target: Target, name: str, qubits: tuple[int, ...]) -> bool:
    """Whether a gate is there and calibrated: IBM reports an error of 1 for one that is not."""
    if not target.instruction_supported(name, qubits):
        return False
    reported = target[name].get(qubits)
    return reported is None or reported.error is None or reported.error < 1
