"""What each way to mitigate a machine's errors gains, on the same images, for which seconds.

Lowest first, with the names that other folders use:

- `variants`: questions, zero_rows
- `scores`
- `inquiry`
- `comparison`: MitigationComparison
"""
