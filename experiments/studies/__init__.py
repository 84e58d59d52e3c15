"""Comparisons of many runs: `qhc ablate`.

Lowest first, with the names that other folders use:

- `axes`
- `grid`: Workers
- `series`
- `arms`: ablate_arms
- `noise`
- `qpc`
"""
