"""What a run of several checkpoints will ask of a machine, and what sharing it saves."""

from __future__ import annotations

from collections.abc import Sequence

from qbackend.errors import OptionError
from qbackend.seam.backend import QuantumBackend

from ..config.sections import Config
from ..data.splits import ImageData
from ..joint.asking import grouped, zero_requests
from ..joint.members import Member
from ..rows.estimates import sum_of
from .plan import RunPlan, Share

LONGEST_NAMES = 40
"""Characters of the checkpoints' names above a column; more are counted."""


def plan_joint(
    members: Sequence[Member], config: Config, data: ImageData, backend: QuantumBackend
) -> RunPlan:
    """What several models take together, a share for each request, and what they take one by one.

    Args:
        members: the models.
        config: of the run.
        data: the images of the first.
        backend: that would execute; it is asked for estimates.

    Raises:
        OptionError: none of the models has a quantum layer.
        QhcError: as the backend's `estimate`.
    """
    specs = [None if each.layer is None else each.layer.spec for each in members]
    groups = grouped(specs)
    if not groups:
        raise OptionError(
            f"none of these checkpoints has a quantum layer for '{backend.name}' to execute"
        )
    n_test = len(data.test) if config.run.limit is None else min(config.run.limit, len(data.test))
    n_training, shots = min(config.run.calibrate or 0, len(data.train)), backend.shots
    of_groups = [spec for group in groups if (spec := specs[group[0]]) is not None]
    compiled = [backend.compile(spec) for spec in of_groups]
    sizes = [len(group) for group in groups]
    requests = zero_requests(compiled, sizes, n_test, n_training, shots)
    shares, apart = [], []
    for group, layer, request in zip(groups, compiled, requests, strict=True):
        images = len(group) * n_test + n_training
        names = ", ".join(members[place].name for place in group)
        what = names if len(names) <= LONGEST_NAMES else f"{len(group)} checkpoints"
        shares.append(Share(what, images, 1, backend.estimate(request)))
        (alone,) = zero_requests([layer], [1], n_test, n_training, shots)
        apart += [backend.estimate(alone)] * len(group)
    one_by_one = Share("one by one", len(apart) * (n_test + n_training), len(apart), sum_of(apart))
    return RunPlan(tuple(shares), apart=one_by_one)
