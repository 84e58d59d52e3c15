"""From a config to what a run works with: model, backends, batches, processes and threads.

Lowest first, with the names that other folders use:

- `access`: Access, DEFAULT_ACCESS
- `arithmetic`: arithmetic
- `backends`: LOCAL_BACKEND, ideal_backend, is_ideal, noise_backend, target_backend,
  training_backend, trains_there
- `bounds`: bounded, check_hours
- `construct`: layer_spec, model_info, model_plan, new_model, quantum_layers, recorded_layer,
  trained_model
- `denormals`: flushing_denormals
- `feed`: correction_split, data_notes, data_seed, evaluation_split, limit_note, load_images,
  n_training_batches, training_source, validation_source
- `own_checks`: Measure, check_own, measured, own_loss, own_metrics
- `parents`: end_with
- `fabric`: FABRICS_OWN, device_name, launch, leave
- `same_data`: check_same_data, check_size, data_sha256, split_sha256
- `shown_data`: difference_notes, in_classes_of
- `threads`: use_threads
- `thread_count`: settled, with_threads
"""
