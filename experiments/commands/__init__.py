"""The commands of `qhc`, by subject."""
