"""Networks of the catalogue, changed by a recipe around their quantum layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiments.assembly.thread_count import batch_work
from experiments.config.recipe import load_config
from experiments.records.checkpoint import load_model_info
from models import build_model
from qbackend.errors import ConfigError, OptionError

from ..support.command_line import Qhc, assert_refused, last_line

AS_PUBLISHED = {
    "hybrid-digits": {
        **{"channels": (8, 16), "depth": 1, "pooling": "max", "pooled": 4, "reducer": 32},
        **{"head": 128, "dropout": 0.3, "activation": "relu"},
    },
    "hybrid-mnist": {"channels": (16, 32), "reducer": 256},
    "hybrid-stl10": {"channels": (32, 64, 128, 256), "depth": 1},
    "classical-digits": {"channels": (16, 32), "pooled": 2, "head": 64},
    "classical-stl10": {"dropout": 0.4, "pooled": 1, "head": 256, "depth": 1},
    "qpcnn-s": {"channels": (16, 32, 64), "depth": 1, "pooled": 2, "activation": "relu"},
    "qpcnn-m": {"channels": (32, 64, 128, 128)},
}


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_what_is_given_as_it_was_published_changes_nothing(name: str) -> None:
    own = build_model(name, seed=3)
    given = build_model(name, seed=3, network=AS_PUBLISHED[name])
    assert repr(given) == repr(own)
    weights = given.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in own.state_dict().items())


def kinds(model: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in model.front[0]]


def test_each_key_changes_what_it_says() -> None:
    changes: dict[str, Any] = {
        **{"channels": [4, 6], "depth": 2, "pooling": "average", "pooled": 1, "reducer": 5},
        **{"head": 7, "dropout": 0.0, "activation": "gelu"},
    }
    model = build_model("hybrid-digits", seed=0, network=changes)
    block = ["Conv2d", "BatchNorm2d", "GELU"]
    assert kinds(model) == [*block * 2, "AvgPool2d", *block * 2, "AveragePool", "Flatten"]
    widths = [each.out_channels for each in model.modules() if isinstance(each, nn.Conv2d)]
    linear = [tuple(each.weight.shape) for each in model.modules() if isinstance(each, nn.Linear)]
    assert widths == [4, 4, 6, 6]
    assert linear == [(5, 6), (16, 5), (7, 4), (10, 7)]
    assert model(torch.rand(3, 1, 8, 8)).shape == (3, 10)
    # A ReLU waits for the max-pool alone, with which it commutes.
    deeper = build_model("hybrid-digits", seed=0, network={"depth": 2})
    relu = ["Conv2d", "BatchNorm2d", "ReLU"]
    first = [*relu, *relu[:2], "MaxPool2d", "ReLU"]
    assert kinds(deeper) == [*first, *relu * 2, "AveragePool", "Flatten"]


def test_every_arm_has_the_same_front_end_and_head() -> None:
    network = {"channels": (4, 6), "reducer": 5, "activation": "silu"}
    one, other = (
        build_model("hybrid-digits", arm=arm, seed=1, network=network).state_dict()
        for arm in ("quantum", "linear")
    )
    shared = [key for key in one if key.startswith(("front", "head"))]
    assert len(shared) > 10
    assert all(torch.equal(one[key], other[key]) for key in shared)


def test_stages_of_pointwise_networks() -> None:
    network = {"channels": (4, 8, 8, 16), "depth": 2, "activation": "tanh", "pooled": 1}
    model = build_model("qpcnn-s", arm="conv", seed=0, network=network)
    strides = [stage.depthwise.stride[0] for stage in model.stages]
    assert strides == [2, 1, 2, 1, 1, 1]
    assert isinstance(model.stages[0].pointwise_relu, nn.Tanh)
    assert model.head.in_features == 16
    with pytest.raises(OptionError, match="at least two numbers"):
        build_model("qpcnn-s", network={"channels": (4,)})


def test_what_a_network_has_not_is_refused() -> None:
    for name, key in (
        ("resnet18", "channels"),
        ("qpcnn-s", "head"),
        ("classical-mnist", "reducer"),
    ):
        with pytest.raises(OptionError, match=f"{key}: the network has no such key"):
            build_model(name, network={key: 3})


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("channels=[8,0]", "model.channels.1: input should be greater than or equal to 1, got 0"),
        ("depth=17", "model.depth: input should be less than or equal to 16, got 17"),
        ("pooling=mean", "model.pooling: input should be 'max' or 'average', got 'mean'"),
        ("channels=[true]", "model.channels.0: input should be a valid integer, got True"),
        ("depth=1.0", "model.depth: input should be a valid integer, got 1.0"),
        ("pooled=0", "model.pooled"),
        ("reducer=0", "model.reducer"),
        ("dropout=1", "model.dropout: input should be less than 1"),
        ("activation=rel", "unknown activation 'rel': did you mean 'relu'"),
        ("name=qpcnn-s", "it has channels, depth, pooled, activation"),
    ],
)
def test_limits_are_told(setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(
            "digits", [f"model.{setting}", *(["model.head=3"] if "name" in setting else [])]
        )
    assert words in str(caught.value)


def test_a_mistake_in_a_list_is_one_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("digits", ["model.channels=[0]"])
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("model.channels.0: ")
    with pytest.raises(ConfigError, match="at least 1 item"):
        load_config("digits", ["model.channels=[]"])


def test_too_many_poolings_are_told_with_the_smallest_image(qhc: Qhc) -> None:
    words = "its 4 poolings leave nothing of less than 16x16; scale them, for example --set data.si"
    assert_refused(qhc, words, "run", "--set", "model.channels=[1,2,3,4,5]", "--epochs", "1")


def test_a_run_and_its_checkpoint_have_them(qhc: Qhc) -> None:
    chosen = ("--set", "model.channels=[2,3]", "--set", "model.head=4")
    few = ("--epochs", "1", "--limit", "10", "--train-limit", "64", "--json")
    code, out, err = qhc("run", *chosen, *few, "--out", "made")
    assert code == 0, err
    info = load_model_info(Path("made/checkpoint.safetensors"))
    assert info.config["model"]["channels"] == [2, 3]
    accuracy = last_line(out)["accuracy"]
    code, out, err = qhc("run", "--checkpoint", "made", "--limit", "10", "--backend", "native",
                         "--json")  # fmt: skip
    assert code == 0, err
    assert last_line(out)["accuracy"] == accuracy
    code, _, err = qhc("run", "--checkpoint", "made", "--set", "model.head=5")
    assert code == 2
    assert "model.head: the model comes as it was trained" in err


def test_a_larger_network_is_worth_more_threads() -> None:
    larger = load_config("digits", ["model.channels=[32,64]", "model.depth=2"])
    assert batch_work(larger) > 10 * batch_work(load_config("digits"))
