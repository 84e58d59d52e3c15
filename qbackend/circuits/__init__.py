"""From a layer to the gates and qubits of a device.

Lowest first, with the names that other folders use:

- `line_plan`
- `logical`: circuit_record, compile_layer
- `measuring`: turned, turned_circuits
- `orthogonal`: QUATERNION_PRODUCTS
- `reported_costs`: TWO_QUBIT_GATES
- `splitting`
- `preparation`: CompactPreparation
- `placement`
- `device_form`: PREPARATIONS, Preparation, compile_for_target, drop_idle_qubits
"""
