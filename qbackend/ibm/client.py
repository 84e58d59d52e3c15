"""The client of IBM's service: how it is opened, and that every request of it goes out once.

By itself the client repeats what was answered by a 5xx, submissions too, so that a job that was
accepted is accepted again; and it sleeps through `Retry-After` within a call, where nobody sees it
and nothing ends it. Here it does neither: what is tried again, and when, the `Gateway` says.

The client has no setting for that. Each of its connections becomes its active one before it is
used, and has a session of requests' that takes other adapters. Both are private to the client:
where they are not found, nothing is sent.

Addresses and proxies are whatever the environment says, or the account that Qiskit saved.
https://quantum.cloud.ibm.com/docs/guides/initialize-account
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import requests
from qiskit_ibm_runtime import QiskitRuntimeService, Session, __version__
from qiskit_ibm_runtime.exceptions import IBMInputValueError
from requests.adapters import HTTPAdapter

from ..errors import BackendError, CredentialsError
from . import primitives
from .credentials import Credentials, searched_files
from .translate import RAW_KEY_WARNING, translate, translated


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


class RuntimeWorkload:
    """The client's object of a batch or a session, which outlives the connection that opened it:
    each has its own, and `owner` is the one in use."""

    def __init__(self, session: Session, owner: object, fractional_gates: bool) -> None:
        self._session = session
        self._owner = owner
        self._fractional_gates = fractional_gates

    @property
    def id(self) -> str:
        return self._session.session_id

    def mode(self, service: object, client: QiskitRuntimeService) -> Session:
        """The client's object for jobs that `service` starts, which may be a later connection."""
        if service is not self._owner:
            self._session = type(self._session).from_id(
                self.id, client, use_fractional_gates=self._fractional_gates
            )
            self._owner = service
        return self._session


def open_client(credentials: Credentials) -> SingleTryService:
    """The client's service object, whose environment decides about addresses.

    Raises:
        CredentialsError: credentials that the service does not know, or an unknown instance.
        TransientError: the service cannot be reached.
    """
    never_send_the_raw_key()
    logger = logging.getLogger("qiskit_ibm_runtime")
    if logger.level == logging.NOTSET:
        # It tells by warnings which account and plan it takes; qhc says so itself.
        logger.setLevel(logging.ERROR)
    with translated(credentials):
        try:
            return _opened(credentials, credentials.instance)
        except IBMInputValueError as error:
            if credentials.instance is None:
                raise CredentialsError(
                    f"the account of {credentials.source} has no instance that could pay: create "
                    "one at https://quantum.cloud.ibm.com/instances"
                ) from None
            known = _instances(credentials)
            if not known:
                raise translate(error, credentials) from None
    raise CredentialsError(
        f"the account of {credentials.source} has no instance '{credentials.instance}', "
        f"it has {', '.join(known)}"
    )


def _opened(credentials: Credentials, instance: str | None) -> SingleTryService:
    if credentials.account is not None:
        return SingleTryService(name=credentials.account, instance=instance)
    # A token that is passed makes the client overlook the address in the environment.
    return SingleTryService(
        channel=credentials.channel,
        token=credentials.token.reveal(),
        url=os.environ.get("QISKIT_IBM_URL"),
        instance=instance,
    )


def _instances(credentials: Credentials) -> list[str]:
    """Names of the account's instances; their CRNs where two have one name."""
    found = _opened(credentials, "auto").instances()
    names = [each["name"] for each in found]
    return [e["name"] if names.count(e["name"]) == 1 else e["crn"] for e in found]


def never_send_the_raw_key() -> None:
    """Make an error of the client's warning that it is about to.

    For good, and anew at each use: whoever catches warnings puts the filters of before back.
    """
    with primitives.FILTERS:
        warnings.filterwarnings("error", message=RAW_KEY_WARNING, category=UserWarning)
        # An error follows, or the job's state, which say it better.
        for said in ("This instance has met its usage limit", ".*currently has a status of"):
            warnings.filterwarnings("ignore", message=said)


def no_credentials() -> CredentialsError:
    """The error that says how to get some."""
    folder = searched_files()[-1]
    return CredentialsError(
        "there are no credentials for IBM Quantum: copy credentials.example.toml to "
        f"credentials.toml (or {folder}) and fill in the token, or set QISKIT_IBM_TOKEN; "
        "without an account take a fake device, for example --backend fake_brisbane"
    )


def _unknown_client() -> BackendError:
    return BackendError(
        f"qiskit-ibm-runtime {__version__} would submit jobs again by itself, in a way that this "
        "qhc cannot switch off, and each would be paid for; nothing was sent. Install an earlier "
        f"one: pip install 'qiskit-ibm-runtime<{__version__}'"
    )
