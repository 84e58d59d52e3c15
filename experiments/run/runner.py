"""One run on its way: training, fine-tuning, validation, and the status that its folder shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from models import count_parameters
from qbackend.errors import (
    JobsPendingError,
    JobTimeoutError,
    RunFolderError,
    SendingInterruptedError,
)
from qbackend.registry import parse_name
from qbackend.validation.records.environment import computer
from qbackend.validation.records.ledger import run_tag
from qbackend.validation.records.status import kept_status

from ..assembly.backends import LOCAL_BACKEND, trains_there
from ..assembly.construct import quantum_layers
from ..assembly.fabric import device_name, leave
from ..assembly.feed import evaluation_split
from ..evaluation.assess import assess, assess_on_target
from ..evaluation.drift import record_drift
from ..evaluation.validation import Validation
from ..joint.evaluation import JointEvaluation
from ..mitigation.comparison import MitigationComparison
from ..records.checkpoint import load_model
from ..records.folder import RunFolder
from ..records.loggers import Logger, open_loggers
from ..report.write import write_report
from ..rows.calls import OwnCalls, watched
from ..rows.measurement import RowMeasurement
from ..training.train import Training
from .approval import Approval
from .jobs import sending_words
from .plan import RunPlan
from .stages import Run


@dataclass(frozen=True)
class Runner:
    """A run that is executed and recorded.

    Attributes:
        run: with all that it works with.
        folder: its records.
        plan: of what it will ask of a machine, where that was made before the folder.
    """

    run: Run
    folder: RunFolder
    plan: RunPlan | None = None

    def train(self) -> RunFolder | None:
        """Train by the recipe and evaluate; None in every process but the first."""
        run, folder = self.run, self.folder
        if not run.fabric.is_global_zero:
            self._training().run()
            leave()
            return None
        with self._status():
            self._begin()
            self._train()
            leave()
            stand_in = None if trains_there(run.config, run.target) else LOCAL_BACKEND
            assess(run.model, run.config, run.data, folder, checkpoint="last", backend=stand_in)
            load_model(folder.checkpoint, run.model)
            self._go_to_target()
            self._evaluate("best")
        return self._ended()

    def fine_tune(self) -> RunFolder:
        """Train the circuit's weights alone, on the target, and evaluate."""
        run = self.run
        with self._status():
            self._begin()
            self._go_to_target()
            run.model.requires_grad_(False)
            chosen = run.config.train.gradient
            # One that is named is asked for together with the outputs.
            named = run.target.capabilities.gradient_methods[0] if chosen == "auto" else chosen
            for layer in quantum_layers(run.model):
                layer.requires_grad_()
                layer.to_backend(run.target, seed=run.config.run.seed, gradient=named)
            self._train()
            load_model(self.folder.checkpoint, run.model)
            self._evaluate("best")
        return self._ended()

    def validate(self, checkpoint: str) -> RunFolder:
        """Evaluate the model, whose checkpoint the records call that, on the target."""
        with self._status():
            self._begin()
            self._go_to_target()
            self._evaluate(checkpoint)
        return self._ended()

    def _begin(self) -> None:
        run, folder = self.run, self.folder
        everything, quantum = count_parameters(run.model)
        on = computer(device_name(run.fabric.device))
        folder.note(parameters=everything, quantum_parameters=quantum, computer=on)
        run.display.begin_run(run.config, folder, everything, quantum)

    def _go_to_target(self) -> None:
        """From here on the target may be asked; a machine, for what is planned and approved."""
        run, folder, name = self.run, self.folder, self.run.config.run.backend
        if not run.config.backend.is_machine:
            return
        approval = Approval(name, folder, run.display, yes=run.access.yes)
        run.target.keep_jobs(folder.ledger, approve=approval, run_tag=run_tag(folder))
        is_own = run.config.model.factory is not None
        if is_own and not parse_name(name).is_fake:
            approval.watch = watched(OwnCalls(run.model, run.config, run.data))
        if not folder.state.approved:
            # Whom its weights send through which layers is known once they are trained.
            approval.plan = run.affordable_plan() if is_own else self.plan or run.affordable_plan()
            folder.note(requests=approval.plan.total.requests)

    def _training(self, loggers: Sequence[Logger] = ()) -> Training:
        run = self.run
        return Training(
            run.config, run.data, run.model, self.folder, run.fabric, run.display, loggers
        )

    def _train(self) -> None:
        run = self.run
        with open_loggers(run.config, self.folder.path) as loggers, run.display.training():
            self._training(loggers).run()

    def _evaluate(self, checkpoint: str) -> None:
        run = self.run
        given = (run.model, run.config, run.data, self.folder, run.target)
        with run.display.waiting():
            if run.members:
                JointEvaluation(run.members, run.config, self.folder, run.target).run()
            elif run.config.run.mitigations is not None:
                MitigationComparison(*given, checkpoint=checkpoint).run()
            elif run.config.run.rows is not None:
                RowMeasurement(*given, checkpoint=checkpoint).run()
            elif run.config.backend.is_machine:
                Validation(*given, checkpoint=checkpoint).run()
            else:
                assess_on_target(*given, checkpoint=checkpoint)
        self._compare_with_repeated()

    def _compare_with_repeated(self) -> None:
        """Set a repeated run beside the one that it repeats.

        What the machine answered stands by itself: where the other one is lost, a note says so.
        """
        run, folder = self.run, self.folder
        if folder.provenance.repeats is None:
            return
        try:
            earlier = folder.repeated
            if earlier is None:
                raise RunFolderError(f"{folder.provenance.repeats} is not there any more")
            limit, seed = run.config.run.limit, run.config.run.seed
            record_drift(folder, earlier, evaluation_split(run.data.test, limit, seed))
        except RunFolderError as error:
            note = f"not compared with the run that it repeats: {error}"
            folder.note(notes=[*folder.state.notes, note])
            run.display.say(f"note: {note}")

    def _ended(self) -> RunFolder:
        if self.folder.status == "finished":
            write_report([self.folder.path])
        return self.folder

    @contextmanager
    def _status(self) -> Iterator[None]:
        """Keeps the status in step with what happens inside; the target is closed behind it."""
        folder, say = self.folder, self.run.display.say
        try:
            with kept_status(folder), closing(self.run.target):
                yield
        except KeyboardInterrupt:
            say(f"interrupted; go on with: qhc resume {folder.path}")
            raise
        except (JobsPendingError, JobTimeoutError) as pending:
            is_told = not isinstance(pending, SendingInterruptedError | JobTimeoutError)
            if self.run.access.wait or not is_told:
                raise
            for words in filter(None, (str(pending), sending_words(folder))):
                say(words)
