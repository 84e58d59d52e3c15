"""What comes before a backend is asked that costs: data, backends, the model without noise."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ..errors import OptionError
from ..layers.inputs import whole_number
from ..module.quantum_layer import QuantumLayer
from ..registry import AnyBackend
from ..seam.backend import QuantumBackend
from .asking import Asker, Known, stage_name
from .batches import Batches, read_batches, tensor_bytes
from .chosen import Backends, Ways, check_names, chosen_backends, is_ideal, options_record
from .evaluation import Outcome, evaluate
from .folder import tensors_of
from .plan import Plan, plan_of
from .records.model_source import model_code
from .telling import Telling
from .trips import Place, Road, named_layers


@dataclass(frozen=True)
class Given:
    """What a caller gave, read and checked.

    Attributes:
        model: with quantum layers.
        layers: these by name, in the order of registration.
        batches: of the items.
        calibrating: items that calibrate; None for none.
        ways: how backends are asked.
        backends: made.
    """

    model: nn.Module
    layers: dict[str, QuantumLayer]
    batches: Batches
    calibrating: Batches | None
    ways: Ways
    backends: Backends

    @classmethod
    def read(
        cls,
        model: nn.Module,
        data: Any,
        backends: Sequence[AnyBackend],
        ways: Ways,
        telling: Telling,
        *,
        limit: int | None,
        calibrate: int | None,
        calibration_data: Any,
    ) -> Given:
        """Raises `QhcError` for whatever cannot be used."""
        layers = named_layers(model)
        check_names(backends)
        calibrating = _calibrating(calibrate, calibration_data)
        batches = read_batches(data, limit)
        widest = max((layer.spec for layer in layers.values()), key=lambda spec: spec.n_wires)
        made = chosen_backends(backends, ways, widest, telling.progress)
        is_noiseless = not made.machines and all(is_ideal(each) for each in made.free)
        if calibrating is not None and is_noiseless:
            raise OptionError(
                "there is no noise to calibrate: leave calibrate out, or name a device, for "
                "example aer:fake_fez"
            )
        return cls(model, layers, batches, calibrating, ways, made)

    def config(self, task: str | None, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
        """What `config.toml` says of it: by that a later call is known to be the same."""
        ways, backends = self.ways, self.backends
        run: dict[str, Any] = {
            "backend": (backends.machines or backends.free)[-1].name,
            "backends": [stage_name(each) for each in backends.all],
            "seed": ways.seed,
            "titles": [layer.spec.title for layer in self.layers.values()],
        }
        shots = {stage_name(each): each.shots for each in backends.all if each.shots is not None}
        data: dict[str, Any] = {"items": len(self.batches), "sha256": self.batches.sha256}
        if self.calibrating is not None:
            run["calibrate"] = len(self.calibrating)
            data["calibration_sha256"] = self.calibrating.sha256
        kind = type(self.model)
        found: dict[str, Any] = {
            "run": run,
            "shots": shots,
            "model": {
                "name": kind.__qualname__,
                "sha256": weights_sha256(self.model),
                "code": model_code(self.model),
                "layers": [_described(name, layer) for name, layer in self.layers.items()],
            },
            "data": data,
            "judged": {"metrics": sorted(metrics or {})},
        }
        if task is not None:
            found["judged"]["task"] = task
        if backends.machines:
            found["machine"] = options_record(ways.options)
        if ways.noise is not None:
            found["noise"] = asdict(ways.noise)
        if ways.preparation is not None:
            run["preparation"] = ways.preparation
        return found


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model that has been evaluated without noise.

    Attributes:
        given: by the caller.
        road: through the model.
        ideal: what came of it.
        known: what calibrates its layers; None for nothing.
        names: of the places where layers are called.
    """

    given: Given
    road: Road
    ideal: Outcome
    known: dict[Place, Known] | None
    names: dict[Place, str]

    @classmethod
    def of(cls, given: Given, telling: Telling) -> Prepared:
        """Evaluate without noise; raises `QhcError` as `evaluate`."""
        road = Road(given.model, list(given.layers.values()), given.ways.seed)
        asker = Asker(given.backends.reference, given.ways.seed)
        with telling.counting(f"{asker.name}, without noise", None) as tell:
            ideal, _ = evaluate(road, given.batches, asker, tell)
            if not ideal.features:
                raise OptionError(
                    f"the model never calls its quantum layers ({', '.join(given.layers)}): no "
                    "backend has a part in what it answers"
                )
            known = None
            if given.calibrating is not None:
                known = evaluate(road, given.calibrating, asker, tell)[0].known
        return cls(given, road, ideal, known, _names(road, list(given.layers)))

    def asker(self, backend: QuantumBackend) -> Asker:
        """Of a backend."""
        return Asker(backend, self.given.ways.seed)

    def rows(self, asker: Asker, known: Mapping[Place, Known] | None) -> int:
        """How many rows a backend is asked for, with those that calibrate."""
        total = self.ideal.n_rows
        if known is None:
            return total
        first = min(self.ideal.values, key=self.road.places.__getitem__)
        for place, each in known.items():
            compiled = asker.compiled(self.road.layers[place.layer])
            total += len(each.features) * max(1, len(compiled.copies))
        return total + self.ideal.n_rows - len(self.ideal.values[first])

    def plan(self, backends: Sequence[QuantumBackend]) -> Plan:
        """What these will be asked for; raises `QhcError` as `plan_of`."""
        askers = [self.asker(each) for each in backends]
        items = len(self.given.batches)
        return plan_of(self.road, self.names, self.ideal, askers, self.known, items)


def weights_sha256(model: nn.Module) -> str:
    """By which the same tensors under the same names are known."""
    digest = hashlib.sha256()
    for name, each in sorted(tensors_of(model).items()):
        digest.update(repr((name, str(each.dtype), tuple(each.shape))).encode())
        digest.update(tensor_bytes(each))
    return digest.hexdigest()


def _calibrating(calibrate: int | None, data: Any) -> Batches | None:
    """The items that calibrate, the first of their data; raises `OptionError`."""
    if calibrate is None:
        if data is not None:
            raise OptionError("calibration_data is of no use without calibrate=N, its first items")
        return None
    if data is None:
        raise OptionError(
            f"calibrate={calibrate} needs calibration_data: items of which the exact outputs are "
            "computed here, for example the training set, and never those that are evaluated"
        )
    if whole_number("calibrate", calibrate) < 2:
        raise OptionError(f"calibrate must be at least 2, got {calibrate}")
    return read_batches(data, calibrate)


def _described(name: str, layer: QuantumLayer) -> dict[str, Any]:
    spec = layer.spec
    return {
        "name": name,
        "key": spec.key,
        "wires": spec.n_wires,
        "features": spec.n_features,
        "weights": spec.n_weights,
        "outputs": spec.n_outputs,
    }


def _names(road: Road, layers: Sequence[str]) -> dict[Place, str]:
    """Of each place the layer's name, with the call where there are several."""
    calls = Counter(place.layer for place in road.places)
    return {
        place: layers[place.layer] + (f", call {place.call + 1}" if calls[place.layer] > 1 else "")
        for place in road.places
    }
