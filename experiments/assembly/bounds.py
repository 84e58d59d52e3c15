"""How little a machine, or a simulated device, is asked for where nobody says how much."""

from __future__ import annotations

from qbackend.errors import OptionError
from qbackend.seam.backend import QuantumBackend

from ..config.sections import Config

N_IMAGES = 100
"""Test images for a machine where no number is given: 1,024 shots of each take about 40 s."""
SHOTS = 1024
"""Of each image on a machine where no number is given."""
N_ROWS = 100
"""Rows of feature maps for a machine where no number is given."""
N_SIMULATED = 1_000
"""Test images that the accuracy to expect is simulated on, where no number is given."""
N_CALIBRATING = 16
"""Training images that the map of compared mitigations is fitted on, where no number is given."""
N_TRAINING_IMAGES = 16
"""Training images of an epoch on a machine where no number is given."""


def bounded(config: Config) -> tuple[Config, list[str]]:
    """The config with the limits that a machine should have, and a note on each that was missing.

    A simulator has none, but for rows of feature maps in place of whole images.

    Raises:
        OptionError: such rows, of a model that has none; of a model that has them, what takes
            whole images; mitigations to compare where there is nothing to be mitigated.
    """
    config, notes = _bounded_rows(_bounded_comparison(config))
    run, train = config.run, config.train
    if config.backend.is_machine and run.limit is None:
        run = run.model_copy(update={"limit": N_IMAGES})
        notes.append(
            f"a machine takes time for every image: at most {N_IMAGES} test images, drawn by the "
            "seed; --limit N takes another number"
        )
    if config.backend.is_machine and run.shots is None and config.machine.precision is None:
        run = run.model_copy(update={"shots": SHOTS})
    if train.weights == "quantum" and config.backend.is_machine and train.limit is None:
        train = train.model_copy(update={"limit": N_TRAINING_IMAGES})
        notes.append(
            f"a machine takes time for every image: {N_TRAINING_IMAGES} images to train on and as "
            "many to validate on; --train-limit N takes another number"
        )
    if train.limit is not None and train.limit < train.batch_size:
        train = train.model_copy(update={"batch_size": train.limit})
        notes.append(f"all {train.limit} training images make one batch")
    return config.model_copy(update={"run": run, "train": train}), notes


def check_hours(config: Config, target: QuantumBackend) -> None:
    """Raise `OptionError` where a simulated device would go through all images row by row."""
    run, backend = config.run, config.backend
    if backend.argument is None or run.limit is not None or run.rows is not None:
        return
    can = target.capabilities
    if can.noisy and not can.vjp and _has_feature_maps(config):
        raise OptionError(
            f"every image takes hundreds of executions of {config.model.name}, and all of them "
            f"hours on '{backend}'; add --rows {N_ROWS} to execute rows of its feature maps, or "
            "--limit N for N whole images"
        )


def _bounded_comparison(config: Config) -> Config:
    """The config with images to calibrate by where mitigations are compared that need some."""
    run, backend = config.run, config.backend
    if run.mitigations is None:
        return config
    if not backend.is_machine:
        raise OptionError(
            f"'{backend}' is no machine whose errors could be mitigated; name one, for example "
            "--backend ibm_fez, or fake_fez for a rehearsal"
        )
    if run.rows is not None or _has_feature_maps(config):
        raise OptionError(
            f"every image takes hundreds of rows of {config.model.name}: mitigations are compared "
            "for a model with one quantum layer, which an image passes once"
        )
    if config.train.weights == "quantum":
        raise OptionError(
            "mitigations are compared with the weights as they are; leave --train out"
        )
    if run.limit is not None and run.limit < 2:
        raise OptionError(f"--limit must be at least 2 to compare images, got {run.limit}")
    calibrates = "calibrated" in run.mitigations
    if run.calibrate is not None and not calibrates:
        raise OptionError(
            f"--calibrate {run.calibrate} is for the variant 'calibrated', which is not among "
            f"{', '.join(run.mitigations)}; leave it out, or add the variant"
        )
    if run.calibrate is None and calibrates:
        run = run.model_copy(update={"calibrate": N_CALIBRATING})
    return config.model_copy(update={"run": run})


def _bounded_rows(config: Config) -> tuple[Config, list[str]]:
    """The config with rows of feature maps where a device could not execute whole images."""
    notes: list[str] = []
    run, backend = config.run, config.backend
    if not _has_feature_maps(config):
        if run.rows is not None:
            raise OptionError(
                f"{config.model.name} (arm {config.model.arm}) has no quantum pointwise "
                "convolutions, whose rows --rows draws; --limit N takes fewer images"
            )
        return config, notes
    if backend.is_machine and config.train.weights == "quantum":
        raise OptionError(
            f"every image takes hundreds of rows of {config.model.name}: its circuits cannot be "
            f"trained on '{backend}'; leave --train out, --rows N measures the trained net there"
        )
    if run.calibrate is not None:
        raise OptionError(
            f"--calibrate fits its map on whole images, which {config.model.name} takes hundreds "
            "of rows for; leave it out, --rows N fits such a map on rows of feature maps"
        )
    is_simulated_device = backend.argument is not None
    if run.rows is None and backend.is_machine:
        run = run.model_copy(update={"rows": N_ROWS})
        notes.append(
            f"every image takes hundreds of executions of {config.model.name}: {N_ROWS} rows of "
            "its feature maps are drawn by the seed; --rows N draws another number"
        )
    if run.rows is None:
        return config, notes
    if not (backend.is_machine or is_simulated_device or run.shots is not None):
        raise OptionError(
            f"'{backend}' makes no error that rows could measure; name a device, for example "
            "--backend fake_brisbane or aer:fake_brisbane"
        )
    if run.limit is None:
        run = run.model_copy(update={"limit": N_SIMULATED})
        notes.append(
            f"the accuracy to expect is simulated on {N_SIMULATED:,} test images, drawn by the "
            "seed; --limit N takes another number"
        )
    return config.model_copy(update={"run": run}), notes


def _has_feature_maps(config: Config) -> bool:
    if config.model.factory is not None:
        return False
    # Models bring torch along, which other commands have no use for.
    from models import find_plan

    plan = find_plan(config.model.name)
    return plan.is_pixelwise and config.model.arm in plan.quantum_arms
