"""A batch or a session of IBM's service, which outlives the connection that opened it."""

from __future__ import annotations

from qiskit_ibm_runtime import QiskitRuntimeService, Session


class RuntimeWorkload:
    """The client's object of it, anew for each connection: `owner` is the one in use."""

    def __init__(self, session: Session, owner: object) -> None:
        self._session = session
        self._owner = owner

    @property
    def id(self) -> str:
        return self._session.session_id

    def mode(self, service: object, client: QiskitRuntimeService) -> Session:
        """The client's object for jobs that `service` starts, which may be a later connection."""
        if service is not self._owner:
            self._session = type(self._session).from_id(self.id, client)
            self._owner = service
        return self._session
