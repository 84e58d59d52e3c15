"""From a layer to the gates and qubits of a device.

Lowest first, with the names that other folders use:

- `line_plan`
- `pulses`
- `zz_rotations`
- `fractional`: executed, executed_rows, has_fractional_gates
- `logical`: circuit_record, compile_layer
- `measuring`: turned, turned_circuits
- `orthogonal`: QUATERNION_PRODUCTS
- `reported_costs`: TWO_QUBIT_GATES
- `splitting`
- `preparation`: CompactPreparation
- `placement`
- `copying`: Copying
- `copies`
- `copied`: moved, with_copies
- `device_form`: PREPARATIONS, Preparation, compile_for_target, drop_idle_qubits, fractional_words
"""
