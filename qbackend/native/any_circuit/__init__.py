"""Any circuit, exact: turns about Pauli strings, compiled for the CPU and in torch.

Lowest first, with the names that other folders use:

- `gates`
- `split_tape`
- `strings`
- `tape_sweeps`
- `turned`
- `stages`
- `program`
- `sweeps`
- `small_batch`
- `engine`: engine_of
- `tensors`: angles_on, torch_layer, itself
"""
