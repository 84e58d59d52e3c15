"""One invocation of `qhc run`, `rerun`, `resume`, `estimate`, `jobs`, `cancel`: plan to result.

Lowest first, with the names that other folders use:

- `display`: Aside, Display
- `given`
- `own`: go_on_words, refuse_rerun, resumed
- `jobs`: cancel_jobs, collect_jobs, jobs_summary, list_jobs, price_of_run, print_cancellation,
  print_jobs, rebuild
- `overview`: list_runs, print_runs
- `notes`
- `plan`
- `joint_plan`
- `approval`: show_plan
- `results`: show_results, summary, waiting_summary
- `choice`
- `stages`
- `runner`
- `resume`: resume
- `start`: Place, plan_of, start, validate
- `rerun`: rerun
"""
