"""Configuration fails early, names the key, and tells everything at once."""

import os
from pathlib import Path

import pytest

from inferd.app.machine import own_cores, usable_cores
from inferd.app.settings import ConfigError, load
from inferd.config import Config
from inferd.config.faults import fault


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


def test_what_fraud_decisions_write_and_read_is_where_the_file_says(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        "features: {definitions: d}\n"
        "fraud: {rules: r, policy: p, audit: {path: a}, idempotency: {sqlite_path: s},"
        " alerts: {file: {path: f}}}",
    )

    fraud = load(path, {}, {}).fraud

    assert fraud.alerts.file is not None
    assert [fraud.rules, fraud.policy, fraud.audit.path, fraud.idempotency.sqlite_path] == [
        tmp_path / name for name in "rpas"
    ]
    assert fraud.alerts.file.path == tmp_path / "f"
    elsewhere = load(path, {"INFERD__FRAUD__AUDIT__PATH": "here"}, {}).fraud.audit.path
    assert elsewhere == Path("here")


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
        ("redis: {url: 'redis://h:1/a'}", "redis.url: after the host .*, got 'redis://h:1/a'"),
        ("redis: {url: 'redis://h:1?socket_timeout=x'}", "redis.url: .*socket_timeout"),
        ("postgres: {url: 'mysql://h/d'}", "postgres.url: .*, got 'mysql://h/d'"),
        ("postgres: {url: 'postgresql://a,b:x/d'}", "postgres.url: Port .*'x'"),
        (
            "features: {definitions: f, store: postgres}",
            "^features.store postgres needs postgres.url",
        ),
        (
            "features: {definitions: f, cache_in_postgres: true}",
            "^features.cache_in_postgres needs postgres.url",
        ),
        (
            "features: {cache_path: f, cache_in_postgres: true}",
            "^features: there is one third level, cache_path or cache_in_postgres$",
        ),
        ("server: {port: 1, port: 2}", "the key 'port' is there twice .*line 1, column 19"),
        ("resilience: {model_breaker: {open_s: 99}}", "model_breaker: open_s .* open_max_s$"),
        (
            "resilience: {dependencies: {a: {limit: {maximum: 9}}}}",
            r"a.limit: minimum \(2\), initial \(20\) and maximum \(9\) must be in this order$",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(a_file(tmp_path, text), {}, {})


def test_what_is_merged_in_may_be_said_again(tmp_path: Path) -> None:
    text = "server: {<<: [{port: 1, name: a}, {port: 2}], port: 3}"

    server = load(a_file(tmp_path, text), {}, {}).server

    assert (server.port, server.name) == (3, "a")


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


def test_a_schedule_of_faults_is_read_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    path = a_file(tmp_path, "faults: {schedule: faults.yaml}")
    (tmp_path / "faults.yaml").write_text("- {at_s: 5, point: redis, kind: latency, ms: 200}")

    (scheduled,) = load(path, {}, {}).faults.schedule

    assert (scheduled.at_s, scheduled.point) == (5, "redis")
    assert scheduled.fault == fault({"kind": "latency", "ms": 200})


def test_a_configuration_survives_being_written_down(tmp_path: Path) -> None:
    text = """
    faults: {schedule: [{at_s: 5, point: redis, kind: hang, for_s: 1}]}
    resilience: {cascades: {/a.B/C: {stages: [{name: rank, ladder: [{name: full}]}]}}}
    """
    config = load(a_file(tmp_path, text), {}, {})

    read = Config.model_validate_json(config.model_dump_json(exclude_unset=True))

    assert read == config
    assert read.model_fields_set == {"faults", "resilience"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{at_s: 1, point: a, kind: slow}]", r"faults.schedule.0.fault: .*'latency'"),
        ("[{at_s: 1, point: a, kind: latency}]", r"schedule.0.fault.latency.ms: Field required"),
        ("[{at_s: -1, point: a, kind: hang}]", r"faults.schedule.0.at_s: .*got -1"),
        ("[{point: a, kind: hang, fors: 1}]", r"fault.hang.fors: no such key; .*\bfor_s\b"),
        ("missing.yaml", r"missing.yaml: No such file"),
    ],
)
def test_a_mistake_in_a_schedule_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(a_file(tmp_path, f"faults: {{schedule: {text}}}"), {}, {})


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    path = a_file(tmp_path, "redis: {url: 'redis://me:s3@cret@here:99999'}")

    with pytest.raises(ConfigError, match=r"got 'redis://me:\*\*\*@here:99999'"):
        load(path, {}, {})


def test_on_and_off_are_words_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    text = "resilience: {dependencies: {a: {breaker: {mode: off}, limit: {mode: off}}}}"

    it = load(a_file(tmp_path, text), {}, {}).resilience.dependencies["a"]

    assert (it.breaker.mode, it.limit.mode) == ("off", "off")


def test_a_limit_that_does_not_adapt_has_no_bounds(tmp_path: Path) -> None:
    text = "resilience: {dependencies: {a: {limit: {mode: fixed, initial: 1}}}}"

    assert load(a_file(tmp_path, text), {}, {}).resilience.dependencies["a"].limit.initial == 1


def test_keys_in_lists_of_sections_are_known(tmp_path: Path) -> None:
    path = a_file(tmp_path, "resilience: {rate_limits: [{per_s: 1, bursts: 2}]}")

    with pytest.raises(ConfigError, match=r"rate_limits.0.bursts: no such key; .*\bburst\b"):
        load(path, {}, {})
