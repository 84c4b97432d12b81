"""``python -m benchmarks.soak``: what grows is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.soak import Sample

FLAT = Sample(0.0, 0, 190.0, 450_000, 7, 4)


def samples(**rises: float) -> list[Sample]:
    """A sample a minute, and what rises in the hour; the first quarter is higher."""
    rows = []
    for minute in range(61):
        row = FLAT._replace(seconds=60.0 * minute, rounds=7 * minute)
        grown = {name: getattr(FLAT, name) + rise * minute / 60 for name, rise in rises.items()}
        rows.append(row._replace(rss_mb=900.0) if minute < 15 else row._replace(**grown))
    return rows


def test_what_stays_is_flat_whatever_the_first_quarter_does() -> None:
    line, flat = soak.verdict(samples())
    assert flat
    assert line.startswith("flat: 420 rounds in 3600 s; rss_mb 190.0 to 190.0, +0.0 an hour (at")


@pytest.mark.parametrize(("name", "bound"), soak.BOUNDS.items())
def test_each_figure_may_rise_as_far_as_its_bound(name: str, bound: float) -> None:
    assert soak.verdict(samples(**{name: 0.9 * bound}))[1]
    line, flat = soak.verdict(samples(**{name: 1.1 * bound}))
    assert not flat
    assert line.startswith("NOT flat: ")
    assert f"{1.1 * bound:+.1f} an hour (at most {bound:g})" in line


def test_few_samples_are_no_verdict() -> None:
    assert soak.verdict(samples()[:9]) == (
        "too short: 7 samples after the first quarter; wanted 8",
        False,
    )


@pytest.mark.long
def test_what_rounds_leave_behind_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psutil")
    left = []

    def rounds(folder: Path) -> Iterator[None]:
        for _ in range(16):
            left.append([object() for _ in range(500)])
            yield

    monkeypatch.setitem(soak.MODES, "sweep", rounds)
    few = ["--mode", "sweep", "--hours", "1", "--every", "0.001", "--out", str(tmp_path)]
    assert soak.main(few) == 1
    assert capsys.readouterr().out.startswith("sweep: NOT flat: 16 rounds in ")
    kept = soak.read(tmp_path / "sweep.csv")
    assert kept[-1].blocks - kept[0].blocks > 500 * (kept[-1].rounds - kept[0].rounds)
    assert kept[-1].handles > 2
    assert kept[-1].rss_mb > 20


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf"])
def test_hours_are_a_number_above_0(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(["--hours", hours])
    assert ended.value.code == 2
    assert f"argument --hours: {hours}; wanted a number above 0" in capsys.readouterr().err
