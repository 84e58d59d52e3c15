"""What a run is: recipes, their sections, and what the command line changes.

Lowest first, with the names that other folders use:

- `machine`
- `section`
- `data`
- `model`: CLASSICAL
- `own_circuit`
- `run`: FabricSection, MitigationVariant
- `train`: Ties, TrainSection
- `sections`: Config
- `recipe`: list_recipes, load_config
- `of_checkpoint`: config_of_trained
"""
