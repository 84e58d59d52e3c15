"""Batches and sessions: entered in the ledger when they open, closed by whoever comes back.

A session is billed from its first job to its end, whether or not anything is executed meanwhile:
one that nobody closes would be paid for until its service ends it.
"""

from __future__ import annotations

import logging
from functools import partial

from ..errors import QhcError
from .gateway import Gateway
from .ledger.entries import OpenWorkload
from .ledger.ledger import Ledger
from .patience import CHARGE_SECONDS
from .service import Service, Workload

_LOGGER = logging.getLogger("qbackend")


def open_workload(gateway: Gateway, ledger: Ledger, machine: str, *, session: bool) -> Workload:
    """A batch or a session that the ledger knows of."""
    opened = gateway.ask(lambda service: service.open_workload(machine, session=session))
    known = OpenWorkload(opened.id, session, gateway.service.instance)
    ledger.opened(known, machine)
    return opened


def close_workload(gateway: Gateway, ledger: Ledger, workload: OpenWorkload) -> None:
    """Have it take no more jobs, and enter what it cost if the service says so soon.

    One that cannot be closed for now stays open in the ledger, for whoever comes back.
    """
    until = gateway.clock.now() + CHARGE_SECONDS
    kind = "session" if workload.is_session else "batch"
    try:
        # Also where the time to wait is over: an open session goes on costing.
        with gateway.by(until):
            gateway.ask(
                lambda service: service.close_workload(workload.id, session=workload.is_session)
            )
    except QhcError as error:
        again = "" if ledger.run is None else f"; qhc resume {ledger.run} tries again"
        _LOGGER.warning("%s %s could not be closed: %s%s", kind, workload.id, error, again)
        return
    ledger.closed(workload.id)
    if workload.is_session:
        settle_sessions(gateway, ledger)


def close_left_open(gateway: Gateway, ledger: Ledger) -> None:
    """Close what a process has left open that ended before it could."""
    for workload in ledger.open_workloads():
        close_workload(gateway, ledger, workload)


def settle_sessions(gateway: Gateway, ledger: Ledger) -> None:
    """Enter what sessions cost that have ended, and that the service had not settled before."""
    is_open = {workload.id for workload in ledger.open_workloads()}
    running = {entry.workload for entry in ledger.entries() if not entry.state.is_final}
    until = gateway.clock.now() + CHARGE_SECONDS
    for session, charged in ledger.sessions().items():
        if charged is not None or session in is_open | running:
            continue
        try:
            seconds = gateway.ask(partial(_seconds, session=session), until=until)
        except QhcError as error:
            _LOGGER.warning("what session %s cost is not known yet: %s", session, error)
            continue
        if seconds is not None:
            ledger.session_charged(session, seconds)


def _seconds(service: Service, session: str) -> float | None:
    return service.session_seconds(session)
