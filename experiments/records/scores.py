"""How well labels were predicted."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from qbackend.validation.records.recorded import Recorded

Interval = tuple[float, float]


class TrainingMeans(Recorded):
    """Over the batches of an epoch, while the weights move."""

    loss: float
    accuracy: float


class Means(Recorded):
    """Over the validation images; precision, recall and F1 over the classes.

    Attributes:
        metrics: the recipe's own, by name.
    """

    loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    metrics: dict[str, float] | None = None


class ClassScores(Recorded):
    """One class: its scores and `support`, the number of images that belong to it."""

    name: str = Field(validation_alias=AliasChoices("class", "name"), serialization_alias="class")
    precision: float
    recall: float
    f1: float
    support: int


class Scores(Recorded):
    """How well labels were predicted.

    Attributes:
        n_images: evaluated.
        loss: mean over the images.
        accuracy: share of images whose largest logit is the label's.
        accuracy_interval: 95 % confidence interval of the accuracy (Wilson's score interval).
        precision, recall, f1: means over the classes that occur in labels or predictions.
        per_class: the classes in the order of the logits.
        confusion: images by label (outer) and prediction (inner).
        metrics: the recipe's own, by name; None where it has none.
    """

    n_images: int
    loss: float
    accuracy: float
    accuracy_interval: Interval
    precision: float
    recall: float
    f1: float
    per_class: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    metrics: dict[str, float] | None = None

    @property
    def means(self) -> Means:
        """What an epoch's record keeps of them."""
        return Means.from_dict(self.to_dict())

    @property
    def classes(self) -> list[str]:
        """Their names."""
        return [each.name for each in self.per_class]
