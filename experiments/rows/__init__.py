"""Rows of a trained net's feature maps on a device, where whole images are too many.

Lowest first, with the names that other folders use:

- `count`: rows_per_convolution, rows_per_image
- `draw`: share_rows
- `errors`: row_errors
- `simulation`
- `measurement`: RowMeasurement
"""
