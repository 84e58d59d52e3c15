"""The page that a run, or several side by side, is looked at on.

Lowest first, with the names that other folders use:

- `circuit`
- `numbers`: counted, percent
- `facts`: charge_facts, compiled_facts, compiled_words, copy_words, device_words, far_off_words,
  machine_facts
- `projection`
- `reading`: Run, read_run
- `row_facts`: row_facts, row_summary
- `style`
- `machine`
- `image_grid`
- `render`: Column, Drawing, Section, Table, write_page
- `studies`
- `words`
- `drift`
- `run`
- `comparison`
- `write`: write_report
"""
