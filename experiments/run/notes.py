"""Where a run is not quite what its record's headings say: notes, a sentence each."""

from __future__ import annotations

from torch import nn

from qbackend.validation.records.environment import versions

from ..assembly.backends import LOCAL_BACKEND
from ..assembly.construct import quantum_layers
from ..config.sections import Config
from ..records.checkpoint import ModelInfo
from ..records.folder import RunFolder


def seed_note(info: ModelInfo, config: Config) -> list[str]:
    """On a seed that is not the one that the model was trained with."""
    if info.seed == config.run.seed:
        return []
    return [
        f"the model was trained with seed {info.seed}; seed {config.run.seed} draws what is random "
        "from here on"
    ]


def backend_notes(model: nn.Module, config: Config, *, trains_elsewhere: bool) -> list[str]:
    """On what runs elsewhere than on the backend that the record names."""
    run, name = config.run, config.backend
    if not quantum_layers(model):
        if name.is_simulator and name.argument is None and run.shots is None:
            return []
        shots = "" if run.shots is None else f", {run.shots} shots"
        return [
            f"{config.model.name} (arm {config.model.arm}) has no quantum layer: nothing of it "
            f"runs on {run.backend}{shots}"
        ]
    if not trains_elsewhere:
        return []
    device = name.argument if name.key == "aer" else None
    under = f"; native:{device} trains under its noise" if device else ""
    return [f"trained on {LOCAL_BACKEND}, exactly: a step on {run.backend} takes too long{under}"]


def note_versions(folder: RunFolder) -> None:
    """Record with what a run goes on, where that is not what it began with."""
    now = versions()
    changed = [
        f"{name} {now.get(name, 'absent')} in place of {found}"
        for name, found in folder.versions.items()
        if now.get(name) != found and name != "commit"
    ]
    if changed:
        note = f"resumed with {', '.join(changed)}"
        folder.note(notes=[*folder.state.notes, note])
