"""Loggers of other makers, beside the run folder's own records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from qbackend.errors import OptionError

from ..config.sections import Config
from .lines import EpochRecord


class Logger(Protocol):
    """Is told of every epoch's record."""

    def log(self, record: EpochRecord) -> None:
        """Keep the record's numbers under its epoch."""


class TensorBoardLogger:
    """Event files in a folder; `tensorboard --logdir` shows them."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def log(self, record: EpochRecord) -> None:
        for name, value in numbers(record).items():
            self._writer.add_scalar(name, value, record.epoch)

    def close(self) -> None:
        """Write out what is still held back."""
        self._writer.close()


class MlflowLogger:
    """An MLflow run, where MLFLOW_TRACKING_URI says."""

    def __init__(self, name: str, config: Config) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.set_experiment("qhc")
        mlflow.start_run(run_name=name)
        mlflow.log_params(_flat(config.to_dict()))

    def log(self, record: EpochRecord) -> None:
        self._mlflow.log_metrics(numbers(record), step=record.epoch)

    def close(self) -> None:
        """End the run."""
        self._mlflow.end_run()


@contextmanager
def open_loggers(config: Config, folder: Path) -> Iterator[list[Logger]]:
    """The loggers that the config asks for, closed at the end; see `check_loggers`."""
    loggers: list[TensorBoardLogger | MlflowLogger] = []
    try:
        if config.log.tensorboard:
            loggers.append(TensorBoardLogger(folder / "tensorboard"))
        if config.log.mlflow:
            loggers.append(MlflowLogger(folder.name, config))
        yield list(loggers)
    finally:
        for logger in loggers:
            logger.close()


def check_loggers(config: Config) -> None:
    """Raise `OptionError` for a logger that is asked for and not installed."""
    for package, asked in (("tensorboard", config.log.tensorboard), ("mlflow", config.log.mlflow)):
        if asked and find_spec(package) is None:
            raise OptionError(
                f"log.{package} is asked for and {package} is not installed: pip install {package}"
            )


def numbers(record: EpochRecord) -> dict[str, float]:
    """The record's numbers, each under a path such as `validation/accuracy`."""
    flat = _flat(record.to_dict(), "/")
    return {key: value for key, value in flat.items() if isinstance(value, int | float)}


def _flat(values: dict[str, Any], separator: str = ".", prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, separator, f"{prefix}{key}{separator}")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
