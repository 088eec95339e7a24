"""The light generator's arguments, its report, and how it is built."""

import json
import os
import sys
from pathlib import Path

import pytest

from inferd_perf import openload
from inferd_perf.openload import (
    Churn,
    Closed,
    Load,
    NotBuilt,
    Open,
    Pattern,
    Scheduled,
    build,
    parse,
    words,
)

PERCENTILES = {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, "p999_ms": 4.0, "max_ms": 5.0}
NONE = {"count": 0, **dict.fromkeys(PERCENTILES, 0.0)}
REPORT = {
    "pattern": "open",
    "elapsed_s": 2.0,
    "calls": 100,
    "in_time": 80,
    "late_ok": NONE,
    "send_lag": {"count": 100, **PERCENTILES},
    "answers": {"OK": {"count": 80, **PERCENTILES}, "UNAVAILABLE": {"count": 20, **PERCENTILES}},
    "sessions": {"answered": 0},
    "connections": {"opened": 4, "failed": 0, "lost": 0, "goaways": 0, "idle_open": 0},
    "faults": ["it sent late"],
    "generator_cpu_s": 0.1,
    "generator_cores": 0.05,
    "is_realtime": True,
    "valid": False,
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (Open(12.5), {"--rate": "12.5"}),
        (Scheduled(Path("r"), Path("e")), {"--schedule": "r", "--outcomes": "e"}),
        (Closed(64), {"--concurrency": "64"}),
        (Closed(64, count=7), {"--concurrency": "64", "--count": "7"}),
        (Churn(9.0, count=7), {"--churn": "9.0", "--count": "7"}),
    ],
)
def test_a_pattern_says_when_calls_begin(pattern: Pattern, expected: dict[str, str]) -> None:
    found = words(Load(pattern=pattern, duration_s=1.0, deadline_s=1.0), 1, Path("b"))

    given = dict(zip(found[::2], found[1::2], strict=True))
    names = ("--rate", "--schedule", "--outcomes", "--concurrency", "--churn", "--count")
    assert {name: given[name] for name in names if name in given} == expected


def test_seconds_go_out_in_the_units_of_the_options() -> None:
    load = Load(
        pattern=Open(1.0), duration_s=3.0, deadline_s=0.05, warmup_s=0.5, grace_s=0.01, seed=7
    )

    found = words(load, 8001, Path("/tmp/body"))

    given = dict(zip(found[::2], found[1::2], strict=True))
    assert given["--deadline-ms"] == "50.0"
    assert given["--grace-ms"] == "10.0"
    assert (given["--warmup-s"], given["--duration-s"]) == ("0.5", "3.0")
    assert (given["--port"], given["--body"], given["--seed"]) == ("8001", "/tmp/body", "7")
    assert given["--path"] == "/inference.GRPCInferenceService/ModelInfer"


def test_metadata_go_out_as_headers() -> None:
    load = Load(
        pattern=Open(1.0), duration_s=1.0, deadline_s=1.0, metadata={"x-a": "1", "x-b": "two"}
    )

    found = words(load, 8001, Path("/tmp/body"))

    given = list(zip(found[::2], found[1::2], strict=True))
    assert [value for name, value in given if name == "--header"] == ["x-a: 1", "x-b: two"]


def test_a_report_is_read() -> None:
    report = parse(json.dumps(REPORT))

    assert (report.in_time_per_s, report.share_in_time) == (40.0, 0.8)
    assert report.late_ok is None
    assert report.ok is not None
    assert report.ok.count == 80
    assert report.answers["UNAVAILABLE"].p99_ms == 3.0
    assert report.faults == ("it sent late",)


def test_a_report_of_nothing_has_no_rates() -> None:
    report = parse(json.dumps({**REPORT, "elapsed_s": 0.0, "calls": 0, "answers": {}}))

    assert (report.in_time_per_s, report.share_in_time, report.ok) == (0.0, 0.0, None)


@pytest.mark.parametrize("output", ["", "Segmentation fault", "[]", json.dumps({"calls": 1})])
def test_what_is_no_report_is_refused(output: str) -> None:
    with pytest.raises(ValueError, match="not a report of openload"):
        parse(output)


@pytest.fixture
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that is the whole PATH, beside an empty cache."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path


def compiler(where: Path, name: str, script: str) -> None:
    path = where / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


#: A compiler that writes its arguments to where `-o` points.
HONEST = 'all="$*"; while [ "$1" != -o ]; do shift; done; echo "$all" > "$2"'


def test_a_missing_compiler_is_named_with_the_remedy(compilers: Path) -> None:
    with pytest.raises(NotBuilt, match=r"no `cc` \(apt-get install gcc, or name one in CC\)"):
        build()


def test_cc_names_another_compiler_with_its_flags(
    compilers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(compilers, "clang", HONEST)
    monkeypatch.setenv("CC", "clang -g")

    assert build().read_text().startswith("-g -O2 ")


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing_behind(compilers: Path) -> None:
    compiler(compilers, "cc", "echo 'no such header' >&2; exit 1")

    with pytest.raises(NotBuilt, match="no such header"):
        build()

    assert list((compilers / "cache" / "inferd-perf").iterdir()) == []


def test_the_generator_is_built_once_for_the_same_sources(
    compilers: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "a.c").write_text("int main() {}")
    (sources / "a.h").write_text("// one")
    monkeypatch.setattr(openload, "SOURCES", sources)
    compiler(compilers, "cc", HONEST)

    first = build()
    os.remove(compilers / "cc")
    again = build()
    (sources / "a.h").write_text("// two")

    assert first == again
    with pytest.raises(NotBuilt):
        build()


def test_an_installation_without_the_sources_says_so(
    compilers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(compilers, "cc", HONEST)
    monkeypatch.setattr(openload, "SOURCES", compilers / "nowhere")

    with pytest.raises(NotBuilt, match=r"no sources in .*nowhere"):
        build()


def test_other_systems_are_told_what_is_missing(
    compilers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(NotBuilt, match="needs Linux"):
        build()
