"""The toolbox of compiled CPU code (Numba): vectors in lanes, memory, threads, the cache; and the
kernels that several backends share.

Lowest first, with the names that other folders use:

- `cache`: helper, kernel, kernels, number_format, sources
- `chunks`: PIXEL_CHUNKS, ROW_CHUNKS, chunks
- `lanes`: FloatArray, VECTOR_BYTES, Vector, lanes, load, ones, store, total, zeros
- `addresses`: rows_at, vector_at
- `blocks`: angle_rows, encode, first_bad_row, pull_encoding, to_lanes
- `maps`: Layout, Maps, aligned, normalise, pull_normalise, read_maps, write_maps
- `memory`: Lease
- `row_forms`: itself
- `sincos`: LARGEST, sincos
- `threads`: WORTH_SPLITTING, split
- `unitary_forms`: itself
"""
