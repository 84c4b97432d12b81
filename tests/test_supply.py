"""What CI installs: listed by version and hash, and all that pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LISTS = [ROOT / ".ci" / name for name in ("lock.txt", "torch.txt")]

pytestmark = pytest.mark.skipif(not LISTS[0].is_file(), reason="the tests run outside a checkout")


def listed() -> dict[str, str]:
    """Each package's version, of entries that are versions with hashes and nothing else."""
    found: dict[str, str] = {}
    entry = re.compile(
        r"([\w.-]+)==([\w.+]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
    )
    for path in LISTS:
        text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M)
        assert entry.sub("", text) == "", path
        found |= {name.lower(): version for name, version, _ in entry.findall(text)}
    return found


def test_the_lists_have_all_that_ci_needs_in_versions_that_the_project_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"extras=\((.*)\)", (ROOT / ".ci" / "lock").read_text())
    assert extras is not None
    wanted = [Requirement(text) for text in project["dependencies"]]
    for extra in extras[1].split():
        wanted += [Requirement(text) for text in project["optional-dependencies"][extra]]
    versions = listed()
    for requirement in wanted:
        version = versions[requirement.name.lower()]
        assert requirement.specifier.contains(version), (str(requirement), version)


def test_ci_installs_from_the_lists_alone() -> None:
    """But for its last step, which asks the index for the newest versions, as a user does."""
    lines = re.findall(r"pip\"? install.*", (ROOT / ".ci" / "run").read_text())
    assert lines[:2] == [
        "pip install -q --no-deps --require-hashes -r .ci/lock.txt -r .ci/torch.txt",
        "pip install -q --no-deps --no-build-isolation .",
    ]
    assert len(lines) == 4
