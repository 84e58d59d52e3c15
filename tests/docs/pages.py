"""The Markdown that people read, taken apart: blocks of code, words in code, links, headings."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    + [page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts]
)
PROGRAMS = ("qhc", "python", "pip", "make", "cp", "git", "time", "cat", "export", "cd", "eval")
"""What a block without a language begins with if it is for a shell."""

SHELLS = ("bash", "sh", "shell", "console")

_MARK = re.compile(r"#.*\b(needs (?:an account|a GPU|a cluster|a network)|takes (?:minutes|hours))")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: where it stands.
        line: of the page, from 1.
        language: as the page says, or what it looks like where the page says nothing.
        text: the code.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{name_of(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file whose content it is, as its first line tells its reader."""
        found = re.match(r"# ([\w-]+\.(?:py|toml))\n", self.text)
        return found and found[1]

    @property
    def mark(self) -> str | None:
        """Why the whole block is not executed, as its first line tells its reader."""
        first = self.text.lstrip().partition("\n")[0]
        return mark_of(first) if first.startswith("#") else None


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def mark_of(line: str) -> str | None:
    """Why a line is not executed, by the comment that it ends with."""
    found = _MARK.search(line)
    return found and found[1]


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")))


def blocks(page: Path) -> Iterator[Block]:
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            told = token.info.strip().partition(" ")[0]
            language = told or guessed(token.content)
            yield Block(page, token.map[0] + 1, language, token.content)


def guessed(text: str) -> str:
    """The language of a block that names none."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return "text"
    if lines[0].split()[0] in PROGRAMS:
        return "bash"
    if re.fullmatch(r"\[[\w.\"-]+\]", lines[0]):
        return "toml"
    try:
        ast.parse(text)
    except SyntaxError:
        return "text"
    return "python"


def words_in_code(page: Path) -> Iterator[str]:
    """What stands between single backticks."""
    for token in tokens(page):
        yield from (each.content for each in token.children or () if each.type == "code_inline")


def links(page: Path) -> Iterator[str]:
    """Where its links and pictures lead."""
    for token in tokens(page):
        for each in token.children or ():
            target = each.attrs.get("href") or each.attrs.get("src")
            if target is not None:
                yield str(target)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names that GitHub gives to a page's headings."""
    seen: Counter[str] = Counter()
    found = []
    for token, inside in zip(tokens(page), tokens(page)[1:], strict=False):
        if token.type == "heading_open":
            words = "".join(each.content for each in inside.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(found)


def is_generated(page: Path) -> bool:
    """Whether some headings are made when the pages are built, which checks the links to them."""
    return any(block.language.startswith("{") for block in blocks(page))
