"""The page of one run: its sections, and its pictures.

Lowest first, with the names that other folders use:

- `chip_layout`
- `chip`
- `figures`
- `insight`
- `noise`
- `outcome`
- `provenance`
- `copies`
- `mitigation`
- `joint`
- `validation_figures`
- `rows`
- `validation`
- `drift`
- `own`: write_own_page
- `page`: write_run_page
"""
