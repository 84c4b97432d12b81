"""Damaged and forged files: each reader refuses them in a line, or reads what they say.

``python -m tests.hostile --files 5000`` tries more of them.
"""

from __future__ import annotations

import pytest

from tests.hostile.readers import READERS
from tests.hostile.trying import REFUSED, tried

pytestmark = pytest.mark.long

FILES = 120  # for each reader


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_refused_or_read_right(name: str) -> None:
    counts, faults = tried(name, range(FILES))
    assert not faults
    assert sum(counts.values()) == FILES
    assert FILES / 4 < counts[REFUSED] <= FILES
