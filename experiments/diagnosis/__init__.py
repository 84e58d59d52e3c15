"""What silently spoils hybrid training, looked for and shown with its evidence: `qhc diagnose`.

Lowest first, with the names that other folders use:

- `findings`
- `derivatives`
- `parts`
- `watch`
- `subject`
- `checks`: what is looked for
- `diagnose`: chosen, diagnose
- `factory`
- `targets`: Wishes, input_shape, subject_of
- `show`: n_findings, show, summary
"""
