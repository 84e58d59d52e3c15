"""Credentials: where they come from, and that a token does not show itself."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import tomllib
from pathlib import Path

import pytest

from qbackend import errors
from qbackend.ibm import credentials
from qbackend.ibm.credentials import Secret, find_credentials
from qbackend.machines.cost import Price

TOKEN = "key-of-the-test"
EXAMPLE = Path(__file__).parents[2] / "credentials.example.toml"


def write(path: Path, token: str = TOKEN, mode: int = 0o600) -> Path:
    path.write_text(
        f'profile = "open"\n[profiles.open]\ntoken = "{token}"\ninstance = "mine"\n'
        f'[profiles.paid]\ntoken = "{token}-paid"\nchannel = "ibm_cloud"\n'
    )
    path.chmod(mode)
    return path


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{:>9}".format, "%s".__mod__])
def test_a_secret_does_not_show_itself(shown) -> None:
    assert shown(Secret(TOKEN)).strip() == "***"
    assert TOKEN not in shown([Secret(TOKEN)][0])


def test_a_secret_is_not_pickled_and_survives_copies() -> None:
    secret = Secret(TOKEN)
    assert TOKEN.encode() not in pickle.dumps(secret)
    assert pickle.loads(pickle.dumps(secret)).reveal() == "***"
    assert copy.deepcopy(secret).reveal() == copy.copy(secret).reveal() == TOKEN


def test_credentials_do_not_show_their_token(tmp_path: Path) -> None:
    found = find_credentials(write(tmp_path / "c.toml"))
    assert found is not None
    assert TOKEN not in f"{found} {found!r} {dataclasses.asdict(found)}"
    assert found.token.reveal() == TOKEN


def test_without_any_there_are_none() -> None:
    assert find_credentials() is None


def test_the_order_is_environment_file_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saved = {"work": {"token": "a"}, "home": {"token": "b", "is_default_account": True}}
    monkeypatch.setattr("qiskit_ibm_runtime.QiskitRuntimeService.saved_accounts", lambda: saved)
    found = find_credentials()
    assert found is not None
    assert (found.token.reveal(), found.account) == ("b", "home")

    named, nearby, variable = (write(tmp_path / f"{n}.toml", n) for n in ("named", "near", "var"))
    monkeypatch.setattr(credentials, "searched_files", lambda: (tmp_path / "no", nearby))
    for path, expected in ((None, "near"), (named, "named")):
        assert find_credentials(path).token.reveal() == expected  # type: ignore[union-attr]
    monkeypatch.setenv("QHC_CREDENTIALS", str(variable))
    for path, expected in ((None, "var"), (named, "named")):
        assert find_credentials(path).token.reveal() == expected  # type: ignore[union-attr]

    monkeypatch.setenv("QISKIT_IBM_TOKEN", "env")
    assert not caplog.records
    assert find_credentials(named).token.reveal() == "env"  # type: ignore[union-attr]
    assert "QISKIT_IBM_TOKEN is set" in caplog.text


def test_files_are_looked_for_here_and_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    here, there = credentials.searched_files()
    assert here == tmp_path / "credentials.toml"
    assert (there.parent.name, there.name) == ("qhc", "credentials.toml")


def test_profiles(tmp_path: Path) -> None:
    file = write(tmp_path / "c.toml")
    first, paid = find_credentials(file), find_credentials(file, "paid")
    assert first is not None
    assert paid is not None
    assert (first.instance, first.channel) == ("mine", "ibm_quantum_platform")
    assert (paid.token.reveal(), paid.instance, paid.channel) == (
        f"{TOKEN}-paid",
        None,
        "ibm_cloud",
    )
    assert "paid" in paid.source
    with pytest.raises(errors.CredentialsError, match=r"no profile 'pald': did you mean 'paid'\?"):
        find_credentials(file, "pald")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[profiles.open]\ntoken = ''", "has no token"),
        ("[profiles.open]\ntokn = 'secret-x'", r"unknown key 'tokn': did you mean 'token'\?"),
        ("[profiles.open]\ntoken = 3", "token of .* must be a text"),
        ("[profiles.open]\ntoken = 'secret-x'\nchannel = 'ibm_quantum'", "unknown channel"),
        ("token = 'secret-x'", "has no profile"),
        ("[profiles]\nopen = 'secret-x'", "is not a table"),
        *(
            (
                f"[profiles.open]\ntoken = 'secret-x'\nprice_per_second = {value}",
                "price_per_second of profile 'open' of .* must be a number above 0",
            )
            for value in ("'secret-x'", "0", "-1.6", "inf", "nan", "true")
        ),
        ("[profiles.open]\ntoken = 'secret-x'\ncurrency = 3", "currency of .* must be a text"),
        ("token = secret-x", "is not valid TOML"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_an_error_without_its_content(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    with pytest.raises(errors.CredentialsError, match=words) as caught:
        find_credentials(file)
    assert "secret-x" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_is_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.CredentialsError, match="--credentials names"):
        find_credentials(tmp_path / "no.toml")
    monkeypatch.setenv("QHC_CREDENTIALS", str(tmp_path / "no.toml"))
    with pytest.raises(errors.CredentialsError, match="QHC_CREDENTIALS names"):
        find_credentials()


def test_saved_accounts_that_are_damaged_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> dict[str, object]:
        return json.loads('{"mine": {"token": "secret-x')

    monkeypatch.setattr(credentials.QiskitRuntimeService, "saved_accounts", damaged)
    with pytest.raises(errors.CredentialsError, match=r"qiskit-ibm\.json") as caught:
        find_credentials()
    assert "secret-x" not in str(caught.value)


def test_a_profile_needs_a_file() -> None:
    with pytest.raises(errors.CredentialsError, match="profile 'paid'"):
        find_credentials(profile="paid")


def test_a_file_that_others_can_read_is_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    private, public = write(tmp_path / "private.toml"), write(tmp_path / "public.toml", mode=0o644)
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        find_credentials(private)
        assert not caplog.records
        for _ in range(2):
            find_credentials(public)
    (record,) = caplog.records
    assert f"chmod 600 {public}" in record.getMessage()
    assert TOKEN not in caplog.text


def test_the_example_has_the_keys_that_are_read() -> None:
    content = tomllib.loads(EXAMPLE.read_text())
    assert content["profile"] in content["profiles"]
    for table in content["profiles"].values():
        assert set(table) == {"token", "instance", "channel"}
    with pytest.raises(errors.CredentialsError, match="has no token"):
        find_credentials(EXAMPLE)


def test_the_example_shows_how_a_price_is_told(tmp_path: Path) -> None:
    content = EXAMPLE.read_text().replace('token = ""', f'token = "{TOKEN}"')
    for key in ("price_per_second", "currency"):
        assert f"\n# {key} = " in content
        content = content.replace(f"# {key} = ", f"{key} = ")
    file = tmp_path / "c.toml"
    file.write_text(content)
    file.chmod(0o600)
    told, untold = find_credentials(file, "paid"), find_credentials(file, "open")
    assert told is not None
    assert untold is not None
    assert told.price == Price(1.6, "USD")
    assert told.price.words(1234.5) == "1,975.20 USD"
    assert untold.price is None


def test_a_price_without_a_currency_is_in_that_of_the_list(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'[profiles.a]\ntoken = "{TOKEN}"\nprice_per_second = 2\n')
    file.chmod(0o600)
    found = find_credentials(file)
    assert found is not None
    assert found.price == Price(2.0, "USD")
