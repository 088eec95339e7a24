import time

import pytest

from inferd.config.resilience import Breaker, Cascade, Dependency, Rung, Stage
from inferd.resilience.endpoint import BadCascade
from inferd.resilience.toolbox import Toolbox
from support.guards import a_toolbox

RANK = "/shop.Ranking/Rank"


def cascade(*stages: str) -> Cascade:
    ladder = (Rung(name="best"), Rung(name="rule"))
    return Cascade(stages=tuple(Stage(name=name, ladder=ladder) for name in stages))


async def rule(*_: object) -> None: ...


def toolbox(**config: object) -> Toolbox:
    return a_toolbox(time.monotonic, **config)


def test_whoever_asks_for_a_dependency_by_the_same_name_gets_the_same() -> None:
    it = toolbox()

    redis = it.dependency("redis", Dependency(timeout_ms=20))

    assert it.dependency("redis") is redis
    assert redis.timeout_s == 0.02
    assert it.dependencies == {"redis": redis}


def test_the_configuration_goes_before_what_a_service_declares() -> None:
    it = toolbox(
        dependencies={"redis": Dependency(timeout_ms=5)}, cascades={RANK: cascade("configured")}
    )

    assert it.dependency("redis", Dependency(timeout_ms=20)).timeout_s == 0.005
    assert list(it.endpoint(RANK, cascade("declared")).budgets.stages) == ["configured"]


def test_what_the_configuration_does_not_say_is_as_the_service_declares_it() -> None:
    declared = Dependency(timeout_ms=5, breaker=Breaker(probes=7, open_s=0.1))
    it = toolbox(dependencies={"redis": Dependency(breaker=Breaker(open_s=0.2))})

    settings = it.dependency("redis", declared).settings

    assert settings == Dependency(timeout_ms=5, breaker=Breaker(probes=7, open_s=0.2))


def test_what_nobody_declares_has_the_defaults() -> None:
    assert toolbox().dependency("redis").settings == Dependency()


def test_a_method_has_one_endpoint() -> None:
    it = toolbox()
    it.endpoint(RANK, cascade("score"))

    with pytest.raises(ValueError, match=f"{RANK} has its endpoint already"):
        it.endpoint(RANK, cascade("score"))


def test_what_the_configuration_names_and_nobody_has_is_told() -> None:
    configured = cascade("score", "order")
    it = toolbox(
        dependencies={"redis": Dependency(), "reddis": Dependency()},
        cascades={RANK: configured, "/shop.Ranking/Rnak": configured},
    )
    it.dependency("redis")
    it.endpoint(RANK, cascade("score")).stage("score", best=rule, rule=rule)

    assert it.unknown() == [
        "resilience.dependencies.reddis",
        "resilience.cascades./shop.Ranking/Rnak",
        f"resilience.cascades.{RANK}.stages.order",
    ]


def test_a_stage_that_the_cascade_has_not_is_refused_by_name() -> None:
    endpoint = toolbox().endpoint(RANK, cascade("score", "order"))

    with pytest.raises(BadCascade, match=f"{RANK} has no stage scroe; there are score, order"):
        endpoint.stage("scroe", best=rule, rule=rule)


def test_a_rung_that_the_service_has_not_is_refused_by_name() -> None:
    endpoint = toolbox().endpoint(RANK, cascade("score"))

    with pytest.raises(BadCascade, match=r"stage score of .* has no rung rule; there are best"):
        endpoint.stage("score", best=rule)


def test_a_ladder_may_be_shorter_than_the_service_could_make_it() -> None:
    endpoint = toolbox().endpoint(RANK, cascade("score"))

    endpoint.stage("score", best=rule, better=rule, rule=rule)

    assert [each.name for each in endpoint.budgets.stages["score"].rungs] == ["best", "rule"]


def test_whether_a_stage_is_optional_is_not_for_the_configuration_to_say() -> None:
    ladder = (Rung(name="best"),)
    stages = (Stage(name="trend", ladder=ladder, optional=True), Stage(name="score", ladder=ladder))
    endpoint = toolbox().endpoint(RANK, Cascade(stages=stages))

    with pytest.raises(BadCascade, match=r"stage trend of .* cannot be optional"):
        endpoint.stage("trend", best=rule)
    with pytest.raises(BadCascade, match=r"stage score of .* must be optional"):
        endpoint.optional_stage("score", best=rule)
