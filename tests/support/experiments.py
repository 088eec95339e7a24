"""Experiments for tests: a surface that knows a few things, and texts that declare arms."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from inferd.app.experiments import compiled
from inferd.experiments.definitions import Asking
from inferd.experiments.experiments import Experiments

HOME = Asking(
    "home",
    units=("user_id", "session_id"),
    attributes={"country": "string", "orders": "int64"},
    parameters={"diversity": "float64", "ranker": "string", "boost": "bool", "depth": "int64"},
)
SEARCH = Asking("search", units=("user_id",), attributes={})

ARMS = [{"name": "control"}, {"name": "treatment"}]


def experiment(name: str = "mmr", **said: Any) -> dict[str, Any]:
    """Return an experiment of users that runs, with two arms."""
    whole = {"name": name, "surface": "home", "state": "running", "arms": ARMS, **said}
    return whole if "layer" in whole else {"unit": "user_id", **whole}


def text(*experiments: Mapping[str, Any], **said: Any) -> str:
    """Return a file with experiments."""
    return yaml.safe_dump({"experiments": [*experiments], **said})


def in_force(
    *experiments: Mapping[str, Any], more: Mapping[str, Any] | None = None, **keywords: Any
) -> Experiments:
    """Return experiments; `more` is what the file says besides."""
    return Experiments(text(*experiments, **(more or {})), [HOME, SEARCH], compiled, **keywords)


def arms_of(
    there: Experiments,
    users: Sequence[str],
    attributes: Mapping[str, Any] | None = None,
    *,
    surface: str = "home",
) -> dict[str, dict[str, str]]:
    """Return, for each user, the arms by experiment."""
    assign = there.surfaces[surface].assign
    return {
        user: {
            each.experiment: each.arm for each in assign({"user_id": user}, attributes or {}).arms
        }
        for user in users
    }
