"""IBM Quantum's service on 127.0.0.1, for the unmodified client, with faults on demand.

Start a `LoopbackServer`, give its `environment` to the client (in this process or another), and
look at `jobs`, `sessions` and `requests` afterwards. `python -m tests.loopback` starts one by
hand.
"""

from .account import PAID_PLAN, Instance, Plan
from .faults import Cut, Do, Empty, Fault, Hang, Page, Refuse, Reset, Status, Unlisted
from .jobs import CANCELLED_ELSEWHERE, FAILED, RAN_TOO_LONG, Ending, Job, Session, State
from .machines import Machine, MachineStatus
from .records import Request
from .retries import instant_retries
from .server import LoopbackServer

__all__ = [
    "CANCELLED_ELSEWHERE",
    "FAILED",
    "PAID_PLAN",
    "RAN_TOO_LONG",
    "Cut",
    "Do",
    "Empty",
    "Ending",
    "Fault",
    "Hang",
    "Instance",
    "Job",
    "LoopbackServer",
    "Machine",
    "MachineStatus",
    "Page",
    "Plan",
    "Refuse",
    "Request",
    "Reset",
    "Session",
    "State",
    "Status",
    "Unlisted",
    "instant_retries",
]
