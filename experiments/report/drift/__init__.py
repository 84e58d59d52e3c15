"""A repeated run beside the one that it repeats: in words, in pictures, as a section of a page.

Lowest first, with the names that other folders use:

- `facts`: drift_facts, drift_summary
- `figures`
- `section`: DriftSection, drift_section
"""
