"""What runs of any kind leave on disk: folder, state, ledger, and the computer they ran on.

Lowest first, with the names that other folders use:

- `files`: append_line, csv_content, is_writable, write_arrays, write_atomically
- `recorded`: Recorded
- `state`: Beside, Chosen, Provenance, State, Status
- `version`: named, release
- `environment`: computer, peak_memory_mib, versions, without_home
- `stored`: Line, StoredRun, is_run, now, reading, written
- `model_source`: UNKNOWN, model_code
- `charges`: Charges, ledger_summary
- `collecting`: Collected, collect
- `ledger`: ROWS_WORDS, Rebuilt, check_ledger, rebuild_ledger, run_tag
- `status`: kept_status
"""
