"""What pictures share: colours for light and dark pages, hover values, circuits, images, SVG.

Lowest first, with the names that other folders use:

- `style`: ARMS, DARK, GRID, INK, Look, MUTED, ON_DARK, ON_LIGHT, PAPER, POINTWISE_ARMS, RIGHT,
  SPARE, STAGE_BARS, STAGES, STYLE, VERDICTS, WRONG, blank, class_colours, looks, reach, styled
- `hover`: hover_bands
- `over_epochs`: METRICS, as_percent, label_epochs, learning_rate_curve, metric_curve, metric_name,
  seconds_curve
- `circuit`: DRAWN_LAYERS, LINE, beginning, opened, readable_circuit
- `projection`: MAX_POINTS, Projection, pca, perplexity, subsample, tsne
- `image_grid`: changed, image_grid, shorten
- `inline_svg`: PIXELS_PER_INCH, inline_svg
"""
