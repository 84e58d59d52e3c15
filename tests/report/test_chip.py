"""The picture of a chip: where its qubits are, and what it says of the copies on it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from experiments.report.pictures.style import WRONG
from experiments.report.run.chip import IDLE, UNASKED, chip
from experiments.report.run.chip_layout import Pair, chip_layout
from qbackend.devices.snapshots import load_snapshot


def couplings(name: str) -> tuple[int, list[Pair]]:
    """A device's qubits and pairs."""
    target = load_snapshot(name).target
    pairs = {tuple(sorted(each)) for each in target.qargs if len(each) == 2}
    return target.num_qubits, sorted(pairs)  # type: ignore[arg-type]


def lengths(places: np.ndarray, pairs: list[Pair]) -> np.ndarray:
    one, other = places[np.array(pairs)].transpose(1, 0, 2)
    return np.linalg.norm(one - other, axis=1)


def nearest(places: np.ndarray) -> float:
    """The distance of the two qubits that are nearest to each other."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return float(apart[~np.eye(len(places), dtype=bool)].min())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fake_fez", (15, 14)),
        ("fake_torino", (14, 13)),
        ("fake_brisbane", (14, 12)),
        ("fake_nighthawk", (9, 11)),
        ("fake_cairo", (8, 4)),
        ("fake_manila", (4, 0)),
    ],
)
def test_a_lattice_is_drawn_on_a_grid(name: str, size: tuple[int, int]) -> None:
    n_qubits, pairs = couplings(name)
    places = chip_layout(n_qubits, pairs)
    assert tuple(places.max(axis=0)) == size
    assert (places.min(axis=0) == 0).all()
    assert (lengths(places, pairs) == 1).all()
    assert nearest(places) == 1


def test_fez_is_numbered_along_its_rows() -> None:
    places = chip_layout(*couplings("fake_fez"))
    assert places[[0, 15, 16, 19, 20, 155]].tolist() == [
        [0, 0],
        [15, 0],
        [3, 1],
        [15, 1],
        [0, 2],
        [15, 14],
    ]


def test_a_qubit_that_lost_its_couplings_stays_where_it_was() -> None:
    n_qubits, pairs = couplings("fake_fez")
    whole = chip_layout(n_qubits, pairs)
    left = [pair for pair in pairs if 47 not in pair and pair != (5, 6)]
    assert (chip_layout(n_qubits, left) == whole).all()


@pytest.mark.parametrize("name", ["fake_prague", "fake_melbourne", "fake_yorktown"])
def test_other_chips_have_couplings_of_about_one_length(name: str) -> None:
    n_qubits, pairs = couplings(name)
    places = chip_layout(n_qubits, pairs)
    found = lengths(places, pairs)
    assert found.max() < 1.3 * found.min()
    assert nearest(places) > 0.7 * np.median(found)
    np.testing.assert_array_equal(places, chip_layout(n_qubits, pairs))


@pytest.mark.parametrize(
    ("n_qubits", "pairs"),
    [
        (20, list(combinations(range(20), 2))),
        (9, [(0, 2), (2, 4), (5, 7), (7, 6)]),
        (1, []),
        (3, []),
    ],
    ids=["all joined", "in parts", "one", "none joined"],
)
def test_any_coupling_keeps_qubits_apart(n_qubits: int, pairs: list[Pair]) -> None:
    places = chip_layout(n_qubits, pairs)
    assert places.shape == (n_qubits, 2)
    assert np.isfinite(places).all()
    assert n_qubits == 1 or nearest(places) > 0.5


def drawn() -> Figure:
    """Four copies on a ring and a line: one is far off, one answered nothing."""
    n_qubits, pairs = couplings("fake_guadalupe")
    copies = [[0, 1], [5, 8], [3, 2], [15, 12]]
    return chip(n_qubits, pairs, copies, {0: 0.03, 1: 0.05, 2: 0.2}, [2], "Copies")


def test_all_qubits_and_copies_are_named() -> None:
    (axes, bar) = drawn().axes
    texts = [text for text in axes.texts if text.get_text()]
    bold = [text.get_text() for text in texts if text.get_fontweight() == "bold"]
    plain = [text.get_text() for text in texts if text.get_fontweight() != "bold"]
    assert bold == ["0", "1", "2", "3"]
    assert sorted(plain, key=int) == [str(qubit) for qubit in range(16)]
    assert bar.get_ylabel() == "RMSE of outputs from ideal ones"
    assert bar.get_ylim() == pytest.approx((0.03, 0.2))


def test_colours_tell_copies_from_idle_qubits() -> None:
    axes = drawn().axes[0]
    colours: dict[int, tuple[str, str]] = {}
    for circle in axes.patches:
        assert isinstance(circle, Circle)
        (number,) = [
            int(text.get_text())
            for text in axes.texts
            if np.allclose(text.get_position(), circle.center)
        ]
        colours[number] = to_hex(circle.get_facecolor()), to_hex(circle.get_edgecolor())
    assert {number for number, (face, _) in colours.items() if face == IDLE} == {
        *(4, 6, 7, 9, 10, 11, 13, 14)
    }
    assert {number for number, (face, _) in colours.items() if face == UNASKED} == {12, 15}
    assert {number for number, (_, edge) in colours.items() if edge == WRONG} == {2, 3}
    for one, other in ((0, 1), (5, 8), (3, 2)):
        assert colours[one] == colours[other]
    assert len({colours[number][0] for number in (0, 5, 3)}) == 3


def test_the_legend_says_what_there_is() -> None:
    def words(figure: Figure) -> list[str]:
        (legend,) = figure.legends
        return [text.get_text() for text in legend.get_texts()]

    assert words(drawn())[1:] == ["idle qubit", "copy that answered no image", "far off"]
    usual = chip(2, [(0, 1)], [[0], [1]], {0: 0.1, 1: 0.1}, [], "Copies")
    assert len(words(usual)) == 2


def test_no_picture_is_wider_than_the_page() -> None:
    wide = chip(60, [(q, q + 1) for q in range(59)], [[0], [9]], {0: 0.1, 1: 0.2}, [], "Copies")
    for figure in (drawn(), wide):
        assert 92 * figure.get_size_inches()[0] < 900
