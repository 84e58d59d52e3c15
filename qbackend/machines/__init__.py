"""Machines that are paid for, whoever sells them: plans, approvals, jobs, budgets, patience.

Lowest first, with the names that other folders use:

- `layout`
- `patience`: GROWTH, within
- `service`: Call, LOCAL, MachineInfo, PlanInfo, RemoteState, Service, TaggedJob, Workload
- `cost`: estimate
- `budget`
- `consent`: Approve, can_ask
- `ledger`
- `endings`
- `gateway`: Gateway, Progress, cancel_all
- `workloads`: close_left_open, settle_sessions
- `dispatch`
- `job`
- `planning`
- `backend`: IbmBackend, say_nothing
"""
