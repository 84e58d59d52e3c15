"""One invocation of `qhc run`, `resume`, `estimate`, `jobs` or `cancel`, from plan to result.

Lowest first, with the names that other folders use:

- `display`: Aside, Display, table_text
- `given`
- `ledger`
- `jobs`: cancel_jobs, list_jobs, print_cancellation, print_jobs, rebuild
- `notes`
- `plan`
- `approval`: show_plan
- `mitigation_table`
- `results`: show_results, summary, waiting_summary
- `stages`
- `runner`
- `resume`: resume
- `start`: Place, plan_of, start, validate
"""
