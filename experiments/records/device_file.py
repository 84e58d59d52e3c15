"""What a device reported of all its qubits when a run compiled for it (JSON)."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from qbackend.devices.properties import DeviceProperties, read_properties
from qbackend.errors import RunFolderError
from qbackend.seam.device import Device
from qbackend.validation.records.files import write_atomically

_FILE = TypeAdapter(DeviceProperties)


def save_device(path: Path, device: Device) -> None:
    """Write what the device reports; raises `RecordError`."""
    reported = read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
    )
    write_atomically(path, _FILE.dump_json(reported))


def load_device(path: Path) -> DeviceProperties:
    """What was written; raises `RunFolderError` for a damaged file."""
    try:
        return _FILE.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise RunFolderError(
            f"{path} is damaged: {first}; remove it to have the report without it"
        ) from None
