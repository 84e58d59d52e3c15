"""What circuits add to pointwise convolutions.

Lowest first, with the names that other folders use:

- `axes`
- `pictures`
- `study`: QpcStudy
"""
