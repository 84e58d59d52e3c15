"""How Sphinx builds these pages: `make docs`, offline, every warning an error."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
# The pages are of the code beside them, whatever else is installed.
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

# What is imported to be explained compiles circuits, which nobody here waits for word of.
logging.getLogger("qiskit").setLevel(logging.WARNING)

project = "qhc"
author = "the authors of qhc"
release = version_of("qhc")
version = release.partition(".post")[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "command_examples",
    "measured",
    "public_names",
    "recipe_keys",
]
exclude_patterns = ["_build", "_extensions"]

# Pages are Markdown as GitHub shows it; links to headings are checked by the names they have there.
myst_heading_anchors = 4
# Straight quotes and two dashes are what people type.
smartquotes = False
# What stands indented in a page is for a shell unless the page says otherwise.
highlight_language = "bash"

autodoc_member_order = "bysource"
# Docstrings write code in single quotes, as Markdown does.
default_role = "code"
# Pages may have output indented that no shell understands; tests read what claims to be code.
suppress_warnings = ["misc.highlighting_failure"]
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 70
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"qhc {version}"
html_static_path = ["_static"]
html_css_files = ["qhc.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

copybutton_exclude = ".linenos, .gp, .go"
