"""One invocation of `qhc run`, `qhc resume` or `qhc estimate`, from the plan to the result.

Lowest first, with the names that other folders use:

- `given`
- `ledger`
- `jobs`: cancel_jobs, list_jobs, print_cancellation, print_jobs, rebuild
- `notes`
- `plan`
- `results`: STAGE_WORDS, charged_words, compiled_facts, compiled_words, device_words,
  job_words, percent, show_results, summary, table_text, waiting_summary
- `display`: Display
- `approval`: show_plan
- `stages`
- `runner`
- `resume`: resume
- `start`: Place, plan_of, start, validate
"""
