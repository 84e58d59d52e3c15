"""What a run is: recipes, their sections, and what the command line changes.

Lowest first, with the names that other folders use:

- `machine`
- `section`
- `own_files`: COPIES, changed_notes, code_files
- `own_code`: importing_from
- `data`
- `model`: CLASSICAL, ModelSection
- `own_circuit`
- `run`: FabricSection, MitigationVariant
- `train`: Ties, TrainSection
- `sections`: Config
- `own_objects`: own_arms, own_callable, own_model
- `recipe`: configure, list_recipes, load_config
- `of_checkpoint`: config_of_trained, with_data_of_training
"""
