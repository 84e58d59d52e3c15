"""Rows of a trained net's feature maps on a device, where whole images are too many.

Lowest first, with the names that other folders use:

- `calls`: OwnCalls, Watch, watched
- `estimates`: CallEstimator, cost_of_rows, cost_with_derivatives, price_of, sum_of, summed
- `count`: rows_per_convolution, rows_per_image
- `draw`: share_rows
- `errors`: row_errors
- `simulation`
- `measurement`: RowMeasurement
"""
