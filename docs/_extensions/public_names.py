"""The directive `public-names`: each name that a package offers, from its docstring."""

from __future__ import annotations

import inspect
from importlib import import_module

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class PublicNames(SphinxDirective):
    """Everything in a package's `__all__` but its modules, in that order."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parsed as if the page said it, in the words of `sphinx.ext.autodoc`."""
        package = import_module(self.arguments[0])
        lines = ["```{eval-rst}"]
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.ismodule(found):
                continue
            kind = "class" if inspect.isclass(found) else "function"
            lines += [f".. auto{kind}:: {package.__name__}.{name}"]
            lines += ["   :members:", ""] if kind == "class" else [""]
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True}
