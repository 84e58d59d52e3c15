"""All runs of a folder: what each is in a line, which are shown, and the page of them.

Lowest first, with the names that other folders use:

- `lines`: RunLine, epochs_words
- `listing`: find_runs
- `choosing`: KEYS, chosen_runs, sorted_runs
- `curve`
- `page`: write_runs_page
"""
