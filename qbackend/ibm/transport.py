"""IBM's client, every request of which goes out once.

By itself the client repeats what was answered by a 5xx, submissions too, so that a job that was
accepted is accepted again; and it sleeps through `Retry-After` within a call, where nobody sees it
and nothing ends it. Here it does neither: what is tried again, and when, the `Gateway` says.

The client has no setting for that. Each of its connections becomes its active one before it is
used, and has a session of requests' that takes other adapters. Both are private to the client:
where they are not found, nothing is sent.
"""

from __future__ import annotations

from typing import Any

import requests
from qiskit_ibm_runtime import QiskitRuntimeService, __version__
from requests.adapters import HTTPAdapter

from ..errors import BackendError


class SingleTryService(QiskitRuntimeService):
    """The client's service object; what it makes (machines, jobs, batches) has its connections.

    Raises:
        BackendError: the client is of a version whose own repeats are not known here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if "_connection" not in self.__dict__:
            raise _unknown_client()

    @property
    def _active_api_client(self) -> Any:
        return self._connection

    @_active_api_client.setter
    def _active_api_client(self, connection: Any) -> None:
        session = getattr(connection, "_session", None)
        if not isinstance(session, requests.Session):
            raise _unknown_client()
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=0))
        self._connection = connection


def _unknown_client() -> BackendError:
    return BackendError(
        f"qiskit-ibm-runtime {__version__} would submit jobs again by itself, in a way that this "
        "qhc cannot switch off, and each would be paid for; nothing was sent. Install an earlier "
        f"one: pip install 'qiskit-ibm-runtime<{__version__}'"
    )
