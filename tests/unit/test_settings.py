"""Configuration fails early, names the key, and tells everything at once."""

import os
from pathlib import Path

import pytest

from inferd.app.machine import own_cores, usable_cores
from inferd.app.settings import ConfigError, load
from inferd.config import Config


def a_file(directory: Path, text: str) -> Path:
    path = directory / "inferd.yaml"
    path.write_text(text)
    return path


def test_defaults_are_complete() -> None:
    assert load(None, {}, {}) == Config()


def test_each_source_goes_over_the_one_before(tmp_path: Path) -> None:
    path = a_file(tmp_path, "server: {port: 1, http_port: 2, name: file}")
    environment = {"INFERD__SERVER__HTTP_PORT": "3", "INFERD__SERVER__NAME": "env", "OTHER": "x"}

    server = load(path, environment, {"server": {"name": "flag"}}).server

    assert (server.port, server.http_port, server.name) == (1, 3, "flag")


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    path = a_file(tmp_path, "repository: {paths: [models, /absolute]}")

    assert load(path, {}, {}).repository.paths == (tmp_path / "models", Path("/absolute"))


def test_a_path_from_the_command_line_stays_as_it_is(tmp_path: Path) -> None:
    path = a_file(tmp_path, "repository: {paths: [models]}")

    config = load(path, {}, {"repository": {"paths": ["here"]}})

    assert config.repository.paths == (Path("here"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: {prot: 1}", r"server.prot: no such key; there are .*\bport\b"),
        ("severs: {}", r"severs: no such key; there are .*\bserver\b"),
        ("server: {port: 99999}", "server.port: .*less than or equal to 65535, got 99999"),
        ("server: 7", "server: .*, got 7"),
        ("- a", "expected sections"),
        ("server: {port: [", "expected the node content"),
        ("repository: {control_mode: pull}", "repository.control_mode: .*'poll'.*got 'pull'"),
        ("telemetry: {log: {level: loud}}", "telemetry.log.level: .*got 'loud'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(a_file(tmp_path, text), {}, {})


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = a_file(tmp_path, "server: {port: -1, drain_s: 0}\ninference: {nope: 1}")

    with pytest.raises(ConfigError) as wrong:
        load(path, {}, {})

    assert [line.split(":")[0] for line in wrong.value.problems] == [
        "server.port",
        "server.drain_s",
        "inference.nope",
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: No such file"):
        load(tmp_path / "nowhere.yaml", {}, {})


def test_the_containers_quota_bounds_the_cores(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")

    assert usable_cores(tmp_path) == 1


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")

    assert usable_cores(tmp_path) == usable_cores(tmp_path / "nothing")


def test_under_a_quota_below_the_affinity_the_cores_are_not_ours_to_deal_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 2, 3}, raising=False)

    assert own_cores(tmp_path) == (2, 3, 5)
    (tmp_path / "cpu.max").write_text("300000 100000\n")
    assert own_cores(tmp_path) == (2, 3, 5)
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert own_cores(tmp_path) == ()


def test_where_there_is_no_affinity_no_cores_are_dealt_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)

    assert own_cores(tmp_path) == ()
