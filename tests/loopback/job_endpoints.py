"""Endpoints of jobs and sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from .execution.programs import ProgramError, decode_program
from .jobs import CANCELLED_ELSEWHERE, Job, Session, State, stamp
from .rest import Call, Cloud, RefusalError, Reply

PAGE = 200
"""Most jobs in one answer."""


def submit(cloud: Cloud, call: Call) -> Reply:
    instance = cloud.instance(call)
    cloud.count_post(instance)
    wanted = call.json
    machine = cloud.machine(wanted.get("backend", ""))
    if instance.is_used_up:
        raise RefusalError(409, 4317, "This instance has met its usage limit.")
    pending = sum(
        job.instance == instance.crn and not job.state.is_final for job in cloud.workload.jobs
    )
    limit = instance.plan.pending_jobs
    if limit is not None and pending >= limit:
        raise RefusalError(400, 3458, f"You have reached the limit of {limit} pending jobs.")
    session_id = wanted.get("session_id")
    if session_id is not None:
        session = cloud.workload.session(session_id)
        if session is None or not session.accepting:
            raise RefusalError(400, 1217, "Session has been closed.")
    try:
        program = decode_program(wanted.get("program_id", ""), wanted.get("params", {}))
    except ProgramError as error:
        raise RefusalError(400, 1211, str(error)) from error
    job = Job(
        program=program,
        params=wanted["params"],
        machine=machine.name,
        instance=instance.crn,
        tags=wanted.get("tags", []),
        session_id=session_id,
        max_seconds=wanted.get("cost"),
        private=wanted.get("private", False),
        payload_bytes=len(call.body),
    )
    cloud.workload.submit(job)
    return Reply.json({"id": job.id, "backend": job.machine, "private": job.private})


def list_jobs(cloud: Cloud, call: Call) -> Reply:
    instance = cloud.instance(call)
    cloud.workload.expire()
    found = [
        job
        for job in cloud.workload.jobs
        if job.instance == instance.crn and not job.deleted and _matches(job, call)
    ]
    if call.first("sort") != "ASC":
        found.reverse()
    limit, offset = int(call.first("limit", str(PAGE))), int(call.first("offset", "0"))
    page = [_job_json(job) for job in found[offset : offset + min(limit, PAGE)]]
    return Reply.json({"jobs": page, "count": len(found), "limit": limit, "offset": offset})


def get_job(cloud: Cloud, call: Call) -> Reply:
    job = cloud.job(call)
    content = _job_json(job)
    if call.first("exclude_params") != "true":
        content["params"] = job.params
    return Reply.json(content)


def get_results(cloud: Cloud, call: Call) -> Reply:
    job = cloud.job(call)
    if job.state is State.COMPLETED:
        if job.result is None:
            raise RefusalError(404, 1291, "The results of a private job are readable once.")
        reply = Reply(200, job.result.encode(), "text/plain; charset=utf-8")
        if job.private:
            job.result = None
        return reply
    if job.ending is not None:
        return Reply(200, job.ending.reason.encode(), "text/plain; charset=utf-8")
    return Reply(204)


def cancel(cloud: Cloud, call: Call) -> Reply:
    if not cloud.workload.end(cloud.job(call), CANCELLED_ELSEWHERE):
        raise RefusalError(409, 1290, "Job is in a state that cannot be cancelled.")
    return Reply(204)


def delete_job(cloud: Cloud, call: Call) -> Reply:
    job = cloud.job(call)
    if not job.state.is_final:
        raise RefusalError(400, 1292, "Job must be in a terminal state.")
    job.deleted = True
    return Reply(204)


def metrics(cloud: Cloud, call: Call) -> Reply:
    job = cloud.job(call)
    delay = timedelta(seconds=cloud.workload.usage_seconds)
    complete = job.finished is not None and datetime.now(UTC) >= job.finished + delay
    return Reply.json(
        {
            "timestamps": {
                "created": stamp(job.created),
                "running": stamp(job.started),
                "finished": stamp(job.finished),
            },
            "usage": {
                "qpu_charge_time_seconds": job.charged if complete else 0,
                "status": "complete" if complete else "pending",
            },
        }
    )


def logs(cloud: Cloud, call: Call) -> Reply:
    cloud.job(call)
    return Reply(200, b"", "text/plain; charset=utf-8")


def replace_tags(cloud: Cloud, call: Call) -> Reply:
    cloud.job(call).tags = call.json["tags"]
    return Reply(204)


def open_session(cloud: Cloud, call: Call) -> Reply:
    instance = cloud.instance(call)
    wanted = call.json
    machine = cloud.machine(wanted.get("backend", ""))
    plan = instance.plan
    if wanted["mode"] != "batch" and not plan.sessions:
        raise RefusalError(
            400, 1352, "You are not authorized to run a session when using the open plan."
        )
    seconds = min(plan.batch_seconds, wanted.get("max_ttl", plan.batch_seconds))
    session = Session(wanted["mode"], machine.name, instance.crn, seconds)
    cloud.workload.open(session)
    return Reply.json(_session_json(session))


def get_session(cloud: Cloud, call: Call) -> Reply:
    return Reply.json(_session_json(cloud.session(call)))


def close_session(cloud: Cloud, call: Call) -> Reply:
    session = cloud.session(call)
    if not call.json.get("accepting_jobs", True):
        cloud.workload.close(session)
    return Reply(204)


def cancel_session(cloud: Cloud, call: Call) -> Reply:
    cloud.workload.close(cloud.session(call), CANCELLED_ELSEWHERE)
    return Reply(204)


def _matches(job: Job, call: Call) -> bool:
    """Whether a job passes the filters of a listing."""
    pending = call.first("pending")
    return (
        set(call.query.get("tags", [])) <= set(job.tags)
        and call.first("backend", job.machine) == job.machine
        and call.first("program", job.program.name) == job.program.name
        and call.first("session_id", job.session_id or "") == (job.session_id or "")
        and pending in ("", str(not job.state.is_final).lower())
        and _moment(call.first("created_after"), job.created) <= job.created
        and _moment(call.first("created_before"), job.created) >= job.created
    )


def _moment(text: str, default: datetime) -> datetime:
    return datetime.fromisoformat(text) if text else default


def _job_json(job: Job) -> dict[str, Any]:
    state: dict[str, Any] = {"status": job.state.value}
    if job.ending is not None and job.ending.reason:
        state["reason"] = job.ending.reason
    if job.ending is not None and job.ending.code is not None:
        state["reason_code"] = job.ending.code
    content = {
        "id": job.id,
        "backend": job.machine,
        "state": state,
        "status": job.state.value,
        "program": {"id": job.program.name},
        "created": stamp(job.created),
        "cost": job.max_seconds or 10800,
        "tags": job.tags,
        "private": job.private,
        "estimated_running_time_seconds": job.program.estimated_seconds,
    }
    return content | ({"session_id": job.session_id} if job.session_id else {})


def _session_json(session: Session) -> dict[str, Any]:
    state = "closed" if session.closed else "active" if session.started else "open"
    return {
        "id": session.id,
        "backend_name": session.machine,
        "mode": session.mode,
        "max_ttl": int(session.seconds),
        "interactive_ttl": 60,
        "state": state,
        "accepting_jobs": session.accepting,
        "started_at": stamp(session.started),
        "closed_at": stamp(session.closed),
        "elapsed_time": _elapsed(session),
    }


def _elapsed(session: Session) -> float | None:
    """Seconds from the start of the first job on, until the session takes no more."""
    if session.started is None:
        return None
    end = session.closed or datetime.now(UTC)
    return max(0.0, (end - session.started).total_seconds())
