"""The loopback server: IBM Quantum's service on 127.0.0.1, for the unmodified client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from .account import Identity, Instance
from .faults import Faults
from .jobs import CANCELLED_ELSEWHERE, Job, Session, State
from .machines import Machine
from .records import Request
from .rest import Cloud
from .routes import CATALOGUE, RUNTIME
from .transport import Listener
from .workload import Workload


class LoopbackServer:
    """IBM Quantum's service with machines, instances and faults of one's own choosing.

        with LoopbackServer() as server, mock.patch.dict(os.environ, server.environment):
            service = QiskitRuntimeService()

    Attributes:
        identity: the API key, and the tokens.
        machines, instances: by name, and by CRN; the first instance is the default one.
        workload: jobs and sessions, and what holds or ends them.
        faults: to arrange what goes wrong.
        requests: everything that arrived, in the order of the answers.
    """

    def __init__(
        self,
        machines: Iterable[Machine] | None = None,
        instances: Iterable[Instance] | None = None,
        *,
        port: int = 0,
        seed: int = 0,
        token_seconds: float = 3600.0,
        usage_seconds: float = 0.0,
    ) -> None:
        """`port` 0 takes a free one; `usage_seconds` is how long a job's usage stays pending."""
        machines = [Machine.load()] if machines is None else list(machines)
        instances = [Instance()] if instances is None else list(instances)
        self.identity = Identity(token_seconds)
        self.machines = {machine.name: machine for machine in machines}
        self.instances = {instance.crn: instance for instance in instances}
        self.workload = Workload(self.machines, self.instances, seed, usage_seconds)
        self.cloud = Cloud(self.identity, self.workload)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self.port = port
        self._listener: Listener | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self._listen()
        self.workload.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self.workload.stop()
        self._stop_listening()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that bring the client here; the API key is among them.

        Without its usage data the client does not walk the caller's stack at every request, which
        in a test costs more than the request.
        """
        root = f"http://127.0.0.1:{self.port}"
        return {
            "QISKIT_IBM_TOKEN": self.identity.api_key,
            "QISKIT_IBM_INSTANCE": next(iter(self.instances)),
            "QISKIT_IBM_CHANNEL": "ibm_quantum_platform",
            "QISKIT_IBM_URL": root + RUNTIME,
            "IAM_URL": root,
            "GLOBAL_SEARCH_URL": root,
            "GLOBAL_CATALOG_URL": root + CATALOGUE,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "USAGE_DATA_OPT_OUT": "True",
        }

    @property
    def instance(self) -> Instance:
        """The default one."""
        return next(iter(self.instances.values()))

    @property
    def jobs(self) -> list[Job]:
        """Every job that was ever accepted."""
        return self.workload.jobs

    @property
    def sessions(self) -> list[Session]:
        """Every batch and session that was ever opened."""
        return self.workload.sessions

    @property
    def key_exposed(self) -> bool:
        """Whether the raw API key ever arrived, but for the exchange against a token."""
        return any(request.key_exposed for request in self.requests)

    def received(self, method: str, route: str) -> list[Request]:
        """The requests of one kind."""
        return [r for r in self.requests if r.method == method and r.route == route]

    def deliveries(self, job: Job) -> int:
        """How often the job's result went out whole; what a failed job says does not count."""
        if job.state is not State.COMPLETED:
            return 0
        path = f"/jobs/{job.id}/results"
        return sum(r.intact and r.status == 200 and r.path.endswith(path) for r in self.requests)

    def cancelled(self) -> list[str]:
        """Ids of the jobs that clients asked to cancel, as often as they asked."""
        return [r.path.split("/")[-2] for r in self.received("POST", "/jobs/{id}/cancel")]

    def cancel(self, job: Job) -> bool:
        """Cancel a job as its owner would on IBM's web page; False if it had ended."""
        return self.workload.end(job, CANCELLED_ELSEWHERE)

    def wait_for(self, state: State, *, n_jobs: int = 1, timeout: float = 10.0) -> None:
        """Until `n_jobs` jobs are in `state`; raises `TimeoutError`."""
        self.wait(lambda: sum(j.state is state for j in self.jobs) >= n_jobs, timeout)

    def wait(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Until `condition` holds; raises `TimeoutError`."""
        self.workload.wait(condition, timeout)

    def refuse_connections(self, seconds: float) -> None:
        """Close the listening socket and every connection; listen again after `seconds`."""
        self._stop_listening()
        threading.Thread(target=self._listen_after, args=(seconds,), daemon=True).start()

    def accept_connections(self) -> None:
        """Listen again, before the time that `refuse_connections` was told is over."""
        self._listen()

    def note(self, request: Request) -> None:
        """Keep a request; the transport's side of `requests`."""
        with self._lock:
            self.requests.append(request)

    def _listen_after(self, seconds: float) -> None:
        if not self.stopping.wait(seconds):
            self._listen()

    def _listen(self) -> None:
        with self._lock:
            if self._listener is None and not self.stopping.is_set():
                self._listener = _bind(self)
                self.port = self._listener.server_port
                threading.Thread(
                    target=self._listener.serve_forever, args=(0.02,), daemon=True
                ).start()

    def _stop_listening(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown()
            listener.server_close()
            listener.break_connections()


def _bind(server: LoopbackServer, patience: float = 5.0) -> Listener:
    """A listener on the server's port; connections of before may still hold it for a moment."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return Listener(server)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
