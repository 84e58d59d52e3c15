"""Links between pages and to files lead somewhere; those to other places have the form of one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .pages import PAGES, ROOT, anchors, is_generated, links, name_of


def mistake(page: Path, target: str) -> str | None:
    """What is wrong with a link of a page."""
    parts = urlsplit(target)
    if parts.scheme:
        is_address = parts.scheme in ("http", "https") and "." in parts.netloc
        return None if is_address and " " not in target else "is no address"
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.is_relative_to(ROOT) or not file.exists():
        return "leads to no file"
    if parts.fragment and file.suffix == ".md" and not is_generated(file):
        return None if parts.fragment in anchors(file) else "leads to no heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = {target: words for target in links(page) if (words := mistake(page, target))}
    assert wrong == {}


def test_broken_links_are_seen(tmp_path: Path) -> None:
    page = ROOT / "docs" / "machine.md"
    assert "rows-of-feature-maps" in anchors(page)
    assert mistake(page, "gpu.md") is None
    assert mistake(page, "#side-by-side-on-the-chip") is None
    assert mistake(page, "no-such-page.md") == "leads to no file"
    assert mistake(page, "#no-such-heading") == "leads to no heading"
    assert mistake(page, "gpu.md#no-such-heading") == "leads to no heading"
    assert mistake(page, "https://") == "is no address"
    assert mistake(page, str(tmp_path)) == "leads to no file"
    assert len({target for page in PAGES for target in links(page)}) > 20
