"""Devices and processes, through Lightning Fabric."""

from __future__ import annotations

import gc
import logging
import os
import platform

import torch
from lightning_fabric import Fabric
from torch import distributed

from qbackend.errors import ConfigError

from ..config.run import FabricSection
from .parents import end_with

FABRICS_OWN = {"accelerator", "devices", "num_nodes", "strategy", "precision"}
"""Keys of [fabric] that are Fabric's own."""

_PARENT = "QHC_PARENT"
"""In the environment of the processes that Fabric starts: the one that they help, which they end
with."""


def launch(section: FabricSection) -> Fabric:
    """Fabric as the recipe asks for it, its processes started.

    With several devices the command runs once more in each further process.

    Raises:
        ConfigError: a device, strategy or precision that is not to be had here.
    """
    # Fabric announces devices that it does not use.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = Fabric(**section.model_dump(include=FABRICS_OWN))
    except (ValueError, TypeError, RuntimeError, ImportError) as error:
        raise ConfigError("[fabric] cannot be had on this machine:", [str(error)]) from None
    if section.deterministic:
        # Read when cuBLAS is first used; with it sums have one order.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    parent = os.environ.pop(_PARENT, None)
    if parent is not None:
        end_with(int(parent))
    os.environ[_PARENT] = str(os.getpid())
    fabric.launch()
    del os.environ[_PARENT]
    # Fabric makes torch ask NVIDIA's driver library whether there is a GPU, which every optimiser
    # step does; without that library each answer takes 0.2 ms.
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    return fabric


def leave() -> None:
    """End a process's part in a training that several shared.

    Whatever still refers to the processes' common group must be gone: threads of Gloo's that
    outlive it abort the interpreter when that shuts down.
    """
    if distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()


def device_name(device: torch.device) -> str:
    """What a record says of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {platform.machine()}"
