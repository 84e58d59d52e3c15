"""LayerSpec: counts, limits, and the round trip through JSON."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbackend.errors import SpecError
from qbackend.layers.spec import LayerSpec

from ..support.cases import ANSATZE, ENCODINGS

specs = st.builds(
    LayerSpec,
    n_wires=st.integers(1, 10),
    encoding=st.sampled_from(ENCODINGS),
    ansatz=st.sampled_from(ANSATZE),
    n_layers=st.integers(1, 4),
)


@given(specs)
def test_json_round_trip(spec: LayerSpec) -> None:
    assert LayerSpec.from_json(spec.to_json()) == spec


@given(specs)
def test_counts_follow_the_definitions(spec: LayerSpec) -> None:
    assert spec.n_features == (2**spec.n_wires if spec.encoding == "amplitude" else spec.n_wires)
    angles = 3 if spec.ansatz in ("strongly_entangling", "unentangled") else 1
    assert spec.n_weights == angles * spec.n_wires * spec.n_layers
    used = [index for op in spec.operations for index in getattr(op, "weights", ())]
    assert sorted(used) == list(range(spec.n_weights))


def test_signs_put_wire_zero_at_the_most_significant_bit() -> None:
    signs = LayerSpec(3, observables=("ZII", "IZZ")).signs()
    np.testing.assert_array_equal(signs[0], [1, 1, 1, 1, -1, -1, -1, -1])
    np.testing.assert_array_equal(signs[1], [1, -1, -1, 1, 1, -1, -1, 1])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_wires": 0}, "n_wires"),
        ({"n_wires": True}, "n_wires"),
        ({"n_wires": 2.0}, "n_wires"),
        ({"n_wires": 2, "n_layers": -1}, "n_layers"),
        ({"n_wires": 2, "encoding": "amplitud"}, "did you mean 'amplitude'"),
        ({"n_wires": 2, "ansatz": "basic"}, "basic_entangler"),
        ({"n_wires": 2, "observables": ["Z"]}, "2 letters"),
        ({"n_wires": 1, "observables": ["X"]}, "letters I or Z"),
        ({"n_wires": 1, "wires": 3}, "did you mean 'n_wires'"),
        ({}, "n_wires"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        LayerSpec.from_dict(values)


@pytest.mark.parametrize("text", ["{", "[1]", "null"])
def test_text_that_is_no_layer(text: str) -> None:
    with pytest.raises(SpecError):
        LayerSpec.from_json(text)
