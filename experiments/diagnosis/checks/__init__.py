"""What silently spoils hybrid training, one file for each check.

Lowest first, with the names that other folders use:

- `inputs`: itself
- `dtypes`: itself
- `labels`: itself
- `duplicates`: itself
- `loss`: itself
- `gradients`: itself
- `optimiser`: itself
- `neighbours`: itself
- `softmax`: itself
- `saturation`: itself
- `plateau`: itself
- `dead`: itself
- `noise`: itself
"""
