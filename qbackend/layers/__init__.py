"""What a quantum layer is, apart from where it runs: encodings, ansatze, and the numbers it takes.

Lowest first, with the names that other folders use:

- `ansatze`: ANSATZE, Axis, Cnots, Operation, Rotations
- `circuit_text`: circuit_of, is_circuit_text
- `elementary`
- `inputs`: Array, Numbers, check_finite, check_weights, constant_like, float64_array,
  in_float32_or_float64, library_of, patched, row_numbers, seed_number, seed_or_drawn, whole_number
- `canonical`: TIE, direction, orthonormal, references, settled, settling_turns, ties
- `encodings`: AmplitudeEncoding, ENCODINGS, Encoding, ZERO_NORM, gray_transform,
  without_overflow
- `program`: InputMap, Layer, LayerProgram, ROTATION_ANGLES, SmoothInputMap
- `readout`: Readout, Term, readouts_of
- `spec_circuit`: append_operation, encoding_circuit, qubit_of
- `spec_inputs`: SpecInputs
- `spec`: LayerSpec
- `tape`: ABS, ADD, ASIN, ATAN, CONSTANT, COS, EXP, LOG, MULTIPLY, POWER, SIGN, SIN, TAN, Tape,
  VARIABLE, itself
- `expressions`: ExpressionInputs
- `unsharing`: check_unitary
- `circuit_layer`: CircuitLayer, parameters_named, stems
- `definitions`: in_catalogue, layer_of
"""
