"""A device's calibration of today, where an account reaches it.

The account is the one whose credentials come first (`credentials.find_credentials`). Addresses
and proxies are whatever the environment says. Nothing is executed, so nothing is charged.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from ..errors import QhcError
from ..machines.gateway import Gateway
from ..machines.patience import within
from ..seam.device import Device
from .credentials import find_credentials

LIVE_SECONDS = 60.0
"""That a service has to report a device: the shipped snapshot is there at once."""

_LOGGER = logging.getLogger("qbackend")


@lru_cache(maxsize=8)
def load_live(name: str) -> Device | None:
    """The device `ibm_NAME` as its service reports it now; None without an account.

    None as well, with a warning in the log, where the account or the network does not reach the
    device in time. Read once per process, so that all parts of a run see one calibration.
    """
    try:
        credentials = find_credentials()
        if credentials is None:
            return None
        # The connection loads what only an account needs.
        from .service import connect

        service = within(LIVE_SECONDS, lambda: connect(credentials))
        gateway = Gateway(lambda: service, tell=_LOGGER.warning)
        until = gateway.clock.now() + LIVE_SECONDS
        return gateway.ask(lambda service: service.device(name), until=until)
    except QhcError as error:
        _LOGGER.warning(
            "the live calibration of %s could not be read, the shipped snapshot is used: %s",
            name,
            error,
        )
        return None
