"""The page of several runs: which belong together, how they spread, how they differ.

Lowest first, with the names that other folders use:

- `groups`: PairedDifference, Spread, difference_by_seed, spread
- `figures`
- `repeated`
- `page`: write_comparison_page
"""
