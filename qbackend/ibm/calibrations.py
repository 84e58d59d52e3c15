"""A device's calibration of today, where an account reaches it.

The account is the one that Qiskit finds: `QISKIT_IBM_TOKEN` and its companions in the
environment, or the one saved by `QiskitRuntimeService.save_account`. Addresses and proxies are
whatever the environment says. Nothing is executed, so nothing is charged.
https://quantum.cloud.ibm.com/docs/guides/initialize-account
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache

import requests
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.exceptions import IBMError

from ..snapshots import Device

_LOGGER = logging.getLogger("qbackend")

UNREACHABLE = (IBMError, QiskitBackendNotFoundError, requests.RequestException, OSError)
"""What the client raises for an account, a network or a device that does not answer as hoped."""


def has_account() -> bool:
    """Whether Qiskit would find an account; asks nobody."""
    return bool(os.environ.get("QISKIT_IBM_TOKEN") or QiskitRuntimeService.saved_accounts())


@lru_cache(maxsize=8)
def load_live(name: str) -> Device | None:
    """The device `ibm_NAME` as its service reports it now; None without an account.

    None as well, with a warning in the log, where the account or the network does not reach the
    device. Read once per process, so that all parts of a run see one calibration.
    """
    if not has_account():
        return None
    try:
        backend = QiskitRuntimeService().backend(name)
        target, properties = backend.target, backend.properties()
    except UNREACHABLE as error:
        # The client's own words may quote what it sent: only the kind of error is repeated.
        _LOGGER.warning(
            "the live calibration of %s could not be read (%s): the shipped snapshot is used",
            name,
            type(error).__name__,
        )
        return None
    return Device(
        name=name,
        target=target,
        source="live",
        calibrated_at=properties.last_update_date if properties else None,
    )
