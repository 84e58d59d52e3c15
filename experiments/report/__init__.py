"""The page that a run, or several side by side, is looked at on.

Lowest first, with the names that other folders use:

- `numbers`: counted, duration, percent
- `facts`: charge_facts, compiled_facts, compiled_words, copy_words, device_words, far_off_words,
  machine_facts
- `reading`: Run, read_run
- `row_facts`: row_facts, row_summary
- `pictures`
- `machine`
- `render`: Column, Drawing, Section, Table, write_page
- `studies`
- `words`
- `drift`
- `run`
- `comparison`
- `all_runs`
- `write`: write_report
"""
