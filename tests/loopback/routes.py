"""Which endpoint answers which request.

Paths, fields and error codes are those of IBM's reference
(https://quantum.cloud.ibm.com/docs/api/qiskit-runtime-rest, /docs/errors) as far as the client
looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from . import account_endpoints as account
from . import job_endpoints as jobs
from .rest import Call, Cloud, RefusalError, Reply

RUNTIME = "/experimental/api/v1"
"""Where Runtime's interface lies; the client keeps a URL with "experimental" in it as it is."""

CATALOGUE = "/globalcatalog/api/v1"

Endpoint = Callable[[Cloud, Call], Reply]

ROUTES: Mapping[tuple[str, str], Endpoint] = {
    ("POST", "/identity/token"): account.issue_token,
    ("POST", "/v3/resources/search"): account.search,
    ("GET", "/globalcatalog/{id}"): account.catalogue_entry,
    ("GET", "/backends"): account.list_machines,
    ("GET", "/backends/{name}/configuration"): account.configuration,
    ("GET", "/backends/{name}/properties"): account.properties,
    ("GET", "/backends/{name}/status"): account.machine_status,
    ("GET", "/instances/usage"): account.usage,
    ("POST", "/jobs"): jobs.submit,
    ("GET", "/jobs"): jobs.list_jobs,
    ("GET", "/jobs/{id}"): jobs.get_job,
    ("DELETE", "/jobs/{id}"): jobs.delete_job,
    ("GET", "/jobs/{id}/results"): jobs.get_results,
    ("GET", "/jobs/{id}/metrics"): jobs.metrics,
    ("GET", "/jobs/{id}/logs"): jobs.logs,
    ("POST", "/jobs/{id}/cancel"): jobs.cancel,
    ("PUT", "/jobs/{id}/tags"): jobs.replace_tags,
    ("POST", "/sessions"): jobs.open_session,
    ("GET", "/sessions/{id}"): jobs.get_session,
    ("PATCH", "/sessions/{id}"): jobs.close_session,
    ("DELETE", "/sessions/{id}/close"): jobs.cancel_session,
}


def find_route(method: str, path: str) -> tuple[str, Mapping[str, str]]:
    """The route that a path on the wire belongs to, and its open parts; the path itself if none."""
    if path.startswith(RUNTIME):
        path = path[len(RUNTIME) :]
    elif path.startswith(CATALOGUE):
        path = "/globalcatalog" + path[len(CATALOGUE) :]
    for its_method, route in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route)
        if method == its_method and (match := re.fullmatch(pattern, path)):
            return route, match.groupdict()
    return path, {}


def answer(cloud: Cloud, method: str, route: str, call: Call) -> Reply:
    """What the service says to a call."""
    endpoint = ROUTES.get((method, route))
    if endpoint is None:
        return Reply.json({"errors": [{"code": 1000, "message": "no such endpoint"}]}, 404)
    try:
        with cloud.workload.changed:
            return endpoint(cloud, call)
    except RefusalError as refusal:
        return refusal.reply
