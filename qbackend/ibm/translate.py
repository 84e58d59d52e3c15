"""The client's exceptions as ours: what may pass, what the user can mend, what failed for good.

What is known of the client's behaviour at each fault was measured on qiskit-ibm-runtime 0.51.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from urllib.parse import urlsplit

import requests
from ibm_cloud_sdk_core import ApiException
from qiskit_ibm_runtime.accounts.exceptions import AccountNotFoundError, InvalidAccountError
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import (
    IBMError,
    IBMInputValueError,
    IBMNotAuthorizedError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobNotFound,
)
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ..errors import (
    BackendError,
    CredentialsError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    PlanError,
    QhcError,
    TokenRefusedError,
    TransientError,
)
from .codes import NO_SESSIONS, PENDING_LIMIT, USED_UP, codes_in
from .credentials import HIDDEN, Credentials

RAW_KEY_WARNING = ".*API Key will be used instead"
"""What the client warns of before it sends the raw key: the identity service is down."""

LONGEST_WORDS = 400

_UNTRUSTED = (
    "CERTIFICATE_VERIFY_FAILED",
    "TLS CA certificate bundle",
    "NO_CERTIFICATE_OR_CRL_FOUND",
)
"""What Python and requests say of a certificate, or of a file of them, that is of no use."""

_KEYS = (
    r"(?i)(bearer|apikey[= ])\s*\S+",
    r"(?i)\b([\w-]{0,40}(?:api[_-]?key|token|authorization|passw(?:or)?d|secret))\b"
    r"[\\\"'\s]*(?:[:=]|%3[ad])[\\\"'\s]*(?:basic\s+)?[^\s\"',;]+",
    r"(://)[^\s/@]+(?=@)",
    r"()\beyJ[\w-]{8,}(?:\.[\w-]*)*",
    r"()\b(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{40,}",
)
"""Keys and tokens, whoever's they are: by the word before them, by their place in an address, by
how a token begins, or by their length."""


@contextmanager
def translated(credentials: Credentials, *, job_id: str | None = None) -> Iterator[None]:
    """Raise what the client raises as an error of ours, whose words hold no token."""
    try:
        yield
    except QhcError:
        raise
    except Exception as error:
        # The client's exceptions may quote what was sent: none of them is chained.
        raise translate(error, credentials, job_id) from None


def translate(error: Exception, credentials: Credentials, job_id: str | None = None) -> QhcError:
    """Our error for one of the client's."""
    words = redacted(str(error), credentials)
    if isinstance(error, RuntimeJobNotFound):
        return _no_job(job_id)
    if isinstance(error, RuntimeJobMaxTimeoutError):
        return JobFailedError(f"job {job_id} ran too long: {words}", job_id=job_id)
    if isinstance(error, RuntimeJobFailureError):
        return JobFailedError(f"job {job_id} failed: {words}", job_id=job_id)
    if isinstance(error, RuntimeInvalidStateError):
        return JobCancelledError(f"job {job_id} was cancelled: {words}", job_id=job_id)
    if any(sign in str(each) for each in _chain(error) for sign in _UNTRUSTED):
        return _of_certificate(error, words)
    if isinstance(error, AccountNotFoundError):
        return CredentialsError(f"Qiskit finds no saved account: {words}")
    if isinstance(error, InvalidAccountError):
        return _of_account(error, credentials)
    if isinstance(error, UserWarning) and re.match(RAW_KEY_WARNING, str(error)):
        return TokenRefusedError("the identity service did not renew the token", job_id=job_id)
    if _in_chain(error, IBMNotAuthorizedError):
        return TokenRefusedError("the service refused the token in use", job_id=job_id)
    if (refusal := _refusal(str(error))) is not None:
        return refusal
    status, answer = _status_code(error), _answer(error)
    if status == 404 and job_id is not None:
        return _no_job(job_id)
    if answer is not None:
        words = redacted(_told(answer), credentials)
    if status == 429 or status == -1 or 500 <= status < 600:
        return TransientError(
            f"the service did not answer as it should: {words}",
            status_code=status if status > 0 else None,
            retry_after=None if answer is None else _retry_after(answer),
            is_unsent=_is_unsent(error),
            job_id=job_id,
        )
    if isinstance(error, (IBMInputValueError, IBMError)):
        return BackendError(f"the service refused: {words}", job_id=job_id)
    if isinstance(error, OSError | KeyError | TypeError | AttributeError | JSONDecodeError):
        return TransientError(
            f"the service sent something that cannot be read ({type(error).__name__}: {words})",
            job_id=job_id,
        )
    return BackendError(f"{type(error).__name__}: {words}", job_id=job_id)


def is_unknown_machine(error: Exception) -> bool:
    """Whether the service refused because it does not have the machine (any more)."""
    return _status_code(error) == 404


def redacted(words: str, credentials: Credentials) -> str:
    """One line of at most 400 letters, without the token and without any other."""
    token = credentials.token.reveal()
    if token:
        words = words.replace(token, HIDDEN)
    for key in _KEYS:
        words = re.sub(key, rf"\1 {HIDDEN}", words)
    words = " ".join(words.split())
    if len(words) <= LONGEST_WORDS:
        return words
    # A traceback says at its end what it is about.
    half = LONGEST_WORDS // 2
    return f"{words[:half]} ... {words[-half:]}"


def _of_certificate(error: Exception, words: str) -> BackendError:
    """Trying again does not help: somebody in between has a certificate of his own."""
    requested = (getattr(each, "request", None) for each in _chain(error))
    hosts = [urlsplit(each.url).hostname for each in requested if each is not None]
    host = hosts[0] if hosts else "the service"
    return BackendError(
        f"the certificate of {host} is not trusted: a proxy in between may have put its own in "
        "place of it. Set REQUESTS_CA_BUNDLE to a file with the certificates of the authorities "
        f"that you trust, the proxy's among them ({words})"
    )


def _no_job(job_id: str | None) -> JobNotFoundError:
    return JobNotFoundError(
        f"the service has no job {job_id}; it belongs to another instance, or was deleted",
        job_id=job_id,
    )


def _of_account(error: Exception, credentials: Credentials) -> QhcError:
    """The client has the same words for a wrong key and for a dead network; the cause tells."""
    answers = [each for each in _chain(error) if isinstance(each, ApiException)]
    if any(answer.status_code in (400, 401, 403) for answer in answers):
        return CredentialsError(
            f"IBM's identity service does not know the token of {credentials.source}: make a new "
            "API key at https://quantum.cloud.ibm.com and put it there"
        )
    if answers or any(isinstance(each, OSError) for each in _chain(error)):
        return TransientError(
            "IBM's identity service cannot be reached; the token was not judged",
            status_code=answers[0].status_code if answers else None,
            retry_after=None if (answer := _answer(error)) is None else _retry_after(answer),
        )
    return CredentialsError(
        f"the credentials of {credentials.source} are not usable: "
        f"{redacted(str(error), credentials)}"
    )


def _refusal(words: str) -> QhcError | None:
    """Our error for a refusal that the service gives a code for."""
    codes = codes_in(words)
    if USED_UP in codes:
        return PlanError(
            "the plan's QPU time is used up: wait until it is granted anew, choose another "
            "instance, or rehearse on a fake device"
        )
    if NO_SESSIONS in codes:
        return PlanError("the account's plan has no sessions: leave --session out for a batch")
    if PENDING_LIMIT in codes:
        return TransientError(f"too many jobs are pending at the service (code {PENDING_LIMIT})")
    return None


def _status_code(error: Exception) -> int:
    """HTTP's status behind an error, -1 for none that arrived, 0 where it says nothing of it."""
    for each in _chain(error):
        if isinstance(each, RequestsApiError):
            # A 503 loses its number on the way through the client.
            return 503 if "maintenance mode" in str(each) else each.status_code
        if isinstance(each, ApiException):
            return each.status_code or -1
        if isinstance(each, requests.HTTPError) and each.response is not None:
            return each.response.status_code
        if isinstance(each, requests.RequestException):
            return -1
    return 0


def _answer(error: Exception) -> requests.Response | None:
    """The answer that an error is about, if there was one."""
    for each in _chain(error):
        answer = getattr(each, "response", getattr(each, "http_response", None))
        if isinstance(answer, requests.Response):
            return answer
    return None


def _told(answer: requests.Response) -> str:
    """An answer in few words: HTTP's status, and the message that the service wrote."""
    words = f"{answer.status_code} {answer.reason}"
    try:
        (said, *_) = answer.json()["errors"]
        return f"{words}: {said['message']} (code {said['code']})"
    except (ValueError, TypeError, LookupError):
        # Proxies send pages.
        is_page = "<" in answer.text
        return words if is_page or not answer.text else f"{words}: {answer.text}"


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds that the service asks to be left alone for."""
    text = answer.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _is_unsent(error: Exception) -> bool:
    """Whether what failed changed nothing: a question, or a request that never left."""
    for each in _chain(error):
        if isinstance(each, requests.RequestException) and each.request is not None:
            reason = getattr(each.args[0], "reason", None) if each.args else None
            never_left = isinstance(reason, NewConnectionError | ConnectTimeoutError)
            return never_left or each.request.method == "GET"
    return False


def _in_chain(error: Exception, kind: type[Exception]) -> bool:
    return any(isinstance(each, kind) for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it came from, also where the client hides them."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen.add(id(current))
        current = current.__cause__ or current.__context__
