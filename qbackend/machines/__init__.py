"""Machines that are paid for, whoever sells them: plans, approvals, jobs, budgets, patience.

Lowest first, with the names that other folders use:

- `cost`: MachineCost, Price
- `budget`: total
- `consent`: Approve, can_ask, check_approve, check_approved
- `patience`: GROWTH, within
- `options`: CORRECTED_HERE, ExecutionOptions, Mitigation, SWITCH
- `service`: Call, LOCAL, MachineInfo, Meaning, PlanInfo, RemoteState, Service, TaggedJob,
  Workload
- `ledger`
- `endings`
- `gateway`: Gateway, Progress, cancel_all
- `vendor`: Vendor
- `workloads`: close_left_open, settle_sessions
- `job`
- `planning`
- `compiling`
- `backend`: MachineBackend, say_nothing
- `choice`: Candidate, Choice, choose_machine
"""
