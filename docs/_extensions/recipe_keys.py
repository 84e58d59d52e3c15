"""The directive `recipe-keys`: every key of a recipe, from the sections' own types and words."""

from __future__ import annotations

from docutils import nodes
from key_words import MUST_BE_GIVEN, NOT_GIVEN, Key, section_words, sections
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class RecipeKeys(SphinxDirective):
    """A heading for each section, and under it an entry for each key."""

    def run(self) -> list[nodes.Node]:
        """Parsed as if the page said it."""
        parts = []
        for name, section in sections().items():
            title = f"[{name}]" if name else "Above the sections"
            parts.append(f"## {title}\n\n{section_words(section.of) if name else ''}\n")
            parts += [_entry(key) for key in section.keys]
        return self.parse_text_to_nodes("\n".join(parts), allow_section_headings=True)


def _entry(key: Key) -> str:
    """One of Sphinx's own entries for configuration values, which links can lead to."""
    plain = key.default in (MUST_BE_GIVEN, NOT_GIVEN)
    default = key.default if plain else f"`{key.default}`"
    return (
        f"```{{confval}} {key.name}\n:type: {key.type}\n:default: {default}\n\n{key.words}\n```\n"
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("recipe-keys", RecipeKeys)
    return {"parallel_read_safe": True}
