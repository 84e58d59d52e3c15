"""What an evaluation measures, through torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from qbackend.seam.uncertainty import share_interval

from ..assembly.own_checks import Measure, measured
from ..records.scores import ClassScores, Scores


def score(
    logits: Tensor,
    labels: Tensor,
    losses: Tensor,
    classes: Sequence[str],
    *,
    distributed: bool,
    own: Mapping[str, Measure] | None = None,
) -> Scores:
    """Scores of logits (N, classes) with labels (N,) and losses (N,).

    Args:
        logits: predictions are their largest entries.
        labels: indices into `classes`.
        losses: of each image.
        classes: names, in the order of the logits.
        distributed: all processes call, each with its own share of the images.
        own: further metrics by name.
    """
    n_classes = len(classes)
    options: dict[str, Any] = {"sync_on_compute": distributed, "validate_args": False}
    metrics = MetricCollection(
        {
            "accuracy": MulticlassAccuracy(n_classes, average="micro", **options),
            "precision": MulticlassPrecision(n_classes, average="macro", **options),
            "recall": MulticlassRecall(n_classes, average="macro", **options),
            "f1": MulticlassF1Score(n_classes, average="macro", **options),
            "precisions": MulticlassPrecision(n_classes, average="none", **options),
            "recalls": MulticlassRecall(n_classes, average="none", **options),
            "f1s": MulticlassF1Score(n_classes, average="none", **options),
            "confusion": MulticlassConfusionMatrix(n_classes, **options),
        }
    ).to(labels.device)
    metrics.update(logits.argmax(dim=1), labels)
    mean_loss = MeanMetric(sync_on_compute=distributed).to(labels.device)
    mean_loss.update(losses)
    computed = metrics.compute()
    confusion = computed.pop("confusion").tolist()
    # Computed in float32, a perfect score can come out a little above 1.
    found = {name: value.clamp(max=1).tolist() for name, value in computed.items()}
    n_images = sum(sum(row) for row in confusion)
    n_right = sum(confusion[index][index] for index in range(n_classes))
    per_class = zip(
        classes, found["precisions"], found["recalls"], found["f1s"], confusion, strict=True
    )
    return Scores(
        n_images=n_images,
        loss=float(mean_loss.compute()),
        accuracy=n_right / n_images,
        accuracy_interval=share_interval(n_right, n_images),
        precision=found["precision"],
        recall=found["recall"],
        f1=found["f1"],
        per_class=tuple(
            ClassScores(name=name, precision=precision, recall=recall, f1=f1, support=sum(row))
            for name, precision, recall, f1, row in per_class
        ),
        confusion=tuple(tuple(row) for row in confusion),
        **({"metrics": measured(own, logits, labels)} if own else {}),
    )
