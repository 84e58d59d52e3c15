"""What a run leaves on disk: its folder, checkpoints, the software and computer it ran on.

Lowest first, with the names that other folders use:

- `files`: append_line, csv_content, is_writable, write_arrays, write_atomically
- `checkpoint`: Best, ModelInfo, load_model, load_model_info, load_training, save_model,
  save_training
- `compiled_circuit`: load_compiled, on_qubits, save_compiled
- `device_file`: load_device, save_device
- `recorded`
- `scores`: ClassScores, Means, Scores, TrainingMeans
- `lines`: Compiled, Correction, EpochRecord, EvaluationRecord, FittedMap, PlacedCopy, STAGES,
  Stage
- `comparisons`: Agreement, Charges, CopyScores, LayerErrors, MitigationRecord, RowRecord,
  Simulated, ValidationRecord, VariantRecord, Verdict, WholeSet
- `joint`: Corrected, Difference, JointRecord, MemberRecord
- `drift`: Answered, DriftRecord, ErrorKind, MovedError, OutputDrift, Side
- `loggers`: Logger, check_loggers, open_loggers
- `state`: Beside, Chosen, Provenance
- `environment`: computer, peak_memory_mib, versions, without_home
- `folder`: Record, RunFolder, command_line, is_run
- `run_records`: RunRecords
"""
