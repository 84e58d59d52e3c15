"""The fused kernels, executed on the CPU."""
