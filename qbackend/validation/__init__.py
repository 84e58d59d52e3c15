"""Any torch model with quantum layers on any backends: planned, asked for once, recorded.

Lowest first, with the names that other folders use:

- `records`: what runs of any kind leave on disk
- `batches`
- `asking`
- `trips`
- `measures`
- `lines`
- `folder`
- `telling`
- `chosen`
- `evaluation`
- `scoring`
- `plan`
- `prepared`
- `result`
- `estimating`: estimate
- `validate`: validate
"""
