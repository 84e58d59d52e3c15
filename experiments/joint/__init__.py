"""Several trained models on one device in one run: the same images, as few requests as can be.

Lowest first, with the names that other folders use:

- `members`: Member, check_together, leading_first, member_names
- `asking`: grouped, zero_requests
- `scores`
- `evaluation`: JointEvaluation
"""
