"""All runs of a folder: what each is in a line, which are shown, and the page of them.

Lowest first, with the names that other folders use:

- `lines`: RunLine, epochs_words
- `listing`: find_runs
- `choosing`: KEYS, check_states, chosen_runs, sorted_runs, why_none
- `curve`
- `page`: write_runs_page
"""
