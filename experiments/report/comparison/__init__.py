"""The page of several runs: which belong together, how they spread, how they differ.

Lowest first, with the names that other folders use:

- `groups`: Group, PairedDifference, Spread, difference_by_seed, paired_difference, spread
- `figures`
- `page`: write_comparison_page
"""
