"""Pictures within a page: colours that the page decides on, words to hover over, nothing cut."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from experiments.report.pictures.hover import MOST_BANDS, hover_bands
from experiments.report.pictures.inline_svg import inline_svg
from experiments.report.pictures.over_epochs import (
    learning_rate_curve,
    metric_curve,
    seconds_curve,
)
from experiments.report.pictures.style import (
    ARMS,
    DARK,
    MUTED_SCHEME,
    PAPER,
    POINTWISE_ARMS,
    SPARE,
    STAGE_BARS,
    STAGES,
    STYLE,
    VERDICTS,
    blank,
    styled,
)
from experiments.report.run.chip import chip
from experiments.report.run.figures import confusion
from experiments.report.studies.noise_figures import heat_map
from tests.support.runs import synthetic_epoch

EPOCHS = [synthetic_epoch(epoch, np.random.default_rng(epoch)) for epoch in range(1, 6)]


def luminance(colour: str) -> float:
    """Relative, by WCAG 2.1."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_that_means_something_is_seen_on_a_dark_page() -> None:
    """By the ratio of 3 that WCAG 2.1 asks of graphics."""
    looks = [*ARMS.values(), *POINTWISE_ARMS.values(), *STAGES.values(), *SPARE, *STAGE_BARS]
    meant = {colour for colour, _ in looks} | set(VERDICTS.values()) | set(MUTED_SCHEME)
    dark = {colour: DARK.get(colour, colour) for colour in meant}
    assert {colour for colour in dark.values() if contrast(colour, DARK[PAPER]) < 3} == set()


def test_letters_are_read_on_a_dark_page() -> None:
    for name in ("text.color", "axes.labelcolor", "xtick.labelcolor"):
        assert contrast(DARK[STYLE[name]], DARK[PAPER]) > 7


def test_a_picture_has_the_pages_colours_and_names_of_its_own() -> None:
    drawn = inline_svg(metric_curve(EPOCHS, "loss"), "loss", 'the "loss"')
    assert drawn.startswith('<svg id="loss" role="img" aria-label="the &quot;loss&quot;"')
    assert not set(re.findall("#[0-9a-f]{6}", drawn)) & set(DARK)
    assert "var(--c1f2933)" in drawn
    names = re.findall(r' id="([^"]*)"', drawn)
    assert all(name == "loss" or name.startswith("loss-") for name in names)
    referred = re.findall(r'(?:href="|url\()#([^")]+)', drawn)
    assert referred
    assert set(referred) <= set(names)
    assert "http://" not in drawn.replace("http://www.w3.org/", "")


def test_equal_pictures_are_equal_text() -> None:
    first, second = (inline_svg(metric_curve(EPOCHS, "f1"), "f1", "") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: metric_curve(EPOCHS, "accuracy"), "training {t:.2f} %, validation {v:.2f} %"),
        (lambda: learning_rate_curve(EPOCHS), "training 0.002"),
        (lambda: seconds_curve(EPOCHS), "validation 50.0 ms"),
    ],
)
def test_every_epoch_says_its_values(draw: Callable[[], Figure], said: str) -> None:
    titles = re.findall('<g class="hover"><title>(.*?)</title>', inline_svg(draw(), "a", "a"))
    assert len(titles) == len(EPOCHS)
    for epoch, title in zip(EPOCHS, titles, strict=True):
        scores = {"t": 100 * epoch.train.accuracy, "v": 100 * epoch.validation.accuracy}
        assert title.startswith(f"epoch {epoch.epoch}: ")
        assert said.format(**scores) in title


def test_bands_change_no_limits_and_stay_few() -> None:
    figure, axes = styled(blank)()
    axes.plot(range(1000), range(1000))
    limits = axes.get_xlim()
    hover_bands(axes, range(1000), [f"<{place}>" for place in range(1000)])
    assert axes.get_xlim() == limits
    drawn = inline_svg(figure, "a", "a")
    assert 100 < drawn.count('class="hover"') <= MOST_BANDS
    assert "<title>&lt;0&gt;</title>" in drawn


def test_times_far_apart_are_on_a_logarithmic_scale() -> None:
    first = EPOCHS[0].model_copy(update={"seconds": 90.0})
    assert seconds_curve([first, *EPOCHS[1:]]).axes[0].get_yscale() == "log"
    assert seconds_curve(EPOCHS).axes[0].get_yscale() == "linear"
    nothing = [each.model_copy(update={"seconds": 0.0}) for each in EPOCHS]
    assert seconds_curve(nothing).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: confusion(np.array([[5, 1], [2, 9]]), ["cat", "dog"]),
        lambda: confusion(np.eye(3, dtype=int), ["a name of many letters", "dog", "x"]),
        lambda: confusion(np.eye(30, dtype=int), [str(n) for n in range(30)]),
        lambda: chip(5, [(0, 1), (1, 2), (1, 3), (3, 4)], [(0, 1), (3, 4)], {0: 0.1, 1: 0.2}, [1],
                     "2 copies"),
        lambda: heat_map(np.array([[0.1, np.nan]]), ["a"], ["x", "y"], "strength"),
    ],
    ids=["two classes", "long names", "many classes", "small chip", "one row"],
)  # fmt: skip
def test_no_word_of_a_picture_is_cut(draw: Callable[[], Figure]) -> None:
    figure = draw()
    renderer = FigureCanvasAgg(figure).get_renderer()
    styled(figure.draw)(renderer)
    used, (width, height) = figure.get_tightbbox(renderer), figure.get_size_inches()
    assert used.x0 > -0.02
    assert used.y0 > -0.02
    assert used.x1 < width + 0.02
    assert used.y1 < height + 0.02
