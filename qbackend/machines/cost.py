"""What a request costs on a machine, known before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from ..seam.requests import Cost


@dataclass(frozen=True)
class Price:
    """What a second of QPU time costs, in a currency."""

    per_second: float
    currency: str

    def money(self, seconds: float) -> float:
        """For so many seconds, to the hundredth."""
        return round(self.per_second * seconds, 2)

    def words(self, seconds: float) -> str:
        """The same, with the currency."""
        return f"{self.money(seconds):,.2f} {self.currency}"


@dataclass(frozen=True)
class MachineCost(Cost):
    """The plan of a request on a machine.

    Attributes:
        pubs: of all jobs together.
        copies: of the layer side by side, so many rows one circuit answers.
        executions: circuits times shots that the machine performs, with those that readout
            mitigation, twirling and extrapolation add.
        machine_seconds: of QPU time; what a machine would take, also for a fake device, whose
            `qpu_seconds` are 0.
        readouts: circuits that a row takes, each measured in a basis of its own.
        derivatives: those of the rows that only derivatives need.
        two_qubit_gates: of one row's circuit.
        two_qubit_depth: of one row's circuit.
        max_execution_time: seconds of QPU time after which the service stops a job, of several the
            longest; None where nothing is paid.
        fractional_gates: what they save of a row's circuit, in words; "" without them.
        seconds_left: of the account's plan; None where the service does not say.
        plan: its name.
        price: of a second; None where it is not known, or nothing is paid.
    """

    pubs: int = 0
    copies: int = 1
    executions: int = 0
    machine_seconds: float = 0.0
    readouts: int = 1
    derivatives: int = 0
    two_qubit_gates: int = 0
    two_qubit_depth: int = 0
    max_execution_time: int | None = None
    fractional_gates: str = ""
    seconds_left: float | None = None
    plan: str = ""
    price: Price | None = None

    @property
    def words(self) -> str:
        """How many rows, and at how many shots."""
        shots = self.shots // (self.rows * self.readouts)
        bases = f" in each of {self.readouts} bases" if self.readouts > 1 else ""
        beside = f", {self.copies} side by side," if self.copies > 1 else ""
        return f"{self.rows:,} row{'' if self.rows == 1 else 's'}{beside} at {shots} shots{bases}"
