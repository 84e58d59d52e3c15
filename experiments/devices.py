"""Devices and processes, through Lightning Fabric."""

from __future__ import annotations

import logging
import os
import platform

import torch
from lightning_fabric import Fabric

from qbackend.errors import ConfigError

from .config import FabricSection


def launch(section: FabricSection) -> Fabric:
    """Fabric as the recipe asks for it, its processes started.

    With several devices the command runs once more in each further process.

    Raises:
        ConfigError: a device, strategy or precision that is not to be had here.
    """
    # Fabric announces devices that it does not use.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = Fabric(**section.model_dump())
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        raise ConfigError("[fabric] cannot be had on this machine:", [str(error)]) from None
    fabric.launch()
    # Fabric makes torch ask NVIDIA's driver library whether there is a GPU, which every optimiser
    # step does; without that library each answer takes 0.2 ms.
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    return fabric


def device_name(device: torch.device) -> str:
    """What a record says of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {platform.machine()}"
