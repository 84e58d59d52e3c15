"""Which part of which device's noise costs how much accuracy.

Lowest first, with the names that other folders use:

- `axes`: Axes
- `cell`
- `table`
- `page`
- `study`: Images, ablate_noise
"""
