"""The notebooks of the documentation, executed."""
