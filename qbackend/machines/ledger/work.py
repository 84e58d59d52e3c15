"""A request as its jobs execute it.

Letters: N rows, P circuit parameters, C copies, W wide rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...layers.inputs import Array
from ...seam.requests import CompiledLayer
from ..budget import Allowance
from ..options import ExecutionOptions, Mitigation
from ..service import Call
from .entries import Entry
from .ledger import Ledger
from .tags import rows_tag


@dataclass(frozen=True)
class Work:
    """A request as it was entered in the ledger.

    Attributes:
        key: of the request.
        compiled: what is executed, with all its copies.
        parameters: of wide rows (W, C P), as they were when it was planned.
        shots: per row.
        seed: of a simulator's sampling.
        options: how to execute.
        slots: (N,), where each row that was asked for is executed, see `side_by_side.slots`.
        what: the request's `identity.what_key`.
        run_tag: of the run; None outside of one, whose jobs have a tag of their own only.
        together: seconds estimated for all requests that are sent before one of them is waited for.
        read_as: the readout mitigation that counts are read with in place of the options'.
    """

    key: str
    compiled: CompiledLayer
    parameters: Array
    shots: int
    seed: int | None
    options: ExecutionOptions
    slots: NDArray[np.int_]
    what: str = ""
    run_tag: str | None = None
    together: float = 0.0
    read_as: Mitigation | None = None

    def allowance(
        self, ledger: Ledger, planned: Sequence[Entry], longest: float
    ) -> Allowance | None:
        """What there is for its planned jobs, of at most `longest` seconds; None without charge."""
        to_send = sum(entry.estimate_seconds for entry in planned)
        if to_send == 0:
            return None
        everything = sum(entry.estimate_seconds for entry in ledger.current(self.key))
        budget = self.options.max_qpu_seconds
        return Allowance(
            budget=budget,
            left=budget - ledger.committed_seconds(without={entry.tag for entry in planned}),
            to_send=to_send,
            under_way=max(everything, self.together),
            longest=longest,
        )

    def call(self, entry: Entry, allowance: Allowance | None = None) -> Call:
        """The content of one of its jobs; each samples with a seed of its own.

        A job that is about to be sent has what the allowance gives it, unless the options say more.
        """
        options = self.options
        if allowance is not None and options.max_execution_time is None:
            seconds = allowance.time_limit(entry.estimate_seconds)
            options = replace(options, max_execution_time=seconds)
        last_row = entry.first_row + entry.n_rows
        return Call(
            compiled=self.compiled,
            parameters=self.parameters[entry.first_row : last_row],
            shots=self.shots,
            seed=None if self.seed is None else (self.seed + entry.first_row) % 2**31,
            options=options,
            tags=() if self.run_tag is None else (self.run_tag, rows_tag(self.what, entry)),
            read_as=self.read_as,
        )
