"""Where the access to IBM Quantum comes from, and a token that does not show itself.

In this order: the environment (`QISKIT_IBM_TOKEN`, with `QISKIT_IBM_INSTANCE` and
`QISKIT_IBM_CHANNEL`), a `credentials.toml`, the account that
`QiskitRuntimeService.save_account` left. https://quantum.cloud.ibm.com/docs/guides/cloud-setup
"""

from __future__ import annotations

import logging
import math
import os
import stat
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
from qiskit_ibm_runtime import QiskitRuntimeService

from ..errors import CredentialsError, suggest
from ..machines.cost import Price

FILE_NAME = "credentials.toml"
CHANNEL = "ibm_quantum_platform"
CHANNELS = (CHANNEL, "ibm_cloud")
HIDDEN = "***"

_LOGGER = logging.getLogger("qbackend")
CURRENCY = "USD"
"""Of a price that names none: IBM's list has this one."""
_KEYS = ("token", "instance", "channel", "price_per_second", "currency")


class Secret:
    """A text that is shown, formatted, copied to a file and pickled as `***`."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The text itself, for the one who sends it."""
        return self.__text

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, specification: str) -> str:
        return format(HIDDEN, specification)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (HIDDEN,)


@dataclass(frozen=True)
class Credentials:
    """The access to one account.

    Attributes:
        token: API key of the account.
        instance: name or CRN of the instance that pays; None takes the first that has the machine.
        channel: of the service.
        source: where they come from, for messages.
        account: name of the account saved by Qiskit; None if they come from elsewhere.
        price: of a second of QPU time, where the user has told it.

    Raises:
        CredentialsError: an unknown channel.
    """

    token: Secret
    instance: str | None
    channel: str
    source: str
    account: str | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        if self.channel not in CHANNELS:
            raise CredentialsError(
                f"unknown channel '{self.channel}' in {self.source}: "
                f"{suggest(self.channel, CHANNELS)}"
            )


def find_credentials(path: Path | None = None, profile: str | None = None) -> Credentials | None:
    """The credentials that come first; None where there are none. Asks no service.

    Args:
        path: a `credentials.toml`; without it `$QHC_CREDENTIALS`, the working folder and the
            user's configuration folder are looked in.
        profile: of the file; without it the one that the file names.

    Raises:
        CredentialsError: a file that is missing, damaged or without a token, no such profile, or
            saved accounts that are damaged.
    """
    if found := _from_environment():
        if path is not None or profile is not None:
            _LOGGER.warning(
                "QISKIT_IBM_TOKEN is set and comes before any file: --credentials and --profile "
                "have no effect until it is unset"
            )
        return found
    file = _find_file(path)
    if file is not None:
        return _from_file(file, profile)
    if profile is not None:
        raise CredentialsError(
            f"there is no {FILE_NAME} that could have a profile '{profile}': copy "
            "credentials.example.toml, or name a file with --credentials"
        )
    return _saved()


def searched_files() -> tuple[Path, ...]:
    """Where a `credentials.toml` is looked for if none is named."""
    return Path(FILE_NAME).absolute(), platformdirs.user_config_path("qhc") / FILE_NAME


def _from_environment() -> Credentials | None:
    token = os.environ.get("QISKIT_IBM_TOKEN")
    if not token:
        return None
    return Credentials(
        token=Secret(token),
        instance=os.environ.get("QISKIT_IBM_INSTANCE") or None,
        channel=os.environ.get("QISKIT_IBM_CHANNEL") or CHANNEL,
        source="the environment (QISKIT_IBM_TOKEN)",
    )


def _find_file(path: Path | None) -> Path | None:
    for named, how in (
        (path, "--credentials"),
        (os.environ.get("QHC_CREDENTIALS"), "QHC_CREDENTIALS"),
    ):
        if named:
            if not (file := Path(named).expanduser()).is_file():
                raise CredentialsError(f"{how} names {file}, which is no file")
            return file
    return next((file for file in searched_files() if file.is_file()), None)


def _from_file(file: Path, profile: str | None) -> Credentials:
    _warn_if_readable(file)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{file} cannot be read: {type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        # The parser quotes no text, only where it stopped.
        raise CredentialsError(f"{file} is not valid TOML: {error}") from None
    profiles = content.get("profiles")
    if not isinstance(profiles, dict) or not profiles:
        raise CredentialsError(
            f"{file} has no profile: it takes a table [profiles.NAME] with a token, as in "
            "credentials.example.toml"
        )
    name = profile or content.get("profile") or next(iter(profiles))
    if name not in profiles:
        raise CredentialsError(f"{file} has no profile '{name}': {suggest(str(name), profiles)}")
    return _from_table(profiles[name], f"profile '{name}' of {file}")


def _from_table(table: Any, source: str) -> Credentials:
    if not isinstance(table, dict):
        raise CredentialsError(f"{source} is not a table with a token")
    for key, value in table.items():
        if key not in _KEYS:
            raise CredentialsError(f"{source} has an unknown key '{key}': {suggest(key, _KEYS)}")
        if key != "price_per_second" and not isinstance(value, str):
            raise CredentialsError(f"{key} of {source} must be a text")
    if not table.get("token"):
        raise CredentialsError(
            f"{source} has no token: fill in the API key of your account, from "
            "https://quantum.cloud.ibm.com"
        )
    return Credentials(
        token=Secret(table["token"]),
        instance=table.get("instance") or None,
        channel=table.get("channel") or CHANNEL,
        source=source,
        price=_price(table, source),
    )


def _price(table: dict[str, Any], source: str) -> Price | None:
    value = table.get("price_per_second")
    if value is None:
        return None
    # The value itself is not shown: it may be a token in the wrong place.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise CredentialsError(
            f"price_per_second of {source} must be a number above 0, for example 1.60; leave it "
            "out where no price is known"
        )
    return Price(float(value), table.get("currency") or CURRENCY)


def _saved() -> Credentials | None:
    """The account that the client would take: the default one, else the first."""
    try:
        accounts = QiskitRuntimeService.saved_accounts()
    except (OSError, ValueError) as error:
        raise CredentialsError(
            f"the accounts saved by Qiskit cannot be read ({type(error).__name__}): mend or remove "
            "~/.qiskit/qiskit-ibm.json, or set QISKIT_IBM_TOKEN"
        ) from None
    if not accounts:
        return None
    default = (name for name, values in accounts.items() if values.get("is_default_account"))
    name = next(default, next(iter(accounts)))
    return Credentials(
        token=Secret(accounts[name].get("token", "")),
        instance=accounts[name].get("instance"),
        channel=accounts[name].get("channel", CHANNEL),
        source=f"the account '{name}' saved by Qiskit",
        account=name,
    )


@cache
def _warn_if_readable(file: Path) -> None:
    """Once for each file."""
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        _LOGGER.warning("others can read %s, which holds a token: chmod 600 %s", file, file)
