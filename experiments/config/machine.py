"""The recipe's [machine] section."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict

from qbackend.machines.options import ExecutionOptions


@dataclass(frozen=True)
class MachineSection(ExecutionOptions):
    """How a machine is asked to execute; a simulator has no use for it."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
