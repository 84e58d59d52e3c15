"""Comparisons of many runs: `qhc ablate`.

Lowest first, with the names that other folders use:

- `axes`: Axis
- `grid`: Workers
- `frame`: Study
- `series`
- `noise`
- `table`
- `page`
- `ablate`: ablate
- `trained`
- `arms`: ArmStudy
- `qpc`
"""
