"""The command `qhc`: its commands by subject, their flags, and what it leaves with.

Lowest first, with the names that other folders use:

- `device_list`
- `flags`
- `kernel_list`
- `machine_list`
- `machine_options`
- `options`
- `ablate`
- `look`
- `machine`
- `run`
- `compare`
- `cli`: main
"""
