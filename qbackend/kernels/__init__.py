"""Compiled CPU kernels (Numba): vectors, encodings and quadratic forms, threads."""
