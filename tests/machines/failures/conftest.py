"""Whatever goes wrong, it goes wrong with a layer alone and with two copies of it side by side."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest

from .. import fakes


@pytest.fixture(params=[{}, fakes.SIDE_BY_SIDE], ids=["alone", "side by side"], autouse=True)
def placed(request: pytest.FixtureRequest) -> Iterator[None]:
    """How the backends of a test copy their layers."""
    with mock.patch.dict(fakes.placing, request.param):
        yield
