"""What a run of a recipe leaves on disk: its folder, checkpoints, lines, loggers.

Lowest first, with the names that other folders use:

- `checkpoint`: Best, ModelInfo, load_model, load_model_info, load_training, save_model,
  save_training
- `compiled_circuit`: load_compiled, on_qubits, save_compiled
- `device_file`: load_device, save_device
- `scores`: ClassScores, Means, Scores, TrainingMeans
- `lines`: Compiled, Correction, EpochRecord, EvaluationRecord, FittedMap, PlacedCopy, STAGES,
  Stage
- `comparisons`: Agreement, Charges, CopyScores, LayerErrors, MitigationRecord, RowRecord,
  Simulated, ValidationRecord, VariantRecord, Verdict, WholeSet
- `joint`: Corrected, Difference, JointRecord, MemberRecord
- `drift`: Answered, DriftRecord, ErrorKind, MovedError, OutputDrift, Side
- `loggers`: Logger, check_loggers, open_loggers
- `folder`: Record, RunFolder, command_line, is_run
- `run_records`: RunRecords
"""
