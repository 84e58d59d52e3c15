"""Machines that are paid for, whoever sells them: plans, approvals, jobs, budgets, patience.

Lowest first, with the names that other folders use:

- `cost`: MachineCost
- `budget`
- `consent`: Approve, can_ask
- `layout`: measured_qubits, observed_qubits
- `options`: ExecutionOptions, MAX_EXECUTION_SECONDS, SWITCH
- `patience`: GROWTH, within
- `service`: Call, LOCAL, MachineInfo, PlanInfo, RemoteState, Service, TaggedJob, Workload
- `ledger`
- `endings`
- `gateway`: Gateway, Progress, cancel_all
- `vendor`: Vendor, find_vendor, vendor_of, vendors
- `workloads`: close_left_open, settle_sessions
- `dispatch`
- `job`
- `planning`
- `backend`: MachineBackend, say_nothing
"""
