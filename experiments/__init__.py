"""Recipes, data, training, records, reports and the command line.

Lowest first:

- `data`: images by the name of their set
- `config`: what a run is
- `records`: what a run leaves on disk
- `assembly`: from a config to model, backends and batches
- `evaluation`: what a model answers, and how well
- `training`: the training loop
- `rows`: rows of feature maps on a device
- `mitigation`: what each way to mitigate errors gains
- `joint`: several trained models on one device in one run
- `report`: the page of a run, or of several
- `run`: one invocation of `qhc run`
- `diagnosis`: what silently spoils hybrid training
- `studies`: comparisons of many runs
- `bench`: speed beside other simulators
- `commands`: the command line
"""
