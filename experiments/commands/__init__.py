"""The command `qhc`: its commands by subject, their flags, and what it leaves with.

Lowest first, with the names that other folders use:

- `browser`
- `checkpoints`
- `device_list`
- `flags`
- `kernel_list`
- `machine_list`
- `machine_options`
- `options`
- `run_list`
- `ablate`
- `look`
- `machine`
- `run`
- `compare`
- `diagnose`
- `cli`
"""
