"""The backends of a run: the one that its config names, and those that stand in for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qbackend import get_backend
from qbackend.devices.noise_spec import NoiseSpec, load_noise
from qbackend.errors import OptionError
from qbackend.registry import simulate_device
from qbackend.seam.backend import QuantumBackend

from ..config.sections import Config

LOCAL_BACKEND = "aer"
"""Exact and without noise: what other backends are compared with, and trained for."""


def target_backend(config: Config, **reached: Any) -> QuantumBackend:
    """The backend that the config names, with its shots, noise and preparation.

    Args:
        config: of the run.
        reached: what a machine takes besides: credentials, ledger and so on.

    Raises:
        UnknownNameError: no such backend or device.
        OptionError: something that the backend does not take.
    """
    run = config.run
    if config.backend.is_machine:
        options: dict[str, Any] = {"machine": config.machine, **reached}
    else:
        options = {"noise": _noise(config)}
    backend = get_backend(
        run.backend, shots=run.shots, seed=run.seed, preparation=run.preparation, **options
    )
    # A machine would be asked for what it can do, and is never ideal.
    if run.calibrate is not None and not config.backend.is_machine and is_ideal(backend):
        raise OptionError(
            f"'{run.backend}' has no noise to calibrate; leave run.calibrate out, or name a "
            "device, for example aer:fake_brisbane"
        )
    return backend


def trains_there(config: Config, target: QuantumBackend) -> bool:
    """Whether the config's backend is the one to train with, or a step on it takes too long.

    A machine costs money, and a simulated device without derivatives of its own takes hours by
    parameter shift: models for those are trained without noise.
    """
    if config.backend.is_machine:
        return False
    can = target.capabilities
    return not (can.remote or (can.noisy and not can.vjp))


def training_backend(config: Config, target: QuantumBackend) -> QuantumBackend:
    """The config's own backend, or the one that stands in for it."""
    return target if trains_there(config, target) else ideal_backend()


def noise_backend(config: Config, target: QuantumBackend) -> QuantumBackend | None:
    """The simulated noise of the config's machine, exact, by the calibration that it compiles for.

    None for a backend of which no calibration is known.
    """
    device = target.reported_device()
    if device is None:
        return None
    return simulate_device(device, noise=_noise(config), preparation=config.run.preparation)


def ideal_backend() -> QuantumBackend:
    """A new backend without noise and without shots."""
    return get_backend(LOCAL_BACKEND)


def is_ideal(backend: QuantumBackend) -> bool:
    """Whether no device and no device's noise is involved."""
    return not (backend.capabilities.remote or backend.capabilities.noisy)


def _noise(config: Config) -> NoiseSpec | None:
    """The strengths given, the backend's own for the others; None where none is given."""
    given = config.noise.model_dump(exclude_none=True)
    if not given:
        return None
    file = config.backend.noise_file
    return replace(NoiseSpec() if file is None else load_noise(file).noise, **given)
