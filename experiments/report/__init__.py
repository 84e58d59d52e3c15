"""The page that a run, or several side by side, is looked at on.

Lowest first, with the names that other folders use:

- `circuit`
- `image_grid`
- `projection`
- `reading`: Run, read_run
- `style`
- `render`: Column, Drawing, Section, Table, write_page
- `studies`
- `words`: counted, percent
- `run`
- `comparison`
- `write`: write_report
"""
