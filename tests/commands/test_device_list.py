"""The devices of `qhc backends`."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from experiments.commands.device_list import print_devices
from qbackend.circuits.device_form import compile_for_target
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import OptionError, UnknownNameError
from qbackend.layers.spec import LayerSpec


def printed(*arguments: object) -> list[list[str]]:
    console = Console(record=True, width=140, file=io.StringIO())
    print_devices(console, *arguments)  # type: ignore[arg-type]
    return [line.split() for line in console.export_text().splitlines() if line.strip()]


def test_a_line_per_device_with_what_a_recipe_takes_there() -> None:
    lines = printed("digits", "compact", ("fake_manila", "fake_armonk"))
    manila = next(line for line in lines if line[0] == "fake_manila")
    device = load_snapshot("fake_manila")
    record = compile_for_target(LayerSpec(4), device.target, preparation="compact").record
    assert manila[1:3] == ["5", "cx"]
    assert manila[6:9] == [
        "2024-05-27", str(record["two_qubit_gates"]), str(record["two_qubit_depth"]),
    ]  # fmt: skip
    fidelity = record["gate_fidelity"] * record["readout_fidelity"]
    assert manila[-1] == f"{fidelity:.3f}"
    armonk = next(line for line in lines if line[0] == "fake_armonk")
    assert armonk[-3:] == ["does", "not", "fit"]


def test_without_a_recipe_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("qbackend.devices.table.compile_for_target", refuse)
    lines = printed(None, "auto", ("fake_fez",))
    assert lines[-1][:3] == ["fake_fez", "156", "cz"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("digit", "auto"), UnknownNameError, "did you mean 'digits'"),
        (("digits", "dense"), UnknownNameError, "unknown preparation 'dense'"),
        ((None, "auto", ("fake_fes",)), UnknownNameError, "did you mean 'fake_fez'"),
    ],
)
def test_mistakes(arguments: tuple[object, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        printed(*arguments)


def test_a_recipe_without_a_quantum_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.commands.device_list.layer_spec", lambda config: None)
    with pytest.raises(OptionError, match="no quantum layer"):
        printed("digits", "auto")
