"""The pictures of studies.

Lowest first, with the names that other folders use:

- `noise_figures`: itself
- `qpc_figures`: Point, itself
"""
