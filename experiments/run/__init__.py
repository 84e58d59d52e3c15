"""One invocation of `qhc run`, `rerun`, `resume`, `estimate`, `jobs`, `cancel`: plan to result.

Lowest first, with the names that other folders use:

- `display`: Aside, Display
- `given`
- `ledger`
- `jobs`: cancel_jobs, list_jobs, print_cancellation, print_jobs, rebuild
- `notes`
- `plan`
- `approval`: show_plan
- `results`: show_results, summary, table_text, waiting_summary
- `choice`
- `stages`
- `runner`
- `resume`: resume
- `start`: Place, plan_of, start, validate
- `rerun`: rerun
"""
