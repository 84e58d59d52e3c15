"""Features in two dimensions: principal components, and t-SNE for neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

MAX_POINTS = 1000
"""More points would cost t-SNE seconds and only cover each other."""

ITERATIONS = 500
"""Twice as many lower t-SNE's divergence by less than one per cent."""


@dataclass(frozen=True)
class Projection:
    """Points (N, 2) and what the two axes are."""

    points: NDArray[np.floating]
    axes: tuple[str, str]


def subsample(n_points: int, seed: int = 0) -> NDArray[np.integer]:
    """Indices of at most `MAX_POINTS` of `n_points`, sorted, the same for one seed."""
    if n_points <= MAX_POINTS:
        return np.arange(n_points)
    return np.sort(np.random.default_rng(seed).choice(n_points, MAX_POINTS, replace=False))


def perplexity(n_points: int) -> float:
    """t-SNE's number of effective neighbours: 30 as usual, or a tenth of fewer than 300 points."""
    return max(1.0, min(30.0, n_points // 10))


def pca(features: NDArray[np.floating]) -> Projection:
    """The first two principal components of features (N, F), with their share of the variance.

    Features with one column only keep it, and get a second coordinate of zero.
    """
    width = min(2, *features.shape)
    fitted = PCA(n_components=width, random_state=0)
    # Features that are all alike have no variance to share out.
    with np.errstate(invalid="ignore"):
        points = fitted.fit_transform(features)
    shares = np.pad(np.nan_to_num(fitted.explained_variance_ratio_), (0, 2 - width))
    first, second = (
        f"component {index + 1} ({100 * share:.1f} % of variance)"
        for index, share in enumerate(shares)
    )
    return Projection(np.pad(points, ((0, 0), (0, 2 - width))), (first, second))


def tsne(features: NDArray[np.floating], seed: int = 0) -> Projection:
    """t-SNE (van der Maaten and Hinton, JMLR 9, 2008) of features (N, F), started from PCA.

    Distances between far groups mean nothing; neighbours do.
    """
    start = pca(features).points
    spread = start[:, 0].std()
    fitted = TSNE(
        n_components=2,
        perplexity=perplexity(len(features)),
        max_iter=ITERATIONS,
        # Features that are all alike have no component to start from.
        init=1e-4 * start / spread if spread > 0 else "random",
        random_state=seed,
    )
    # Threads that wait for each other on a busy machine make it ten times slower.
    with threadpool_limits(1):
        points = fitted.fit_transform(features)
    return Projection(points, ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)"))
