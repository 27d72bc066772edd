"""What all tests share: browser tests are left out, and say so, where there is no Chromium."""

from __future__ import annotations

import os

import pytest
from lab import CHROMIUM_HINT, find_chromium


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none; in CI such a test runs, and fails."""
    if find_chromium() or os.environ.get("CI") == "true":
        return
    for item in items:
        if "browser" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=CHROMIUM_HINT))
