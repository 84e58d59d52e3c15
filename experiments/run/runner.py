"""One run on its way: training, fine-tuning, validation, and the status that its folder shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from models import count_parameters
from qbackend.errors import (
    JobsPendingError,
    JobTimeoutError,
    QhcError,
    RecordError,
    SendingInterruptedError,
)
from qbackend.seam.backend import QuantumBackend

from ..assembly.access import Access
from ..assembly.backends import LOCAL_BACKEND, ideal_backend, target_backend, trains_there
from ..assembly.construct import quantum_layers, trained_model
from ..assembly.fabric import device_name, leave
from ..config.sections import Config
from ..data import ImageData
from ..evaluation.assess import assess, assess_on_target
from ..evaluation.validation import Validation
from ..records.checkpoint import load_model
from ..records.environment import computer
from ..records.folder import RunFolder, Status
from ..records.loggers import open_loggers
from ..report import write_report
from ..rows.measurement import RowMeasurement
from ..training.train import Training
from .approval import Approval
from .display import Display
from .jobs import sending_words
from .ledger import has_jobs_under_way, run_tag
from .plan import plan_run


@dataclass(frozen=True)
class Runner:
    """A run with all that it works with.

    Attributes:
        config: what it is.
        data: its images.
        folder: its records.
        fabric: devices and processes, launched.
        display: told what happens.
        access: to a machine.
    """

    config: Config
    data: ImageData
    folder: RunFolder
    fabric: Fabric
    display: Display
    access: Access

    def train(self, model: nn.Module) -> RunFolder | None:
        """Train by the recipe and evaluate; None in every process but the first."""
        config, folder = self.config, self.folder
        if not self.fabric.is_global_zero:
            Training(config, self.data, model, folder, self.fabric, self.display).run()
            leave()
            return None
        with self._status():
            self._begin(model)
            self._train(model)
            leave()
            stand_in = None if trains_there(config) else LOCAL_BACKEND
            assess(model, config, self.data, folder, checkpoint="last", backend=stand_in)
            load_model(folder.checkpoint, model)
            self._evaluate(model, "best")
        return self._ended()

    def fine_tune(self, checkpoint: Path) -> RunFolder:
        """Train the circuit's weights of a checkpoint on the config's backend, and evaluate."""
        with self._status():
            model, runner = self._trained(checkpoint)
            runner._begin(model)
            model.requires_grad_(False)
            for layer in quantum_layers(model):
                layer.requires_grad_()
            with closing(runner._target(model)) as target:
                chosen = self.config.train.gradient
                # One that is named is asked for together with the outputs.
                named = target.capabilities.gradient_methods[0] if chosen == "auto" else chosen
                for layer in quantum_layers(model):
                    layer.to_backend(target, seed=self.config.run.seed, gradient=named)
                runner._train(model)
            load_model(self.folder.checkpoint, model)
            runner._evaluate(model, "best")
        return self._ended()

    def validate(self, checkpoint: Path, name: str) -> RunFolder:
        """Evaluate a checkpoint, which the records call `name`, on the config's backend."""
        with self._status():
            model, runner = self._trained(checkpoint)
            runner._begin(model)
            runner._evaluate(model, name)
        return self._ended()

    def _trained(self, checkpoint: Path) -> tuple[nn.Module, Runner]:
        """The model, and this run with the pixel scale that the model was trained with."""
        model, info = trained_model(checkpoint, backend=ideal_backend(), seed=self.config.run.seed)
        data = replace(self.data, mean=info.mean, std=info.std)
        return model.to(self.fabric.device), replace(self, data=data)

    def _begin(self, model: nn.Module) -> None:
        everything, quantum = count_parameters(model)
        self.folder.note("run", parameters=everything, quantum_parameters=quantum)
        self.folder.note("computer", **computer(device_name(self.fabric.device)))
        self.display.begin_run(self.config, self.folder, everything, quantum)

    def _train(self, model: nn.Module) -> None:
        given = (self.config, self.data, model, self.folder, self.fabric, self.display)
        with open_loggers(self.config, self.folder.path) as loggers, self.display.training():
            Training(*given, loggers).run()

    def _evaluate(self, model: nn.Module, checkpoint: str) -> None:
        given = (model, self.config, self.data, self.folder)
        if self.config.run.rows is not None:
            with self.display.waiting(), closing(self._target(model)) as target:
                RowMeasurement(*given, target, checkpoint=checkpoint).run()
            return
        if not self.config.backend.is_machine:
            assess_on_target(*given, checkpoint=checkpoint)
            return
        with self.display.waiting(), closing(self._target(model)) as target:
            Validation(*given, target, checkpoint=checkpoint).run()

    def _target(self, model: nn.Module) -> QuantumBackend:
        """The config's backend; a machine with the run's ledger and budget."""
        config, folder, access = self.config, self.folder, self.access
        name = config.run.backend
        if not config.backend.is_machine:
            return target_backend(config)
        approval = Approval(name, folder, self.display, yes=access.yes)
        target = target_backend(
            config,
            **access.account(),
            ledger=folder.ledger,
            approve=approval,
            progress=self.display.progress,
            wait=access.wait,
            run_tag=run_tag(folder),
        )
        if not folder.run.get("approved"):
            with self.display.waiting():
                approval.plan = plan_run(model, config, self.data, target)
            approval.plan.check(config.machine.max_qpu_seconds)
            folder.note("run", requests=approval.plan.total.requests)
        return target

    def _ended(self) -> RunFolder:
        if self.folder.status == "finished":
            write_report([self.folder.path])
        return self.folder

    @contextmanager
    def _status(self) -> Iterator[None]:
        """Keeps [run] status in step with what happens inside."""
        folder = self.folder
        try:
            folder.note("run", status="running")
            yield
            folder.note("run", status="finished")
        except KeyboardInterrupt:
            # The interruption may come between the sending of jobs and the wait for them.
            status: Status = "interrupted"
            with suppress(QhcError):
                if has_jobs_under_way(folder):
                    status = "waiting"
            self._note_end(status)
            self.display.say(f"interrupted; go on with: qhc resume {folder.path}")
            raise
        except (JobsPendingError, JobTimeoutError) as pending:
            self._note_end("waiting")
            if self.access.wait or isinstance(pending, SendingInterruptedError | JobTimeoutError):
                raise
            for words in (str(pending), sending_words(self.folder)):
                if words:
                    self.display.say(words)
        except BaseException:
            self._note_end("failed")
            raise

    def _note_end(self, status: Status) -> None:
        # What stopped the run is worth more to the caller than a second error about its record.
        with suppress(RecordError):
            self.folder.note("run", status=status)
