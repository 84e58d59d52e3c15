"""Any circuit, exact: turns about Pauli strings, compiled for the CPU and in torch.

Lowest first, with the names that other folders use:

- `gates`
- `split_tape`: SplitTape, split
- `strings`: PauliString, letters
- `tape_sweeps`
- `turned`: turned_ansatz, turned_circuit
- `plain`: angles_on
- `stages`
- `program`
- `block_ends`
- `block_passes`
- `sweeps`
- `small_batch`
- `engine`: engine_of
- `tensors`: plain_module, torch_layer, itself
"""
