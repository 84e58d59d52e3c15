"""What a run costs in money: told wherever seconds are, where the credentials know a price."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from experiments.run import approval
from qbackend.ibm.credentials import find_credentials
from qbackend.ibm.service import connect
from qbackend.machines.cost import Price
from tests.loopback import PAID_PLAN, LoopbackServer
from tests.loopback.account import Instance
from tests.loopback.client import served, tiny
from tests.support.command_line import Qhc, last_line

from ..commands import MACHINE, sent

PRICE = Price(1.5, "EUR")
FILE = Path("mine", "credentials.toml")
ACCOUNT = ("--credentials", str(FILE))


@pytest.fixture
def paid() -> Iterator[LoopbackServer]:
    with served([tiny()], [Instance("paid", PAID_PLAN)]) as running:
        yield running


def told(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of credentials, in the working folder, that tells the price."""
    FILE.parent.mkdir()
    FILE.write_text(
        f'[profiles.own]\ntoken = "{server.identity.api_key}"\n'
        f'instance = "{server.instance.crn}"\n'
        f'price_per_second = {PRICE.per_second}\ncurrency = "{PRICE.currency}"\n'
    )
    FILE.chmod(0o600)
    monkeypatch.delenv("QISKIT_IBM_TOKEN")


def test_plan_question_record_and_report_tell_the_money(
    qhc: Qhc, trained: Path, paid: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(paid, monkeypatch)
    command = sent(trained, *ACCOUNT, "--json")
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    money = PRICE.money(plan["qpu_seconds"])
    assert plan["money"] == plan["shares"][0]["money"] == money > 0
    assert plan["price"] == {"per_second": 1.5, "currency": "EUR"}
    assert ["cost", "(EUR)", f"{money:,.2f}"] in [line.split() for line in err.splitlines()]
    assert "price: 1.5 EUR per second of QPU time, by your credentials" in err

    asked: list[str] = []

    def ask(question: str, **options: Any) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(approval, "can_ask", lambda: True)
    monkeypatch.setattr(approval.Confirm, "ask", ask)
    code, out, err = qhc(*command, "--out", "a")
    assert code == 0, err
    assert asked == [f"Send this to {MACHINE}, for about {money:,.2f} EUR?"]
    line = last_line(out)
    assert line["money"] == PRICE.money(line["charged_seconds"]) == money
    assert f" s charged, {money:,.2f} EUR, " in err
    folder = RunFolder.open(Path("a"))
    assert folder.state.price == PRICE
    text = write_report([folder.path]).read_text()
    assert text.count(f"{money:,.2f} EUR") == 2  # beside the agreement, and in the run's cost
    kept = b"".join(path.read_bytes() for path in folder.path.rglob("*") if path.is_file())
    assert paid.identity.api_key.encode() not in kept


def test_without_a_price_no_money_is_told(qhc: Qhc, trained: Path, paid: LoopbackServer) -> None:
    code, out, err = qhc(*sent(trained, "--yes", "--json", "--out", "a"))
    assert code == 0, err
    assert not {"money", "price"} & last_line(out).keys()
    assert "cost (" not in err
    assert "price" not in RunFolder.open(Path("a")).state.to_dict()


def test_a_free_plan_has_no_price(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(server, monkeypatch)
    found = find_credentials(FILE)
    assert found is not None
    assert found.price == PRICE
    assert connect(found).plan().price is None
    code, out, err = qhc("estimate", *sent(trained, *ACCOUNT, "--json")[1:])
    assert code == 0, err
    assert last_line(out)["price"] is None
    assert "money" not in last_line(out)
    assert "EUR" not in err
