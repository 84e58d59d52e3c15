"""Showing a page in a browser, or saying where it is."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

import click


def show_page(page: Path) -> None:
    """Open a page in the browser; where there is none, say what to do instead."""
    address = page.resolve().as_uri()
    if _has_screen() and _opened(address):
        return
    words = f"no browser is to be had here; open {address} in yours"
    if "SSH_CONNECTION" in os.environ:
        words += ", or copy the file to your computer: it needs nothing beside it"
    click.echo(words, err=True)


def _has_screen() -> bool:
    """Without one a browser in the terminal would take the terminal's place."""
    if "BROWSER" in os.environ or sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False
