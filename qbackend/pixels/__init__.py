"""Engines for a layer on every pixel of feature maps.

Lowest first, with the names that other folders use:

- `lane_forms`
- `layout`: refuse_pixel
- `cpu`
- `pieces`
- `tensors`
- `channel_forms`: KERNEL_CHANNELS, channel_forms, pack
- `channel_states`: channel_states
- `roads`
- `channel_products`: channel_products
"""
