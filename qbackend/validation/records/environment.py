"""What a run's record says of the software and the computer: enough to repeat it, no names."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

import psutil
from joblib import cpu_count

from .state import Computer
from .version import commit, release

PACKAGES = (
    "torch",
    "torchvision",
    "lightning-fabric",
    "qiskit",
    "qiskit-aer",
    "qiskit-machine-learning",
    "numpy",
    "numba",
)
_MIB = 2**20


def versions() -> dict[str, str]:
    """Versions of qhc, of Python and of the packages that results depend on."""
    found = {"qhc": release(), "python": platform.python_version()}
    found |= {name: _version(name) for name in PACKAGES}
    made_from = commit()
    return {**found, "commit": made_from} if made_from else found


def computer(accelerator: str) -> Computer:
    """This one; `accelerator` names the device in use."""
    return Computer(
        processor=_processor(),
        cores=cpu_count(),
        memory_mib=psutil.virtual_memory().total // _MIB,
        system=f"{platform.system()} {platform.machine()}",
        accelerator=accelerator,
    )


def peak_memory_mib() -> float:
    """The process's largest resident set so far."""
    if sys.platform == "win32":
        return round(psutil.Process().memory_info().peak_wset / _MIB, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / (_MIB if sys.platform == "darwin" else 1024), 1)


def without_home(text: str) -> str:
    """`text` with the home folder written as ~, so that a record carries no user's name."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
