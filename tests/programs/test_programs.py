"""Eager, compiled and PyTorch agree whatever a program does, in any order: see ``machine.py``."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.programs.machine import Programs

pytestmark = pytest.mark.long

FEW = settings(max_examples=15, stateful_step_count=20, derandomize=True, deadline=None)
MANY = settings.get_profile("programs")

TestPrograms = Programs.TestCase
TestPrograms.settings = MANY if settings.default is MANY else FEW
