"""Arms that do harm are stopped by themselves; in virtual time, on a real file of stops."""

import asyncio
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inferd.app.experiments import made
from inferd.config import Config
from inferd.config.reading import Refused
from inferd.experiments.guardrails import MOST_UNITS, Guardrails, UnitSums
from inferd.experiments.keeping import Keeper
from inferd.experiments.plan import Assignments
from support.experiments import HOME, experiment, in_force, text
from support.server import eventually


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Server:
    """An experiment with guardrails, and answers that are like their arm."""

    def __init__(self, directory: Path, *guardrails: dict[str, Any], **more: Any) -> None:
        said = experiment(guardrails=[*guardrails], **more)
        self.clock = Clock()
        self.keeper = Keeper(
            in_force(said), directory / "x.yaml", directory / "stopped.json", now_us=lambda: 7
        )
        self.guardrails = Guardrails(self.keeper, clock=self.clock)
        self._users = (f"user-{number}" for number in range(10**9))

    def assigned(self) -> Iterator[tuple[str, str, Assignments]]:
        """Yield users with their arms."""
        assign = self.keeper.experiments.surfaces["home"].assign
        for user in self._users:
            found = assign({"user_id": user}, {})
            yield user, found.arms[0].arm if found.arms else "", found

    def answer(self, count: int, **by_arm: dict[str, Any]) -> None:
        """Answer users; what answers are like depends on the arm."""
        for (_, arm, found), _ in zip(self.assigned(), range(count), strict=False):
            like = {"took_s": 0.010, **by_arm.get(arm, {})}
            self.guardrails.served(found, **like)

    def harm(self) -> list[tuple[str, str]]:
        return [(each.arm, each.why) for each in self.guardrails.harmful(self.clock.now)]


def test_a_slow_arm_is_found(tmp_path: Path) -> None:
    server = Server(tmp_path, {"metric": "latency_ms", "times": 1.2, "slack": 1})
    server.answer(1000, control={"took_s": 0.010}, treatment={"took_s": 0.012})
    assert server.harm() == []

    server.answer(4000, treatment={"took_s": 0.020})

    ((arm, why),) = server.harm()
    assert arm == "treatment"
    assert why.startswith("latency_ms: 18")


@pytest.mark.parametrize(("metric", "key"), [("error", "failed"), ("degraded", "degraded")])
def test_an_arm_that_fails_is_found(tmp_path: Path, metric: str, key: str) -> None:
    server = Server(tmp_path, {"metric": metric, "slack": 0.1})
    server.answer(1000, treatment={key: True})

    assert [arm for arm, _ in server.harm()] == ["treatment"]


def test_a_shift_of_predictions_is_found(tmp_path: Path) -> None:
    server, rng = Server(tmp_path, {"metric": "prediction", "slack": 0.2}), random.Random(1)
    for _ in range(1500):
        server.answer(1, control={"said": rng.random()}, treatment={"said": rng.random() ** 4})

    assert [arm for arm, _ in server.harm()] == ["treatment"]


def test_an_arm_whose_units_buy_less_is_found(tmp_path: Path) -> None:
    server = Server(tmp_path, {"metric": "purchase", "worse": "lower", "times": 0.8})
    for number, (user, arm, _) in enumerate(server.assigned()):
        server.guardrails.exposed("mmr", 1, arm, user)
        if number % (2 if arm == "control" else 20) == 0:
            server.guardrails.happened(user, "purchase", 1.0)
        if number == 2000:
            break

    assert [arm for arm, _ in server.harm()] == ["treatment"]


def test_what_happened_before_the_window_does_not_count(tmp_path: Path) -> None:
    server = Server(tmp_path, {"metric": "error", "window_s": 60})
    server.answer(1000, treatment={"failed": True})
    server.clock.now = 120.0

    assert server.harm() == []


def test_the_control_is_never_stopped_and_nobody_without_enough_answers(tmp_path: Path) -> None:
    server = Server(tmp_path, {"metric": "error"})
    server.answer(1000, control={"failed": True})
    few = Server(tmp_path, {"metric": "error", "minimum": 400})
    few.answer(600, treatment={"failed": True})

    assert server.harm() == few.harm() == []


def test_arms_that_were_forced_say_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path, {"metric": "error"}, forced={"tester": "treatment"})
    forced = server.keeper.experiments.surfaces["home"].assign({"user_id": "tester"}, {})
    server.answer(1000)
    for _ in range(1000):
        server.guardrails.served(forced, 0.01, failed=True)

    assert server.harm() == []


def test_a_reload_keeps_what_is_known_and_a_revision_does_not(tmp_path: Path) -> None:
    guardrail = {"metric": "error"}
    server = Server(tmp_path, guardrail)
    server.answer(1000, treatment={"failed": True})
    there = server.keeper.experiments

    there.replace(there.checked(text(experiment(guardrails=[guardrail], coverage=0.5))))
    assert server.harm()
    there.replace(there.checked(text(experiment(guardrails=[guardrail], revision=2))))
    assert server.harm() == []


def test_sums_of_units_are_of_those_who_came_of_late() -> None:
    sums = UnitSums(10.0)
    for now in range(20):
        sums.came(f"u{now}", now)
        sums.came(f"u{now}", now)
    sums.did("u19", 2.0)
    sums.did("u19", 1.0)
    sums.did("u3", 9.0)
    sums.did("stranger", 9.0)

    found = sums.moments(19.5)

    assert (found.count, found.total, found.squares) == (10, 3.0, 9.0)


def test_units_are_forgotten_when_they_are_too_many() -> None:
    sums = UnitSums(10.0)
    for number in range(MOST_UNITS + 1):
        sums.came(str(number), 0.0)

    sums.did("0", 1.0)
    sums.did("1", 1.0)

    assert sums.moments(0.0).total == 1.0


def test_a_server_stops_an_arm_that_does_harm_for_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.yaml").write_text(text(experiment(guardrails=[{"metric": "error"}])))
    config = Config.model_validate(
        {
            "experiments": {
                "definitions": tmp_path / "x.yaml",
                "stops": tmp_path / "stopped.json",
                "look_s": 0.01,
                "exposures": {"path": tmp_path / "exposures"},
                "outcomes": {"path": tmp_path / "outcomes"},
            }
        }
    )
    there = made(config, [HOME])
    assert there is not None
    assign = there.in_force.surfaces["home"].assign

    async def life() -> None:
        async with there.running():
            for number in range(1000):
                found = assign({"user_id": f"u{number}"}, {})
                bad = found.arms[0].arm == "treatment"
                there.guardrails.served(found, 0.01, failed=bad)
            await asyncio.to_thread(eventually, lambda: bool(there.guardrails.stopped))
            await asyncio.sleep(0.05)  # it looks again, and finds nothing new

    with caplog.at_level(logging.WARNING):
        asyncio.run(life())

    (stop,) = there.in_force.stops
    assert (stop.experiment, stop.arm) == ("mmr", "treatment")
    assert stop.why.startswith("guardrail: error: 1 of ")
    assert there.guardrails.stopped == {("mmr", "treatment", "error"): 1}
    assert "mmr, arm treatment is stopped: guardrail: error" in caplog.text
    assert (tmp_path / "stopped.json").exists()


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"metric": "prediction", "slack": 2}, "guardrails.0.slack"),
        ({"metric": "error", "minimum": 1}, "guardrails.0.minimum"),
        ({"metric": "error", "worse": "sideways"}, "guardrails.0.worse"),
    ],
)
def test_a_wrong_guardrail_is_named(said: dict[str, Any], key: str) -> None:
    with pytest.raises(Refused, match=key):
        in_force(experiment(guardrails=[said]))


def test_interleaved_rankings_have_no_guardrails() -> None:
    with pytest.raises(Refused, match="guardrails compare arms"):
        in_force(experiment(interleaved=True, guardrails=[{"metric": "error"}]))
