"""Comparisons of many runs: `qhc ablate`.

Lowest first, with the names that other folders use:

- `axes`: Axis
- `grid`: Workers
- `frame`: Study
- `series`
- `table`
- `page`
- `ablate`: ablate
- `trained`
- `arms`: ArmStudy
- `noise`
- `qpc`
"""
