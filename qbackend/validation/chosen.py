"""The backends that a validation names, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, suggest
from ..layers.program import Layer
from ..machines.backend import MachineBackend
from ..machines.options import ExecutionOptions
from ..registry import AnyBackend, check_name, get_backend, parse_name
from ..seam.backend import QuantumBackend
from .asking import stage_name

if TYPE_CHECKING:
    from ..circuits.device_form import Preparation
    from ..devices.noise_spec import NoiseSpec
    from ..machines.gateway import Progress

REFERENCE = "aer"
"""Exact and without noise: what others are compared with where none such is named."""


@dataclass(frozen=True)
class Ways:
    """How backends are asked.

    Attributes:
        shots: per circuit, of those that sample of themselves.
        seed: of what is sampled.
        options: of machines.
        noise: of simulated devices.
        preparation: how amplitudes are prepared on devices.
        credentials, profile: which account.
        wait: for what was sent.
    """

    shots: int | None = None
    seed: int = 0
    options: ExecutionOptions = field(default_factory=ExecutionOptions)
    noise: NoiseSpec | None = None
    preparation: Preparation | None = None
    credentials: Path | None = None
    profile: str | None = None
    wait: bool = True


@dataclass(frozen=True)
class Backends:
    """Those of a validation, without repetitions.

    Attributes:
        free: that execute here; the first is without noise.
        machines: that are asked last, with their names.
        is_reference_added: whether nobody named the first one.
    """

    free: tuple[QuantumBackend, ...]
    machines: tuple[MachineBackend, ...]
    is_reference_added: bool

    @property
    def reference(self) -> QuantumBackend:
        """Exact and without noise."""
        return self.free[0]

    @property
    def all(self) -> tuple[QuantumBackend, ...]:
        """In the order in which they are asked."""
        return (*self.free, *self.machines)

    def close(self) -> None:
        """Let go of all."""
        for each in self.all:
            each.close()


def options_of(given: ExecutionOptions | Mapping[str, Any] | None) -> ExecutionOptions:
    """How machines execute.

    Raises:
        OptionError: an option that there is not, or a value out of range.
    """
    if given is None or isinstance(given, ExecutionOptions):
        return given or ExecutionOptions()
    known = [each.name for each in fields(ExecutionOptions)]
    for name in given:
        if name not in known:
            raise OptionError(f"unknown option '{name}': {suggest(name, known)}")
    return ExecutionOptions(**given)


def options_record(options: ExecutionOptions) -> dict[str, Any]:
    """Of the options what results depend on, and where copies are, for `config.toml`."""
    kept = {**options.physical(), **asdict(options.copying)}
    return {name: value for name, value in kept.items() if value is not None}


def check_names(backends: Sequence[AnyBackend]) -> None:
    """Raise `OptionError` or `UnknownNameError` before anything is loaded or executed."""
    if isinstance(backends, str) or not isinstance(backends, Sequence) or not backends:
        raise OptionError(
            f"backends are a list of names or Qiskit backends, got {backends!r}; for example "
            'backends=["aer", "aer:fake_fez", "fake_fez"]'
        )
    for each in backends:
        if isinstance(each, str):
            check_name(each)


def chosen_backends(
    backends: Sequence[AnyBackend],
    ways: Ways,
    widest: Layer,
    progress: Callable[[Progress], None],
) -> Backends:
    """The backends, made and connected to nothing yet but where the best machine is chosen.

    Args:
        backends: as a user names them.
        ways: how they are asked.
        widest: layer that the best machine of an account is chosen for.
        progress: is told where a machine's jobs are.

    Raises:
        OptionError: one named twice, machines of two services, or options that none has.
        QhcError: as `get_backend`.
    """
    made = [_made(each, ways, widest, progress) for each in backends]
    machines = tuple(each for each in made if isinstance(each, MachineBackend))
    free = [each for each in made if not isinstance(each, MachineBackend)]
    ideal = [each for each in free if is_ideal(each)]
    if ideal:
        free.sort(key=lambda each: each is not ideal[0])
    else:
        free.insert(0, get_backend(REFERENCE))
    names = [stage_name(each) for each in (*free, *machines)]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise OptionError(f"backends name {', '.join(twice)} more than once; once is enough")
    kinds = {(each.vendor, parse_name(each.name).is_fake) for each in machines}
    if len(kinds) > 1:
        raise OptionError(
            f"{' and '.join(each.name for each in machines)} belong to different services: a run "
            "has one ledger, of one service; validate on each in a run of its own"
        )
    return Backends(tuple(free), machines, not ideal)


def is_ideal(backend: QuantumBackend) -> bool:
    """Whether its values are exact, and without any device's noise."""
    can = backend.capabilities
    return can.exact and not (can.noisy or can.remote)


def _made(
    given: AnyBackend, ways: Ways, widest: Layer, progress: Callable[[Progress], None]
) -> QuantumBackend:
    if not isinstance(given, str):
        is_ours = isinstance(given, QuantumBackend)
        return get_backend(given, shots=None if is_ours else ways.shots, seed=ways.seed)
    name = parse_name(given)
    if name.is_machine:
        machine = get_backend(
            given,
            shots=ways.shots,
            seed=ways.seed,
            layer=widest,
            machine=ways.options,
            preparation=ways.preparation,
            credentials=ways.credentials,
            profile=ways.profile,
            progress=progress,
        )
        assert isinstance(machine, MachineBackend)
        machine.wait = ways.wait
        return machine
    if not name.is_simulator:
        return get_backend(given, shots=ways.shots, seed=ways.seed)
    # Exact: shots of theirs would only blur what a machine is compared with.
    device: dict[str, Any] = {}
    if name.argument:
        device = {"noise": ways.noise, "preparation": ways.preparation}
    return get_backend(given, seed=ways.seed, **device)
