"""Images: datasets by name, their splits, batches and random changes.

>>> from experiments.data import batches, load_data
>>> data = load_data("digits", root=Path("data"), seed=0)
>>> images, labels = next(batches(data.test, 64, device="cpu", mean=data.mean, std=data.std))
"""

from .augment import Augmentation
from .batches import batches, n_batches
from .load import DatasetInfo, get_dataset, list_datasets, load_data
from .splits import ImageData, Split

__all__ = [
    "Augmentation",
    "DatasetInfo",
    "ImageData",
    "Split",
    "batches",
    "get_dataset",
    "list_datasets",
    "load_data",
    "n_batches",
]
