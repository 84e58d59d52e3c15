"""Endpoints of the account and its machines: IAM, search, catalogue, usage, backends."""

from __future__ import annotations

from urllib.parse import parse_qs

from .machines import MachineStatus
from .rest import Call, Cloud, Reply


def issue_token(cloud: Cloud, call: Call) -> Reply:
    form = parse_qs(call.body.decode())
    token = cloud.identity.issue(form.get("apikey", [""])[0])
    if token is None:
        message = "Provided API key could not be found."
        return Reply.json({"errorCode": "BXNIM0415E", "errorMessage": message}, 400)
    return Reply.json(token)


def search(cloud: Cloud, call: Call) -> Reply:
    cloud.check_token(call)
    items = [
        {
            "crn": instance.crn,
            "name": instance.name,
            "service_plan_unique_id": instance.plan_id,
            "doc": {"extensions": {"allocated": True}},
            "tags": [],
        }
        for instance in cloud.workload.instances.values()
    ]
    return Reply.json({"items": items, "limit": 100})


def catalogue_entry(cloud: Cloud, call: Call) -> Reply:
    cloud.check_token(call)
    for instance in cloud.workload.instances.values():
        if instance.plan_id == call.names["id"]:
            overview = {"en": {"display_name": instance.plan.name}}
            pricing = {"pricing": {"type": instance.plan.pricing}}
            return Reply.json({"overview_ui": overview, "metadata": pricing})
    return Reply.json({"message": "not found"}, 404)


def list_machines(cloud: Cloud, call: Call) -> Reply:
    cloud.instance(call)
    devices = [
        {
            "name": machine.name,
            "status": {
                "name": "online" if machine.status is MachineStatus.ACTIVE else "paused",
                "reason": "available",
            },
            "is_simulator": False,
            "qubits": machine.snapshot.n_qubits,
            "queue_length": cloud.workload.pending(machine.name),
            "processor_type": machine.snapshot.configuration.get("processor_type"),
        }
        for machine in cloud.workload.machines.values()
        if machine.is_shown
    ]
    return Reply.json({"devices": devices})


def configuration(cloud: Cloud, call: Call) -> Reply:
    cloud.instance(call)
    return Reply.json(cloud.machine(call.names["name"]).snapshot.configuration)


def properties(cloud: Cloud, call: Call) -> Reply:
    cloud.instance(call)
    return Reply.json(cloud.machine(call.names["name"]).snapshot.properties)


def machine_status(cloud: Cloud, call: Call) -> Reply:
    cloud.instance(call)
    machine = cloud.machine(call.names["name"])
    return Reply.json(
        {
            "state": True,
            "status": machine.status.value,
            "message": "",
            "length_queue": cloud.workload.pending(machine.name),
            "backend_version": machine.snapshot.configuration["backend_version"],
        }
    )


def usage(cloud: Cloud, call: Call) -> Reply:
    instance = cloud.instance(call)
    content = {
        "instance_id": instance.crn,
        "plan_id": instance.plan_id,
        "usage_consumed_seconds": instance.consumed,
    }
    if instance.plan.seconds is not None:
        content |= {
            "usage_limit_seconds": instance.plan.seconds,
            "usage_limit_reached": instance.is_used_up,
        }
    return Reply.json(content)
