"""Images: datasets by name, their splits, batches and random changes.

Lowest first, with the names that other folders use:

- `augment`: Augmentation
- `download`
- `splits`: ImageData, Split
- `batches`: Batches, BatchSource, Draw, n_batches
- `source`
- `decode`
- `formats`
- `tree`
- `folder_notes`
- `folders`
- `sources`: SOURCES
- `own`: viewable
- `load`: get_dataset, list_datasets, load_data, load_own
"""
