"""Which part of which device's noise costs how much accuracy.

Lowest first, with the names that other folders use:

- `axes`
- `front_end`
- `outcome`
- `summary`
- `pictures`
- `study`: NoiseStudy
"""
