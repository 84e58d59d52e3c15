"""What a model answers and how well, ideally, under noise, corrected, and on a machine.

Lowest first, with the names that other folders use:

- `agreement`
- `device_run`: DeviceRun
- `answers`: check_answers
- `moved_errors`
- `drift`: compare_runs, record_drift, weights_sha256
- `sending`: all_sent
- `handing_on`: HandingOn
- `meter`: NO_COPY
- `metrics`
- `evaluate`: Predictions, answering, drawing_alike, evaluate, predict
- `copies`
- `correct`: Observed, answers_from, observe, observed_answers
- `assess`: assess, assess_on_target, in_order, observed_ideally, save_reported
- `calibrated_copies`: corrected_by_last
- `validation`: Validation, ledger_summary
"""
