"""Backend names and what they stand for.

A name is `KEY` or `KEY:ARGUMENT`, or that of a machine. Third parties add keys through the
entry-point group `qbackend.backends`: each entry names a `BackendFactory`. A factory may take
further options, by keyword; it is given those that the caller names. Machines they add through the
group `qbackend.vendors`: each entry names a `Vendor`, whose prefixes tell its machines' names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .errors import OptionError, UnknownNameError, suggest
from .ibm.vendor import IBM
from .layers.inputs import seed_number
from .machines.vendor import Vendor
from .seam.backend import QuantumBackend
from .seam.backend_name import BackendName
from .seam.requests import check_shots

if TYPE_CHECKING:
    from qiskit.providers import BackendV2

    from .circuits.device_form import Preparation
    from .devices.noise_spec import NoiseSpec
    from .layers.program import Layer
    from .machines.consent import Approve
    from .machines.gateway import Progress
    from .machines.options import ExecutionOptions
    from .machines.service import Service
    from .seam.device import Device

ENTRY_POINT_GROUP, VENDORS = "qbackend.backends", "qbackend.vendors"
SIMULATORS = ("aer", "native")
FORMER_OPTIONS = {"encoder": "preparation"}
"""Options that code may still call by the name that they had."""

AnyBackend: TypeAlias = "str | QuantumBackend | BackendV2 | Callable[[], BackendV2]"
"""What `get_backend` takes."""


class BackendFactory(Protocol):
    """Makes a backend from the part of its name after the colon, and from the options it names."""

    def __call__(
        self, argument: str | None, *, shots: int | None, seed: int | None, **options: Any
    ) -> QuantumBackend:
        """The backend; `argument` is None for a name without a colon."""


@dataclass(frozen=True)
class BackendInfo:
    """A line of `qhc backends`: how the name is written, and what it stands for."""

    name: str
    summary: str


def get_backend(
    backend: AnyBackend,
    *,
    shots: int | None = None,
    seed: int | None = None,
    layer: Layer | None = None,
    **options: Any,
) -> QuantumBackend:
    """The backend of that name, or what executes layers on an object of Qiskit's.

    Args:
        backend: a name (see `list_backends`), a Qiskit `BackendV2`, a class or function without
            arguments that returns one, or a backend of ours, which comes back as it is. An
            `AerSimulator` without shots is exact, also under a `NoiseModel` that it has.
        shots: per row, where the backend samples.
        seed: of the sampling, for requests that bring none.
        layer: that "ibm" chooses the account's best machine for; other names need none.
        options: what this kind of backend takes besides, None for its default: `noise` (a
            `NoiseSpec`) and `preparation` ("auto", "compact", "textbook") with a device's noise;
            those of `machines.backend.MachineBackend` with a machine, whose `options` are called
            `machine`.

    Raises:
        UnknownNameError: no such backend or device; the message suggests.
        OptionError: shots or a seed out of range, or an option that the backend does not take.
    """
    shots, seed = check_shots(shots), seed_number(seed)
    named = ((FORMER_OPTIONS.get(key, key), value) for key, value in options.items())
    given = {option: value for option, value in named if value is not None}
    if not isinstance(backend, str):
        return _object(backend, shots, seed, given)
    check_name(backend)
    parsed, factories = parse_name(backend), _factories()
    if parsed.is_choice:
        parsed = parse_name(_best_machine(parsed, layer, shots, given))
    key = parsed.key
    factory = factories[key]() if key in factories else partial(_machine, key)
    for option in given:
        if option not in inspect.signature(factory).parameters:
            raise OptionError(f"backend '{backend}' takes no '{option}'")
    return factory(parsed.argument, shots=shots, seed=seed, **given)


def check_name(name: str) -> None:
    """Raise `UnknownNameError` if no backend has such a name; imports no backend's library."""
    parsed = parse_name(name)
    if parsed.is_machine or parsed.key in _factories():
        return
    forms = [backend.name for backend in list_backends()]
    raise UnknownNameError(
        f"unknown backend '{name}': {suggest(parsed.key, forms)} (qhc backends lists them)"
    )


def parse_name(name: str) -> BackendName:
    """The parts of a name and what kind of backend it stands for, whether or not there is one."""
    key, _, argument = name.partition(":")
    vendor = find_vendor(key)
    return BackendName(
        text=name,
        key=key,
        argument=argument or None,
        is_simulator=key in SIMULATORS,
        is_machine=vendor is not None,
        is_fake=vendor is not None and key.startswith(vendor.local_prefixes),
        is_choice=vendor is not None and key == getattr(vendor, "choice", None),
    )


@cache
def vendors() -> tuple[Vendor, ...]:
    """Who sells time on machines: IBM, also where the metadata are of an older qhc, and others."""
    others = {entry.name: entry.load() for entry in entry_points(group=VENDORS)}
    return tuple({"ibm": IBM, **others}.values())


def find_vendor(machine: str) -> Vendor | None:
    """Who sells the machine of that name; None where nobody does."""

    def sells(vendor: Vendor) -> bool:
        is_named = machine.startswith((*vendor.prefixes, *vendor.local_prefixes))
        # Packages of before there was such a name say nothing of it.
        return is_named or machine == getattr(vendor, "choice", None)

    return next(filter(sells, vendors()), None)


def vendor_of(machine: str) -> Vendor:
    """The same; raises `UnknownNameError` where nobody does."""
    if (vendor := find_vendor(machine)) is None:
        known = ", ".join(form for each in vendors() for form, _ in each.forms)
        raise UnknownNameError(f"nobody sells a machine '{machine}': known are {known}")
    return vendor


def list_backends() -> list[BackendInfo]:
    """Our own backends, then those of other packages."""
    own = [
        BackendInfo("aer", "Qiskit Aer, exact expectations; --shots N samples"),
        BackendInfo("aer:DEVICE", "Aer with DEVICE's noise, for example aer:ibm_brisbane"),
        BackendInfo("native", "our own batched simulator, exact, on CPU and CUDA"),
        BackendInfo("native:DEVICE", "the same with DEVICE's noise, exact, for training under it"),
        *(BackendInfo(*form) for vendor in vendors() for form in vendor.forms),
        BackendInfo("qiskit:MODULE:OBJECT", "any Qiskit BackendV2, its class or a factory of it"),
    ]
    others = [
        BackendInfo(entry.name, f"from {entry.value}")
        for entry in entry_points(group=ENTRY_POINT_GROUP)
    ]
    return own + others


def _factories() -> dict[str, Callable[[], BackendFactory]]:
    """How to load the factory of each key; loading is what imports the backend's library."""
    others = {entry.name: entry.load for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return {**others, "aer": lambda: _aer, "native": lambda: _native, "qiskit": lambda: _qiskit}


def _aer(
    argument: str | None,
    *,
    shots: int | None,
    seed: int | None,
    noise: NoiseSpec | None = None,
    preparation: Preparation | None = None,
) -> QuantumBackend:
    if argument is None:
        from .aer.exact import AerExact, AerSampled

        if noise is not None or preparation is not None:
            raise OptionError(
                "'aer' has no noise and no preparation; name a device: aer:ibm_brisbane"
            )
        return AerExact() if shots is None else AerSampled(shots, seed)

    from .aer.noisy import AerNoisy, AerNoisySampled

    device, saved = find_device(argument)
    exact = AerNoisy(device, noise or saved, preparation or "auto")
    return exact if shots is None else AerNoisySampled(exact, shots, seed)


def _native(
    argument: str | None,
    *,
    shots: int | None,
    seed: int | None,
    noise: NoiseSpec | None = None,
    preparation: Preparation | None = None,
) -> QuantumBackend:
    if shots is not None:
        sampled = "aer" if argument is None else f"aer:{argument}"
        raise OptionError(
            f"'native' is exact and takes no shots; use --backend {sampled} --shots N"
        )
    if argument is None:
        from .native.exact import NativeBackend

        if noise is not None or preparation is not None:
            raise OptionError(
                "'native' has no noise and no preparation; name a device: native:ibm_brisbane"
            )
        return NativeBackend()

    from .native.noisy import NativeNoisy

    device, saved = find_device(argument)
    return NativeNoisy(device, noise or saved, preparation or "auto")


def _machine(
    name: str,
    argument: str | None,
    *,
    shots: int | None,
    seed: int | None,
    machine: ExecutionOptions | None = None,
    preparation: Preparation = "auto",
    credentials: Path | None = None,
    profile: str | None = None,
    ledger: Path | None = None,
    approve: Approve | None = None,
    progress: Callable[[Progress], None] | None = None,
    wait: bool = True,
    run_tag: str | None = None,
    service: Service | None = None,
) -> QuantumBackend:
    from .machines.backend import MachineBackend, say_nothing

    if argument is not None:
        raise OptionError(f"'{name}' takes nothing behind a colon, got '{argument}'")
    return MachineBackend(
        name,
        vendor_of(name),
        shots=shots,
        seed=seed,
        options=machine,
        preparation=preparation,
        credentials=credentials,
        profile=profile,
        ledger=ledger,
        approve=approve,
        progress=progress or say_nothing,
        wait=wait,
        run_tag=run_tag,
        service=service,
    )


def _best_machine(
    name: BackendName, layer: Layer | None, shots: int | None, options: dict[str, Any]
) -> str:
    """The name of the machine that a choice comes to."""
    if layer is None:
        raise OptionError(
            f"'{name}' is the account's best machine for a layer: QuantumLayer(spec, '{name}'), "
            f"get_backend('{name}', layer=spec), or name a machine"
        )
    from .machines.choice import choose_machine

    return choose_machine(vendor_of(name.key), layer, shots=shots, **options).chosen.name


def _qiskit(argument: str | None, *, shots: int | None, seed: int | None) -> QuantumBackend:
    from .generic.objects import backend_at

    if argument is None:
        raise OptionError(
            "'qiskit' needs a module and an object, for example "
            "qiskit:qiskit.providers.basic_provider:BasicSimulator"
        )
    return backend_at(argument, shots=shots, seed=seed)


def _object(
    backend: Any, shots: int | None, seed: int | None, options: dict[str, Any]
) -> QuantumBackend:
    is_ours = isinstance(backend, QuantumBackend)
    for option in ("shots",) if is_ours and shots is not None else options:
        raise OptionError(f"{option} belong to the backend: give them where it is made")
    if is_ours:
        return backend
    from .generic.objects import backend_of

    return backend_of(backend, shots=shots, seed=seed)


def simulate_device(
    device: Device, *, noise: NoiseSpec | None = None, preparation: Preparation | None = None
) -> QuantumBackend:
    """Exact values under a device's noise, by the calibration that the device has."""
    from .aer.noisy import AerNoisy

    return AerNoisy(device, noise, preparation or "auto")


def find_device(argument: str) -> tuple[Device, NoiseSpec]:
    """The device of a name or of a saved noise file (`.json`), and the noise it has by default.

    `ibm_NAME` is read live where an account reaches it; everything else is a shipped snapshot.

    Raises:
        UnknownNameError: no such device; the message suggests.
        OptionError: not a noise file.
    """
    from .devices.noise_spec import NoiseSpec, load_noise
    from .devices.snapshots import load_snapshot
    from .seam.device import Device

    if not argument.endswith(".json"):
        return _load_live(argument) or load_snapshot(argument), NoiseSpec()
    saved = load_noise(Path(argument))
    reported = saved.properties
    device = Device(
        name=reported.device,
        target=reported.target(),
        source="file",
        calibrated_at=reported.calibrated_at,
    )
    return device, saved.noise


def _load_live(name: str) -> Device | None:
    vendor = find_vendor(name)
    return None if vendor is None else vendor.calibrated(name)
