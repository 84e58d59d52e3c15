"""Recipes: what they resolve to, and what is said about mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.recipe import configure, list_recipes, load_config, merge
from experiments.config.sections import PROTOCOLS, Config
from models import ARMS
from qbackend.errors import ConfigError, UnknownNameError

PUBLISHED = ("mnist", "mnist-angle", "cifar100", "stl10")
ALL = ("digits", *PUBLISHED)
CLASSICAL = "model.arm=classical"


def mistakes(*settings: str, recipe: str = "digits") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, settings)
    assert caught.value.exit_code == 2
    assert all(mistake in str(caught.value) for mistake in caught.value.mistakes)
    return caught.value.mistakes


def test_the_recipes_are_these() -> None:
    assert set(list_recipes()) >= set(ALL)


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("arm", [*ARMS, "classical"])
def test_every_recipe_resolves_for_every_protocol_and_arm(
    recipe: str, protocol: str, arm: str
) -> None:
    config = load_config(recipe, [f"protocol={protocol}", f"model.arm={arm}"])
    assert (config.recipe, config.protocol, config.model.arm) == (recipe, protocol, arm)
    assert config.model.name.startswith("classical" if arm == "classical" else "hybrid")


@pytest.mark.parametrize("recipe", ALL)
def test_matched_treats_every_arm_alike(recipe: str) -> None:
    trains = {load_config(recipe, [f"model.arm={arm}"]).train for arm in (*ARMS, "classical")}
    datas = {load_config(recipe, [f"model.arm={arm}"]).data for arm in (*ARMS, "classical")}
    assert len(trains) == len(datas) == 1
    assert not datas.pop().augment_validation


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_published_hybrid_recipe(recipe: str) -> None:
    config = load_config(recipe, ["protocol=published"])
    train = config.train
    assert (train.optimiser, train.weight_decay) == ("adamw", 0.01)
    assert (train.schedule, train.lr, train.warm_up) == ("onecycle", 2e-3, 0.3)
    assert (train.clip, train.label_smoothing) == (1.0, 0.1)
    assert (train.batch_size, train.epochs) == (64, 10 if recipe == "mnist-angle" else 50)
    assert (train.keep_last, train.ties) == (True, "later")
    assert config.data.augment_validation
    assert not config.data.stratified
    assert config.data.augment_normalised == recipe.startswith("mnist")
    assert config.data.validation == 0.2
    assert config.data.validation_from_test == (recipe == "stl10")


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_published_classical_recipe(recipe: str) -> None:
    train = load_config(recipe, ["protocol=published", CLASSICAL]).train
    assert (train.optimiser, train.lr, train.weight_decay) == ("adam", 3e-3, 0.005)
    assert (train.schedule, train.restart_every, train.lr_min) == ("cosine_restarts", 5, 1e-5)
    assert (train.clip, train.label_smoothing) == (0.0, 0.1)
    assert (train.batch_size, train.epochs) == (64, 50)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("mnist", {"rotation": 5.0, "shift": 0.1, "crop_padding": 0, "flip": False}),
        ("cifar100", {"rotation": 0.0, "shift": 0.0, "crop_padding": 4, "flip": True}),
        ("stl10", {"rotation": 0.0, "shift": 0.0, "crop_padding": 8, "flip": True}),
    ],
)
def test_published_augmentation(recipe: str, expected: dict[str, object]) -> None:
    assert load_config(recipe, ["protocol=published"]).data.augmentation.model_dump() == expected


def test_every_quirk_is_named_where_it_holds_and_only_there() -> None:
    published = " ".join(load_config("stl10", ["protocol=published", CLASSICAL]).notes())
    words = ("two sides", "test split serves", "validation images are augmented")
    words += ("at random", "later one is kept", "label smoothing of 0.1")
    for quirk in (*words, "restarts every 5 batches", "L2 penalty"):
        assert quirk in published
    assert "mean grey" in " ".join(load_config("mnist", ["protocol=published"]).notes())
    assert "mean grey" not in published
    assert load_config("stl10").notes() == []
    mended = load_config("stl10", ["protocol=published", "data.augment_validation=false"])
    assert "validation images are augmented" not in " ".join(mended.notes())
    assert "largest feature" in load_config("mnist-angle").notes()[0]
    assert load_config("mnist-angle", [CLASSICAL]).notes() == []


def test_settings_override_everything() -> None:
    config = load_config(
        "mnist",
        [
            "protocol=published",
            "train.clip=0.5",
            "layer.ansatz=strongly_entangling",
            'data.name="fashionmnist"',
            "data.augmentation.flip=true",
            "fabric.devices=auto",
            "run.seed=7",
        ],
    )
    assert (config.train.clip, config.train.weight_decay) == (0.5, 0.01)
    assert config.layer.ansatz == "strongly_entangling"
    assert config.data.name == "fashionmnist"
    assert config.data.augmentation.model_dump() == {
        "rotation": 5.0,
        "shift": 0.1,
        "crop_padding": 0,
        "flip": True,
    }
    assert (config.fabric.devices, config.run.seed) == ("auto", 7)


def test_all_mistakes_are_reported_at_once() -> None:
    found = mistakes(
        "train.lrr=3",
        "trian.lr=3",
        "nonsense",
        "train.epochs=0",
        "model.arm=quantumm",
        "layer.ansatz=basic",
        "protocol=publishd",
        "run.shots=-1",
        "train.lr.x=3",
        "data.augmentation.shift=2",
    )
    expected = {
        "train.lrr: no such key; did you mean 'lr'?",
        "trian: no such key; did you mean 'train'",
        "nonsense: write key=value",
        "train.epochs: ",
        "model.arm: ",
        "layer.ansatz: unknown ansatz 'basic': did you mean 'basic_entangler'?",
        "protocol: ",
        "run.shots: ",
        "train.lr: ",
        "data.augmentation.shift: ",
    }
    assert {
        start for start in expected if any(line.startswith(start) for line in found)
    } == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("run.shots=0", "greater than or equal to 1, got 0"),
        ("run.shots=1.5", "got 1.5"),
        ("run.seed=18446744073709551616", "less than or equal to 18446744073709551615, got 1844"),
        ("run.seed=-1", "greater than or equal to 0, got -1"),
        ("run.threads=0", "greater than or equal to 1, got 0"),
        ("train.lr=nan", "got nan"),
        ("train.lr=fast", "got 'fast'"),
        ("train.optimiser=adamm", "'adamw', 'adam' or 'sgd'"),
        ("train.batch_size=1", "greater than or equal to 2"),
        ("model.name=hybrid-mnits", "did you mean 'hybrid-mnist'"),
        ("model.name=classical-digits", "arm 'quantum' does not go with 'classical-digits'"),
        ("data.name=mnits", "did you mean 'mnist'"),
        ("model=3", "must be a table, got 3"),
        ("data.validation=0", "greater than 0"),
        ("published=3", "no such key"),
    ],
)
def test_a_mistake_names_the_value_and_the_limit(setting: str, said: str) -> None:
    (line,) = mistakes(setting)
    assert line.startswith(setting.partition("=")[0].partition(".")[0])
    assert said in line


def test_unknown_recipes_are_answered_with_suggestions(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnist'"):
        load_config("mnits")
    with pytest.raises(UnknownNameError, match="no recipe file"):
        load_config(str(tmp_path / "mine.toml"))


def test_a_file_that_is_no_recipe(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[train\nlr = 3")
    with pytest.raises(ConfigError, match=r"broken\.toml is not a TOML file.*line 1"):
        load_config(str(broken))
    (tmp_path / "empty.toml").write_text("")
    found = mistakes(recipe=str(tmp_path / "empty.toml"))
    assert set(found) == {f"{name}: must be given" for name in ("data", "model", "train")}


def test_a_recipe_file_with_neither_twin_nor_published_part(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'data = {name = "digits"}\nmodel = {name = "hybrid-digits"}\ntrain = {epochs = 1, lr = 1.0}'
    )
    assert load_config(str(path)).recipe == "mine"
    assert "no classical twin" in " ".join(mistakes(CLASSICAL, recipe=str(path)))
    assert mistakes("protocol=published", recipe=str(path)) == (
        "protocol: the recipe has no [published] part",
    )


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("arm", ["quantum", "classical"])
def test_a_resolved_recipe_is_a_recipe(recipe: str, arm: str) -> None:
    config = load_config(recipe, ["protocol=published", f"model.arm={arm}", "run.limit=5"])
    written = tomllib.loads(tomli_w.dumps(config.to_dict()))
    assert configure(written, [], "itself") == config


@given(
    epochs=st.integers(1, 10**6),
    lr=st.floats(1e-12, 1e3),
    seed=st.integers(0, 2**63 - 1),
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_a_config_survives_being_written(epochs: int, lr: float, seed: int, name: str) -> None:
    values = load_config("digits").to_dict()
    changes = {
        "train": {"epochs": epochs, "lr": lr},
        "run": {"seed": seed},
        "data": {"name": f"folder:{name}"},
    }
    config = Config.from_dict(merge(values, changes), "itself", [])
    written = tomllib.loads(tomli_w.dumps(config.to_dict()))
    assert Config.from_dict(written, "itself", []) == config
    assert (config.train.epochs, config.train.lr, config.run.seed) == (epochs, lr, seed)
