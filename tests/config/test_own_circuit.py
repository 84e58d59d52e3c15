"""A circuit of one's own in a recipe: where it is found, how it is completed, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tomli_w
from qiskit import qpy

from experiments.config.model import LayerSection
from experiments.config.of_checkpoint import config_of_trained
from experiments.config.own_circuit import with_own_circuit
from experiments.config.recipe import configure, load_config
from experiments.config.sections import Config
from qbackend.errors import ConfigError
from qbackend.layers.definitions import layer_of
from tests.support.own_circuit import FEATURES, QASM, circuit

MODULE = """
from tests.support.own_circuit import circuit
from qbackend import CircuitLayer

def layer():
    return CircuitLayer(circuit(), features="x", weights="w", observables=["ZZI"])

def measured():
    found = circuit()
    found.measure_all()
    return found

def number():
    return 3

def asks(size):
    return circuit()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a circuit in every form."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.qasm").write_text(QASM)
    with open("my.qpy", "wb") as file:
        qpy.dump(circuit(), file)
    with open("two.qpy", "wb") as file:
        qpy.dump([circuit(), circuit()], file)
    (tmp_path / "own_circuits_of_a_test.py").write_text(MODULE)
    (tmp_path / "none.qasm").write_text("hello")
    (tmp_path / "none.qpy").write_text("hello")
    return tmp_path


def resolved(*settings: str, recipe: str = "digits") -> Config:
    return load_config(recipe, settings)


def key(config: Config) -> str:
    return layer_of(config.layer.model_dump(exclude_none=True)).key


@pytest.mark.parametrize(
    "source",
    ["my.qasm", "my.qpy", "own_circuits_of_a_test.py:circuit", "own_circuits_of_a_test:circuit"],
)
def test_a_circuit_is_found_in_every_form(source: str, folder: Path) -> None:
    config = resolved(f"layer.circuit={source}", FEATURES)
    layer = layer_of(config.layer.model_dump(exclude_none=True))
    assert (layer.n_wires, layer.n_features, layer.n_weights, layer.n_outputs) == (3, 2, 3, 3)
    assert config.layer.name == ("circuit" if ":" in source else "my")
    # From now on nothing but the config is needed.
    for path in folder.iterdir():
        # Python may have left what it compiled.
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = configure(config.to_dict(), [], "the record")
    assert again == config


def test_openqasm_stays_readable_in_the_config() -> None:
    assert resolved("layer.circuit=my.qasm", FEATURES).layer.circuit == QASM


def test_files_lie_beside_the_recipe_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = load_config("digits").to_dict()
    written["layer"] = {"circuit": "my.qasm", "weights": ["w"], "observables": ["0.5*ZZI - IIZ"]}
    (folder / "own.toml").write_text(tomli_w.dumps(written))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    layer = resolved(recipe="../own.toml").layer
    assert layer.features == ("x0", "x1")
    assert layer.observables == ((("ZZI", 0.5), ("IIZ", -1.0)),)


def test_a_list_that_is_missing_is_all_the_rest() -> None:
    by_features = resolved("layer.circuit=my.qasm", FEATURES)
    by_weights = resolved("layer.circuit=my.qasm", 'layer.weights=["w"]')
    assert by_features == by_weights
    assert by_features.layer.weights == ("w0", "w1", "w2")
    mixed = resolved("layer.circuit=my.qasm", 'layer.features=["x1", "w0"]').layer
    assert (mixed.features, mixed.weights) == (("x1", "w0"), ("w1", "w2", "x0"))


def test_a_function_may_return_the_whole_layer() -> None:
    layer = resolved("layer.circuit=own_circuits_of_a_test:layer").layer
    assert layer.features == ("x[0]", "x[1]")
    assert layer.observables == ((("ZZI", 1.0),),)


def test_sums_of_paulis_are_texts_or_lists() -> None:
    configs = [
        resolved("layer.circuit=my.qasm", FEATURES, f"layer.observables={written}")
        for written in (
            '["ZZI", "0.5*XXI - 0.25*ZII"]',
            '["+ZZI", "5e-1XXI-.25 ZII"]',
            '[[["ZZI", 1]], [["XXI", 0.5], ["ZII", -0.25]]]',
        )
    ]
    assert len({key(config) for config in configs}) == 1
    assert configs[0].layer.observables == configs[2].layer.observables


def test_two_texts_of_one_circuit_compare_equal() -> None:
    """QPY of two calls of a function differs, and means the same."""
    source = "layer.circuit=own_circuits_of_a_test:circuit"
    one, other = resolved(source, FEATURES), resolved(source, FEATURES)
    assert one.compared() == other.compared()
    assert one.compared() != resolved(source, 'layer.features=["x", "w[0]"]').compared()
    assert len(str(one.compared()["layer"])) < 100
    assert resolved("layer.n_layers=3").compared()["layer"] == {"n_layers": 3}
    captured = [resolved(f"fabric.capture={how}").compared() for how in ("auto", "off")]
    assert captured[0] == captured[1]


def test_a_circuit_that_is_typed_stands_for_the_recipes_whole_layer(folder: Path) -> None:
    written = load_config("digits", ["layer.n_layers=3"]).to_dict()
    (folder / "deep.toml").write_text(tomli_w.dumps(written))
    layer = resolved("layer.circuit=my.qasm", FEATURES, recipe="deep.toml").layer
    assert (layer.n_layers, layer.name) == (None, "my")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["circuit=gone.qasm"], "layer.circuit: there is no file gone.qasm; give an OpenQASM 3"),
        (["circuit=none.qasm"], "layer.circuit: none.qasm: not OpenQASM 3 that Qiskit reads: line"),
        (["circuit=none.qpy"], "layer.circuit: none.qpy: not a QPY file"),
        (["circuit=two.qpy"], "layer.circuit: two.qpy: QPY with 2 circuits"),
        (["circuit=nothing"], "layer.circuit: 'nothing' names no circuit: give an OpenQASM 3"),
        (["circuit=no_such_module:f"], "layer.circuit: no_such_module cannot be imported"),
        (["circuit=gone.py:f"], "layer.circuit: there is no file gone.py"),
        (["circuit=own_circuits_of_a_test:circle"], "no function 'circle'; did you mean 'circuit'"),
        (["circuit=own_circuits_of_a_test:number"], "returned a int; it must return a Quantum"),
        (["circuit=own_circuits_of_a_test:asks"], "could not be called without arguments"),
        (["circuit=own_circuits_of_a_test:measured"], "remove_final_measurements"),
        (
            ["circuit=own_circuits_of_a_test:layer", 'features=["x"]'],
            "layer.features: own_circuits_of_a_test:layer returns a CircuitLayer",
        ),
        (
            ["circuit=my.qasm"],
            "layer.features: the circuit's parameters are 'w', 'x'; say which of them are features",
        ),
        (["circuit=my.qasm", 'features=["y"]'], "layer.features: the circuit has no parameter 'y'"),
        (["circuit=my.qasm", 'weights=["w", "x"]'], "layer.features: the circuit has no features"),
        (
            ["circuit=my.qasm", 'features=["x"]', 'weights=["w0"]'],
            "layer.weights: 'w1', 'w2': neither feature nor weight",
        ),
        (
            ["circuit=my.qasm", 'features=["x"]', 'observables=["ZZ"]'],
            "layer.observables: 'ZZ' must be 3 letters",
        ),
        (
            ["circuit=my.qasm", 'features=["x"]', 'observables=["ZZI XXI"]'],
            "layer.observables: 'ZZI XXI' is no sum of Pauli strings",
        ),
        (
            ["circuit=my.qasm", 'features=["x"]', 'observables=[["ZZI", 0.5]]'],
            "layer.observables: write a list of Pauli strings",
        ),
        (["circuit=my.qasm", 'features=["x"]', "observables=[]"], "layer.observables: name at"),
        (
            ["circuit=my.qasm", 'features=["x"]', "outputs=probabilities", 'observables=["ZZI"]'],
            "layer.outputs: probabilities are those of all basis states",
        ),
        (["circuit=my.qasm", 'features=["x"]', "outputs=other"], "layer.outputs: input should be"),
        (["circuit=my.qasm", 'features=["x"]', "n_layers=3"], "layer.n_layers: has no meaning"),
        (['features=["x"]'], "layer.features: goes with a circuit of your own"),
    ],
)
def test_mistakes_name_the_key_and_what_to_type(settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(*(f"layer.{each}" for each in settings))
    assert caught.value.exit_code == 2
    assert len(caught.value.mistakes) == 1
    assert words in caught.value.mistakes[0]


def test_a_trained_models_circuit_is_not_exchanged(folder: Path) -> None:
    recorded = resolved("layer.circuit=my.qasm", FEATURES).to_dict()
    (folder / "other.qasm").write_text(QASM.replace("h q[0]", "x q[0]"))
    typed = ["layer.circuit=other.qasm", FEATURES]
    with pytest.raises(ConfigError) as caught:
        config_of_trained(recorded, typed, "checkpoint A", trains=False)
    assert len(caught.value.mistakes) == 1
    assert "layer.circuit: the model comes as it was trained" in caught.value.mistakes[0]
    assert len(caught.value.mistakes[0]) < 300
    same = config_of_trained(recorded, [], "checkpoint A", trains=False)
    assert same.layer.circuit == QASM


def test_a_layer_without_a_name_is_called_by_its_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qiskit's own names count circuits: they differ from call to call."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nameless.py").write_text(
        "from qiskit import QuantumCircuit\n"
        "from qiskit.circuit import Parameter\n"
        "from qbackend import CircuitLayer\n\n\n"
        "def mine():\n"
        "    circuit, x = QuantumCircuit(1), Parameter('x')\n"
        "    circuit.ry(x, 0)\n"
        "    return CircuitLayer(circuit, features=[x])\n"
    )
    section = with_own_circuit(LayerSection(circuit="nameless.py:mine"), tmp_path)
    assert section.name == "mine"
