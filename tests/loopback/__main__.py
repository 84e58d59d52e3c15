"""A loopback server for trials by hand: `python -m tests.loopback --port 8080`.

It prints the variables to export, and stops by itself.
"""

from __future__ import annotations

import argparse
import shlex
import time

from .account import PAID_PLAN, Instance, Plan
from .machines import Machine
from .server import LoopbackServer


def main() -> None:
    options = _options()
    machines = [
        Machine.load(
            name,
            device=options.device,
            n_qubits=options.qubits or None,
            noisy=not options.exact,
            queue_seconds=options.queue_seconds,
            run_seconds=options.run_seconds,
        )
        for name in options.machine
    ]
    plan = PAID_PLAN if options.paid else Plan()
    with LoopbackServer(machines, [Instance(plan=plan)], port=options.port) as server:
        for name, value in server.environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print(f"# until then: {options.minutes:g} minutes, or Ctrl-C", flush=True)
        try:
            time.sleep(60 * options.minutes)
        except KeyboardInterrupt:
            print(f"# {len(server.jobs)} jobs, {len(server.requests)} requests")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--machine", action="append", help="name, more than once for several")
    parser.add_argument("--device", default="fez", help="snapshot that they are made from")
    parser.add_argument("--qubits", type=int, default=16, help="of it; 0: all")
    parser.add_argument("--exact", action="store_true", help="without noise")
    parser.add_argument("--paid", action="store_true", help="a plan with sessions")
    parser.add_argument("--queue-seconds", type=float, default=0.0)
    parser.add_argument("--run-seconds", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long it runs")
    options = parser.parse_args()
    options.machine = options.machine or ["ibm_loopback"]
    return options


if __name__ == "__main__":
    main()
