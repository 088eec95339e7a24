"""`configs/alerts.yaml`: what Prometheus would refuse to load, and what would never ring."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferd.app.build import build
from inferd.config import Config, Redis
from inferd.config.features import Features
from inferd.telemetry.streaming import StreamMetrics, StreamStatistics

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "configs" / "alerts.yaml"
EXAMPLE = ROOT / "examples" / "features"
DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
METRIC = re.compile(r"\b(?:inferd|nv)_\w+")
PARTS_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")


GROUPS: list[Any] = yaml.safe_load(FILE.read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]


def ignore(_level: str, _format: str) -> None:
    """Apply no log settings."""


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Return the names of all that a server has to tell, whether or not there is any of it."""
    config = Config(
        features=Features(definitions=EXAMPLE / "definitions.yaml", store="redis"),
        redis=Redis(url="redis://localhost"),
    )
    parts = build(config, ignore, None)
    parts.metrics.registry.register(StreamMetrics(StreamStatistics([1.0])))
    page = parts.metrics.exposition()[0].decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    histograms = [name for name, kind in types.items() if kind == "histogram"]
    return {*types, *(name + part for name in histograms for part in PARTS_OF_HISTOGRAMS)}


def test_the_file_has_the_shape_that_prometheus_wants() -> None:
    content = yaml.safe_load(FILE.read_text())

    assert set(content) == {"groups"}
    for group in content["groups"]:
        assert set(group) == {"name", "rules"}


def test_every_alert_has_a_name_of_its_own() -> None:
    alerts = [rule["alert"] for rule in RULES]

    assert alerts
    assert len(set(alerts)) == len(alerts)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_complete(rule: Any) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert DURATION.fullmatch(rule.get("for", "0s"))
    for opening, closing in ("()", "[]", "{}"):
        assert rule["expr"].count(opening) == rule["expr"].count(closing)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_and_its_advice_speak_of_what_the_server_tells(rule: Any, names: set[str]) -> None:
    spoken_of = set(METRIC.findall(f"{rule['expr']} {rule['annotations']}"))

    assert spoken_of
    assert spoken_of <= names
