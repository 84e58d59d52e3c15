"""Validate a model with quantum layers on simulators, under noise and on machines, from Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ..errors import JobsPendingError, JobTimeoutError, RunFolderError
from ..layers.inputs import seed_number
from ..machines.consent import Approve, check_approve
from ..machines.options import ExecutionOptions
from ..registry import AnyBackend, parse_name
from ..seam.backend import QuantumBackend
from ..seam.requests import check_shots
from .asking import Asker
from .chosen import Ways, options_of
from .evaluation import Outcome, evaluate, exact_values
from .folder import OwnRun, check_place, differences, free_path, is_own
from .lines import WholeLine
from .measures import Measure, Metric, checked_metrics, measure_of
from .plan import Consent, Plan, check_askable
from .prepared import Given, Prepared
from .records.charges import ledger_summary
from .records.environment import computer, without_home
from .records.ledger import check_ledger, run_tag
from .records.status import kept_status
from .result import Validation, score_words
from .scoring import moved_since, stage_arrays, stage_line
from .telling import Telling, in_python
from .trips import Place

if TYPE_CHECKING:
    from ..circuits.device_form import Preparation
    from ..devices.noise_spec import NoiseSpec


def validate(
    model: nn.Module,
    data: Any,
    backends: Sequence[AnyBackend] = ("aer",),
    *,
    run: str | Path | None = None,
    approve: Approve | None = None,
    shots: int | None = None,
    limit: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    task: str | None = None,
    calibrate: int | None = None,
    calibration_data: Any = None,
    options: ExecutionOptions | Mapping[str, Any] | None = None,
    noise: NoiseSpec | None = None,
    preparation: Preparation | None = None,
    seed: int = 0,
    repeats: str | Path | None = None,
    credentials: str | Path | None = None,
    profile: str | None = None,
    wait: bool = True,
) -> Validation:
    """Evaluate a model with its quantum layers on each of the backends, weights unchanged.

    The model is evaluated without noise first, then on what is free, then on machines. A quantum
    layer is asked for all items in one request; a layer behind another waits for its answers. The
    plan of all machines is shown and asked about once, before anything is sent. The same call goes
    on with a run that was interrupted, and pays for nothing twice. Mode and backends of the model
    and its layers are afterwards what they were. No derivatives are computed.

    Args:
        model: any module with `QuantumLayer` or `QuantumPointwiseConv2d` in it, called with a
            batch's inputs; it gives a tensor, an output per item.
        data: batches (inputs (B, ...), targets (B, ...)): a DataLoader, a list, a generator; a
            Dataset, which is taken in batches of 256 in its order; or a pair of tensors. Inputs may
            be a tuple or a dict of tensors, that the model is called with.
        backends: names as `get_backend` takes them, Qiskit backends, or backends of ours.
        run: folder of the run; None makes one under `runs/`.
        approve: is shown the cost of the whole plan and says whether it may be spent; None asks at
            the terminal. What costs nothing needs no yes.
        shots: per circuit on machines and Qiskit backends, 1024 unless given; simulators are exact.
        limit: only the first items.
        metrics: your own beside the usual ones, by name: functions of outputs and targets, which
            give a number.
        task: "classification", "regression", "multi-label" or "own", where the targets do not say.
        calibrate: correct the outputs of each noisy layer by affine maps that are fitted on so many
            items, in the same request; a stage of its own.
        calibration_data: these are its first items.
        options: how machines execute: fields of `ExecutionOptions`, for example
            {"copies": 1, "max_qpu_seconds": 120}.
        noise: strengths of the parts of simulated devices' noise.
        preparation: how amplitudes are prepared on devices: "auto", "compact" or "textbook".
        seed: of what is sampled here, and of what is random in the model.
        repeats: folder of an earlier run of the same model and data, to be set beside.
        credentials, profile: which account.
        wait: for the results; else `JobsPendingError` says that jobs are sent.

    Raises:
        ApprovalError: nobody said yes to the plan; it says what it would have cost.
        BudgetError: the plan takes more than options["max_qpu_seconds"], or the account has.
        InputError: data, or features, that cannot be used.
        OptionError: what cannot be done, no quantum layers among it.
        RunFolderError: `run` is of something else; the message says what differs.
        QhcError: as the backends' `submit` and `result`.
    """
    path = None if run is None else Path(run)
    check_place(path)
    checked_metrics(metrics)
    telling = Telling()
    ways = Ways(
        shots=check_shots(shots),
        seed=seed_number(seed) or 0,
        options=options_of(options),
        noise=noise,
        preparation=preparation,
        credentials=None if credentials is None else Path(credentials),
        profile=profile,
        wait=wait,
    )
    given = Given.read(
        model,
        data,
        _chosen_before(path, backends),
        ways,
        telling,
        limit=limit,
        calibrate=calibrate,
        calibration_data=calibration_data,
    )
    try:
        config = given.config(task, metrics)
        folder = _found(path, config)
        if folder is not None and folder.whole is not None:
            telling.say(f"{folder.path} is finished; nothing is left to do")
            return Validation.of(folder, folder.whole)
        earlier = None if repeats is None else _repeated(Path(repeats), config)
        if folder is not None:
            check_ledger(folder)
        prepared = Prepared.of(given, telling)
        targets = given.batches.target
        measure = measure_of(task, metrics, prepared.ideal.outputs, targets)
        plan = prepared.plan(given.backends.machines)
        is_approved = folder is not None and folder.state.approved
        if not is_approved:
            plan.check(ways.options.max_qpu_seconds)
            check_askable(plan, check_approve(approve), telling)
        if folder is None:
            folder = _new(path, config, given, repeats)
        work = _Work(prepared, folder, measure, plan, approve, telling, earlier)
        with _told(folder, telling, given):
            work.run()
        whole = folder.whole
        assert whole is not None
        return Validation.of(folder, whole)
    finally:
        given.backends.close()


class _Work:
    """A validation that is executed and recorded."""

    def __init__(
        self,
        prepared: Prepared,
        folder: OwnRun,
        measure: Measure,
        plan: Plan,
        approve: Approve | None,
        telling: Telling,
        earlier: OwnRun | None,
    ) -> None:
        self.prepared, self.folder, self.measure = prepared, folder, measure
        self.plan, self.telling, self.earlier = plan, telling, earlier
        self.targets = prepared.given.batches.target
        self.reference = prepared.asker(prepared.given.backends.reference)
        self.consent = Consent(folder, plan, approve, telling)

    def run(self) -> None:
        """Every stage that is not on record yet, then the whole."""
        prepared, folder = self.prepared, self.folder
        backends = prepared.given.backends
        if not folder.arrays():
            folder.keep({"targets": self.targets.numpy()})
        self._record(self.reference.name, self.reference, prepared.ideal)
        for backend in backends.free[1:]:
            self._assess(backend)
        if backends.machines:
            folder.note(requests=max(1, len(self.plan.shares)))
        for machine in backends.machines:
            machine.keep_jobs(folder.ledger, approve=self.consent, run_tag=run_tag(folder))
            self._assess(machine, self.consent.counting(machine.name))
        folder.write_table()
        # A session is charged until it is closed.
        backends.close()
        charges = ledger_summary(folder)
        more: dict[str, Any] = {} if charges is None else {"charges": charges}
        if self.earlier is not None:
            layers = list(prepared.given.layers)
            more["moved"] = (moved_since(self.earlier, folder, layers, self.measure),)
        folder.append(WholeLine(task=self.measure.task, **more))

    def _assess(
        self,
        backend: QuantumBackend,
        before: Callable[[Place, int], None] = lambda place, rows: None,
    ) -> None:
        prepared, can = self.prepared, backend.capabilities
        known = prepared.known if can.noisy or not can.exact else None
        asker = prepared.asker(backend)
        names = [asker.name, *([] if known is None else [f"{asker.name}, calibrated"])]
        recorded = {line.stage for line in self.folder.stages()}
        if set(names) <= recorded:
            return
        total = prepared.rows(asker, known)
        given = prepared.given
        with self.telling.counting(asker.name, total) as tell:
            found = evaluate(prepared.road, given.batches, asker, tell, known, before)
        for name, outcome in zip(names, found, strict=False):
            assert outcome is not None
            outcome.exact = exact_values(prepared.road, outcome, self.reference)
            self._record(name, asker, outcome, name != asker.name)

    def _record(
        self, name: str, asker: Asker, outcome: Outcome, is_calibrated: bool = False
    ) -> None:
        """Enter a stage, its arrays first, unless it is there."""
        given, folder = self.prepared.given, self.folder
        stages = folder.stages()
        if name in {line.stage for line in stages}:
            return
        calibrating = given.calibrating if is_calibrated else None
        line = stage_line(
            name,
            asker,
            self.prepared.road,
            list(given.layers),
            (outcome, self.prepared.ideal),
            self.measure,
            self.targets,
            None if calibrating is None else len(calibrating),
        )
        folder.keep(stage_arrays(len(stages), outcome))
        folder.append(line)
        scores = ", ".join(f"{key} {score_words(each)}" for key, each in line.scores.items())
        self.telling.say(f"{name}: {scores}; {line.seconds:.1f} s")


def _chosen_before(path: Path | None, backends: Sequence[AnyBackend]) -> Sequence[AnyBackend]:
    """The backends, an account's best machine as it was chosen when the run began."""
    if path is None or isinstance(backends, str) or not is_own(path):
        return backends
    chosen = OwnRun.open(path).backend
    return [
        chosen if isinstance(each, str) and parse_name(each).is_choice else each
        for each in backends
    ]


def _found(path: Path | None, config: Mapping[str, Any]) -> OwnRun | None:
    """The run that the call goes on with; raises `RunFolderError` for one of something else."""
    if path is None or not is_own(path):
        return None
    folder = OwnRun.open(path)
    if found := differences(folder.config, config):
        raise RunFolderError(
            f"{path} is of another validation; nothing was sent. It differs in:\n"
            + "\n".join(f"  - {each}" for each in found)
            + "\nGive what it began with to go on, or another run="
        )
    return folder


def _repeated(path: Path, config: Mapping[str, Any]) -> OwnRun:
    """The run that is to be set beside; raises `RunFolderError` unless that can be done."""
    folder = OwnRun.open(path)
    if folder.whole is None:
        raise RunFolderError(f"{path} is {folder.status}: there is no whole answer to repeat yet")
    parts = ("model", "data", "judged")
    pair = [{part: each[part] for part in parts} for each in (folder.config, config)]
    if found := differences(*pair):
        raise RunFolderError(f"{path} is not repeated by this: it differs in " + "; ".join(found))
    return folder


def _new(
    path: Path | None, config: dict[str, Any], given: Given, repeats: str | Path | None
) -> OwnRun:
    ways = given.ways
    run = {**config["run"], "command": _command()}
    if ways.credentials is not None:
        run["credentials"] = without_home(str(ways.credentials.absolute()))
    if ways.profile is not None:
        run["profile"] = ways.profile
    if repeats is not None:
        run["repeats"] = without_home(str(repeats))
    notes = []
    if given.backends.is_reference_added:
        notes.append(
            f"{given.backends.reference.name}, exact and without noise, is evaluated too: what "
            "the others are compared with"
        )
    whole = path or free_path(given.model)
    return OwnRun.create(whole, {**config, "run": run}, given.model, notes)


def _command() -> str:
    """What was typed; nothing of a notebook's, whose kernel has a command of its own."""
    if not sys.argv[0] or "ipykernel" in sys.argv[0]:
        return ""
    return without_home(" ".join(["python", *sys.argv]))


@contextmanager
def _told(folder: OwnRun, telling: Telling, given: Given) -> Iterator[None]:
    """Keeps the status in step with what happens inside, and says how the run goes on."""
    device = next((each.device for each in given.model.parameters()), None)
    goes_on = f"the same call of validate goes on with {folder.path}"
    try:
        with kept_status(folder):
            folder.note(
                computer=computer(str(device or "cpu")),
                parameters=sum(each.numel() for each in given.model.parameters()),
                quantum_parameters=sum(each.spec.n_weights for each in given.layers.values()),
            )
            yield
    except KeyboardInterrupt:
        telling.say(f"interrupted; {goes_on}")
        raise
    except (JobsPendingError, JobTimeoutError) as error:
        error.args = (
            in_python(str(error), folder.path, is_fake=parse_name(folder.backend).is_fake),
        )
        telling.say(f"waiting; {goes_on}, and qhc jobs {folder.path} looks at its jobs")
        raise
    except BaseException:
        telling.say(f"failed; {goes_on}")
        raise
