"""States of circuits on the CPU: the compiled kernels, and who calls them.

Lowest first, with the names that other folders use:

- `circuit`: circuit_of
- `gates`
- `measurement`
- `pixels`: itself
- `products`
- `passes`
- `engine`: Tables, nanoseconds, run_forward, itself
- `small_batch`: itself
- `unitaries`: Unitaries
"""
