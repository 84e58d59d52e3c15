"""A circuit of the user's own in [layer]: found, completed, and from then on part of the recipe.

A resolved recipe has the circuit itself, as text, and all that makes a `CircuitLayer` of it: no
file and no module is needed any more.
"""

from __future__ import annotations

import base64
import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from qbackend.errors import SpecError, suggest
from qbackend.generic.finding import executed, importable_from

from .model import OWN_CIRCUIT, LayerSection

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp

    from qbackend import CircuitLayer

_QASM, _QPY = (".qasm", ".qasm3"), ".qpy"
_FORMS = (
    "an OpenQASM 3 file (my.qasm), a QPY file (my.qpy), or MODULE:FUNCTION or my.py:FUNCTION, a "
    "function without arguments that returns a QuantumCircuit or a CircuitLayer"
)
_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*?\s*)?"
    r"(?P<letters>[IXYZ]+)\s*"
)
_UNNAMED = re.compile(r"circuit-\d+(-\d+)?")
"""What Qiskit calls a circuit without a name, another one each time."""


def with_own_circuit(layer: LayerSection, folder: Path) -> LayerSection:
    """The section with the circuit in place of the words that say where it is; others as they are.

    Args:
        layer: as it was written.
        folder: of the recipe, where files and modules are also looked for.

    Raises:
        SpecError: no such circuit, or one that is no layer; the message begins with the key.
    """
    given = layer.model_dump(exclude_none=True)
    if layer.circuit is None:
        for key in given.keys() & set(OWN_CIRCUIT) - {"observables"}:
            raise SpecError(
                f"layer.{key}: goes with a circuit of your own; add --set layer.circuit=my.qasm, "
                "or leave it out"
            )
        return layer
    for key in given.keys() - set(OWN_CIRCUIT):
        raise SpecError(
            f"layer.{key}: has no meaning for a circuit of your own (layer.circuit): leave it out"
        )
    if given.keys() >= set(OWN_CIRCUIT) - {"observables"}:
        # A run's own record: what its lists name may be without effect in the circuit.
        return layer
    from qbackend import CircuitLayer

    try:
        found, text = _found(layer.circuit, folder)
        if isinstance(found, CircuitLayer):
            for key in given.keys() - {"circuit"}:
                raise SpecError(
                    f"layer.{key}: {layer.circuit} returns a CircuitLayer, which has its own; "
                    "leave it out, or return a QuantumCircuit"
                )
        own = found if isinstance(found, CircuitLayer) else _own_layer(found, layer)
    except SpecError as error:
        words = str(error)
        raise SpecError(
            words if words.startswith("layer.") else f"layer.circuit: {words}"
        ) from None
    if own.n_features == 0:
        raise SpecError(
            "layer.features: the circuit has no features, so that nothing of an image would reach "
            "it; name the parameters that are"
        )
    return LayerSection(**{**own.to_dict(), **({} if text is None else {"circuit": text})})


def _own_layer(circuit: QuantumCircuit, layer: LayerSection) -> CircuitLayer:
    from qbackend import CircuitLayer
    from qbackend.layers.unsharing import check_unitary

    check_unitary(circuit)
    features, weights = _parameters(circuit, layer.features, layer.weights)
    observables = layer.observables
    if observables == ():
        raise SpecError("layer.observables: name at least one; leave it out for Z on every qubit")
    if observables is not None and layer.outputs == "probabilities":
        raise SpecError(
            "layer.outputs: probabilities are those of all basis states, without observables; "
            "leave layer.observables out, or layer.outputs"
        )
    return CircuitLayer(
        circuit,
        features=features,
        weights=weights,
        observables=None
        if observables is None
        else [_observable(each, circuit.num_qubits) for each in observables],
        outputs=layer.outputs or "expectations",
    )


def _parameters(
    circuit: QuantumCircuit, features: Sequence[str] | None, weights: Sequence[str] | None
) -> tuple[list[Any], list[Any]]:
    """Features and weights of the circuit: of two lists the one that is missing is all the rest."""
    from qbackend.layers.circuit_layer import parameters_named, stems

    known = ", ".join(f"'{stem}'" for stem in stems(circuit))
    if not known:
        raise SpecError(
            "the circuit has no parameters, so that no feature could reach it; in OpenQASM 3 "
            "`input float[64] x0;` declares one"
        )
    if features is None and weights is None:
        raise SpecError(
            f"layer.features: the circuit's parameters are {known}; say which of them are "
            "features, and all others are weights: --set 'layer.features=[\"NAME\", ...]'"
        )

    def listed(key: str, names: Sequence[str] | None) -> list[Any]:
        found = [parameters_named(f"layer.{key}", name, circuit) for name in names or ()]
        return [parameter for each in found for parameter in each]

    of_features, of_weights = listed("features", features), listed("weights", weights)
    rest = [each for each in circuit.parameters if each not in {*of_features, *of_weights}]
    if features is None:
        return rest, of_weights
    if weights is None:
        return of_features, rest
    if rest:
        names = ", ".join(f"'{parameter.name}'" for parameter in rest)
        raise SpecError(
            f"layer.weights: {names}: neither feature nor weight; name every parameter in "
            "layer.features or layer.weights, or leave one of the two lists out: it is then all "
            "the rest"
        )
    return of_features, of_weights


def _observable(given: Any, n_qubits: int) -> SparsePauliOp:
    """From "0.5*XXII - 0.25*ZIII", or from [["XXII", 0.5], ["ZIII", -0.25]]."""
    from qiskit.quantum_info import SparsePauliOp

    terms = _terms(given) if isinstance(given, str) else given
    for letters, _ in terms:
        if set(letters) - set("IXYZ") or len(letters) != n_qubits:
            raise SpecError(
                f"layer.observables: '{letters}' must be {n_qubits} letters I, X, Y or Z, one for "
                "each qubit of the circuit, qubit 0 right-most (Qiskit's order)"
            )
    return SparsePauliOp.from_list(list(terms))


def _terms(text: str) -> list[tuple[str, float]]:
    terms: list[tuple[str, float]] = []
    place = 0
    while place < len(text) or not terms:
        match = _TERM.match(text, place)
        if match is None or (terms and not match["sign"]):
            raise SpecError(
                f"layer.observables: '{text}' is no sum of Pauli strings; write, for example, "
                '"ZZII" or "0.5*XXII - 0.25*ZIII"'
            )
        terms.append((match["letters"], float(f"{match['sign']}{match['number'] or 1}")))
        place = match.end()
    return terms


def _found(words: str, folder: Path) -> tuple[QuantumCircuit | CircuitLayer, str | None]:
    """What `layer.circuit` says, or where it says that it is; and as text, where that is known."""
    from qbackend.layers.circuit_text import circuit_of, is_circuit_text

    if is_circuit_text(words):
        return _named(circuit_of(words), "circuit"), words
    path = Path(words)
    if path.suffix in (*_QASM, _QPY):
        content = _file(words, folder).read_bytes()
        try:
            text = base64.b64encode(content) if path.suffix == _QPY else content
            # As TOML has it, on every system.
            written = text.decode().replace("\r\n", "\n")
            if path.suffix == _QPY and not is_circuit_text(written):
                raise SpecError("not a QPY file: qiskit.qpy.dump(circuit, file) writes one")
            return _named(circuit_of(written), path.stem), written
        except (SpecError, UnicodeDecodeError) as error:
            raise SpecError(f"{words}: {error}") from error
    module, colon, name = words.rpartition(":")
    if not (colon and module and name):
        raise SpecError(f"'{words}' names no circuit: give {_FORMS}")
    return _returned(words, _module(module, folder), name), None


def _named(circuit: QuantumCircuit, name: str) -> QuantumCircuit:
    if _UNNAMED.fullmatch(circuit.name):
        circuit.name = name
    return circuit


def _file(name: str, folder: Path) -> Path:
    for path in (Path(name).expanduser(), folder / name):
        if path.is_file():
            return path
    raise SpecError(f"there is no file {name}; give {_FORMS}")


def _module(name: str, folder: Path) -> ModuleType:
    is_file = name.endswith(".py")
    path = _file(name, folder) if is_file else None
    try:
        with importable_from(*([Path.cwd(), folder] if path is None else [path.parent])):
            return importlib.import_module(name) if path is None else executed(path)
    except Exception as error:
        # Whatever the user's own lines raise.
        raise SpecError(
            f"{name} cannot be imported: {type(error).__name__}: {error}; give {_FORMS}"
        ) from error


def _returned(words: str, module: ModuleType, name: str) -> QuantumCircuit | CircuitLayer:
    from qiskit import QuantumCircuit

    from qbackend import CircuitLayer

    function = getattr(module, name, None)
    if not callable(function):
        known = [each for each, value in vars(module).items() if callable(value)]
        raise SpecError(f"{words}: there is no function '{name}'; {suggest(name, known)}")
    try:
        found = function()
    except Exception as error:
        raise SpecError(
            f"{words} could not be called without arguments: {type(error).__name__}: {error}"
        ) from error
    if isinstance(found, CircuitLayer):
        if _UNNAMED.fullmatch(found.circuit.name):
            return CircuitLayer.from_dict({**found.to_dict(), "name": name})
        return found
    if not isinstance(found, QuantumCircuit):
        raise SpecError(
            f"{words} returned a {type(found).__name__}; it must return a QuantumCircuit or a "
            "CircuitLayer"
        )
    return _named(found, name)
