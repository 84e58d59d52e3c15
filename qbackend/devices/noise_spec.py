"""How strong each part of a device's noise is, and the file that keeps it with a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..errors import OptionError, RecordError, suggest
from .properties import DeviceProperties


@dataclass(frozen=True)
class NoiseSpec:
    """Strengths of the parts of a device's noise: 0 is none, 1 what the device reports.

    Attributes:
        one_qubit: scales the depolarising probability of gates on one qubit.
        two_qubit: scales the depolarising probability of gates on two qubits.
        relaxation: scales the rates 1/T1 and 1/T2 while a gate lasts.
        readout: scales the probabilities of a misread.
        idle: scales the same rates while a qubit waits; above 0 the circuit is scheduled.

    Raises:
        OptionError: a strength below 0 or not finite.
    """

    one_qubit: float = 1.0
    two_qubit: float = 1.0
    relaxation: float = 1.0
    readout: float = 1.0
    idle: float = 0.0

    def __post_init__(self) -> None:
        for part, strength in asdict(self).items():
            if not (isinstance(strength, int | float) and 0 <= strength < math.inf):
                raise OptionError(
                    f"the strength of noise part '{part}' must be a number of at least 0, "
                    f"got {strength!r}; 0 switches it off, 1 is the device"
                )

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(part.name for part in fields(cls))

    @classmethod
    def only(cls, **strengths: float) -> NoiseSpec:
        """These parts alone, every other one off; without arguments no noise at all.

        >>> NoiseSpec.only(readout=1.0)
        NoiseSpec(one_qubit=0.0, two_qubit=0.0, relaxation=0.0, readout=1.0, idle=0.0)
        """
        return cls.from_dict({**dict.fromkeys(cls.parts(), 0.0), **strengths})

    def scaled(self, strength: float) -> NoiseSpec:
        """Every part's strength times `strength`."""
        return NoiseSpec(**{part: value * strength for part, value in asdict(self).items()})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NoiseSpec:
        """The spec with these strengths; raises `OptionError` for a part that there is none of."""
        for part in values:
            if part not in cls.parts():
                raise OptionError(f"noise has no part '{part}': {suggest(part, cls.parts())}")
        return cls(**values)


@dataclass(frozen=True)
class SavedNoise:
    """What a noise file holds: enough to build the same noise model without its device."""

    noise: NoiseSpec
    properties: DeviceProperties


def save_noise(path: Path, saved: SavedNoise) -> None:
    """Write a noise file (JSON); raises `RecordError` where it cannot be written."""
    text = TypeAdapter(SavedNoise).dump_json(saved, indent=1)
    try:
        path.write_bytes(text + b"\n")
    except OSError as error:
        raise RecordError(f"cannot write noise file {path}: {error}") from error


def load_noise(path: Path) -> SavedNoise:
    """The noise that `save_noise` wrote.

    Raises:
        OptionError: no such file, or not a noise file; the message names all that is missing.
    """
    try:
        text = path.read_bytes()
        saved = TypeAdapter(SavedNoise).validate_json(text)
    except OSError as error:
        raise OptionError(f"cannot read noise file {path}: {error.strerror}") from None
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
            for item in error.errors()
        ]
        raise OptionError(
            "\n  - ".join([f"{path} is not a noise file that qhc wrote", *mistakes])
        ) from None
    given = json.loads(text)["noise"]
    missing = [part for part in NoiseSpec.parts() if part not in given]
    if missing:
        raise OptionError(f"{path} is not a noise file: no strength for {', '.join(missing)}")
    return saved
