"""The way from credentials to the client of IBM's service.

Addresses and proxies are whatever the environment says, or the account that Qiskit saved.
https://quantum.cloud.ibm.com/docs/guides/initialize-account
"""

from __future__ import annotations

import logging
import os
import warnings

from qiskit_ibm_runtime.exceptions import IBMInputValueError

from ..errors import CredentialsError
from . import primitives
from .credentials import Credentials, searched_files
from .translate import RAW_KEY_WARNING, translate, translated
from .transport import SingleTryService


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
