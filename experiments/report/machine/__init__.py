"""What comparisons on a machine found: of mitigations, and of several models; words and pictures.

Lowest first, with the names that other folders use:

- `mitigation_words`: HEADINGS, NAMES, NOTE, cells, sentences, summary
- `mitigation_figures`: errors_and_accuracies
- `joint_words`: DIFFERENCE_HEADINGS, difference_rows, headings, joint_facts, joint_note,
  joint_rows, joint_sentences, joint_summary
- `joint_figures`: accuracies_and_differences
"""
