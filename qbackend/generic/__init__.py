"""TODO qbackend.generic

Lowest first, with the names that other folders use:

- `finding`
- `sampled`
- `objects`: backend_at, backend_of
"""
