"""The ledger of a run's jobs: intent before a request, its id after it, its result before use.

Lowest first, with the names that other folders use:

- `entries`: Entry, Intent, OpenWorkload, Recovered, State
- `file`: DamagedLedgerError
- `layers`: from_text, to_text
- `identity`: are_same, content_key, layer_key, request_key, what_key
- `tags`: KEY_LENGTH, new_run_tag
- `ledger`: Ledger
- `recovery`: catch_up, keep_layers, rebuild
- `work`: Work
"""
