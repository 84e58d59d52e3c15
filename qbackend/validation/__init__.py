"""Any torch model with quantum layers on any backends: planned, asked for once, recorded.

Lowest first, with the names that other folders use:

- `records`: what runs of any kind leave on disk
- `batches`
- `asking`
- `trips`
- `measures`
- `lines`: StageLine, WholeLine
- `folder`: Arrays, OwnRun, is_own, outputs_name
- `telling`: progress_words, table_text
- `chosen`
- `evaluation`
- `scoring`: of_layer
- `plan`
- `prepared`
- `result`: Validation, moved_words, number_words, score_words
- `estimating`: estimate
- `validate`: validate
"""
