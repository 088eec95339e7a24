from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inferd.config import Repository
from inferd.errors import NotFound, NotReady
from inferd.inference.registry import IndexEntry, Registry, Slot
from inferd.inference.repository.layout import ModelFiles, Snapshot, VersionFiles
from inferd.inference.version import State
from support.fake_models import FakeVersion

GONE = Snapshot({})


def registry(**labels: dict[str, int]) -> Registry:
    return Registry(labels)


def serve(registry: Registry, name: str, number: int, **fields: Any) -> Slot:
    """Put a version into service."""
    slot = registry.slot((name, number))
    version: Any = FakeVersion(name, str(number))
    slot.state, slot.version, slot.stamp = State.READY, version, (name, number)
    for field, value in fields.items():
        setattr(slot, field, value)
    registry.publish()
    return slot


def evict(registry: Registry, name: str, number: int) -> Slot:
    slot = registry.slot((name, number))
    slot.state, slot.version, slot.evicted, slot.stamp = State.UNLOADED, None, True, (name, number)
    registry.publish()
    return slot


def on_disk(**versions: list[int]) -> Snapshot:
    return Snapshot(
        {
            name: ModelFiles(name, Path(name), {n: VersionFiles(n) for n in numbers})
            for name, numbers in versions.items()
        }
    )


def found(registry: Registry, name: str, version: str = "") -> int | None:
    version_found = registry.find(name, version)
    return version_found.number if version_found else None


class TestFinding:
    def test_the_highest_version_is_meant_when_none_is_named(self) -> None:
        models = registry()
        for number in (2, 10, 9):
            serve(models, "m", number)

        assert found(models, "m") == 10
        assert [found(models, "m", text) for text in ("2", "9", "10", "3", "02", " 2")] == [
            2, 9, 10, None, None, None,
        ]  # fmt: skip

    def test_labels_are_names_of_versions(self) -> None:
        models = registry(m={"stable": 1, "canary": 2, "next": 3})
        serve(models, "m", 1)
        serve(models, "m", 2)

        assert [found(models, "m", text) for text in ("stable", "canary", "next")] == [1, 2, None]
        version = models.find("m", "stable")
        assert version is not None
        assert version.labels == ("stable",)

    def test_a_label_is_no_number(self) -> None:
        with pytest.raises(ValidationError, match="version_labels"):
            Repository(version_labels={"m": {"1": 2}})

    def test_an_evicted_version_is_meant_as_if_it_were_there(self) -> None:
        models = registry(m={"stable": 1, "canary": 2})
        serve(models, "m", 1)
        evict(models, "m", 2)

        assert found(models, "m") is None
        assert models.evicted("m", "") == models.evicted("m", "2") == ("m", 2)
        assert models.evicted("m", "canary") == ("m", 2)
        assert found(models, "m", "1") == found(models, "m", "stable") == 1
        assert models.evicted("m", "1") is None
        assert models.evicted("m", "9" * 5000) is None
        assert models.evicted("other", "") is None

    def test_a_failed_version_is_not_meant(self) -> None:
        models = registry()
        serve(models, "m", 1)
        models.slot(("m", 2)).state = State.FAILED
        models.publish()

        assert found(models, "m") == 1

    def test_the_previous_version_is_the_highest_ready_one_below_the_default(self) -> None:
        models = registry()
        for number in (2, 7, 9):
            serve(models, "m", number)
        evict(models, "m", 8)

        previous = models.previous("m")

        assert previous is not None
        assert previous.number == 7

    def test_without_an_earlier_version_there_is_no_previous_one(self) -> None:
        models = registry()
        serve(models, "m", 2)
        models.slot(("m", 1)).state = State.FAILED

        assert models.previous("m") is None
        assert models.previous("other") is None
        assert "other" not in models


class TestMissing:
    def error(self, models: Registry, version: str = "") -> Exception:
        return models.missing("m", version)

    def test_an_unknown_model_is_not_found(self) -> None:
        error = self.error(registry())

        assert isinstance(error, NotFound)
        assert str(error) == "Request for unknown model: 'm' is not found"

    @pytest.mark.parametrize("version", ["2", "latest", "01", "9" * 5000])
    def test_an_unknown_version_is_not_found(self, version: str) -> None:
        models = registry()
        serve(models, "m", 1)

        error = self.error(models, version)

        assert isinstance(error, NotFound)
        assert str(error) == f"Request for unknown model: 'm' version {version} is not found"

    def test_a_model_without_versions_has_none_available(self) -> None:
        models = registry()
        models.model("m").problem = "its configuration is wrong"

        error = self.error(models)

        assert isinstance(error, NotFound)
        assert str(error) == (
            "Request for unknown model: 'm' has no available versions: its configuration is wrong"
        )

    @pytest.mark.parametrize("state", [State.LOADING, State.WARMING])
    def test_a_version_on_its_way_is_not_ready(self, state: State) -> None:
        models = registry()
        models.slot(("m", 1)).state = state

        errors = self.error(models), self.error(models, "1")

        assert all(isinstance(error, NotReady) for error in errors)
        assert str(errors[0]).endswith("'m' has no available versions")
        assert str(errors[1]) == "'m' version 1 is not at ready state"

    def test_an_evicted_version_that_cannot_come_back_is_not_ready(self) -> None:
        models = registry()
        evict(models, "m", 1).reason = "no room"

        for version in ("", "1"):
            error = self.error(models, version)
            assert isinstance(error, NotReady)
            assert str(error).endswith(": no room")


class TestIndex:
    def test_every_version_has_a_line_in_order(self) -> None:
        models = registry()
        for name, number in [("b", 1), ("a", 10), ("a", 9)]:
            serve(models, name, number)
        models.model("c").problem = "wrong"
        models.model("d")

        assert models.index() == [
            IndexEntry("a", "9", State.READY),
            IndexEntry("a", "10", State.READY),
            IndexEntry("b", "1", State.READY),
            IndexEntry("c", "", State.FAILED, "wrong"),
            IndexEntry("d", "", State.UNLOADED),
        ]
        assert [each.name for each in models.index(ready_only=True)] == ["a", "a", "b"]

    def test_a_version_counts_until_it_has_left_and_never_twice(self) -> None:
        models = registry()
        old, new = (serve(models, "m", 1).version for _ in range(2))
        slot = models.slot(("m", 1))
        assert old is not None
        slot.leaving.append(old)
        assert models.versions() == [new]

        slot.version = None
        assert models.versions() == [old]


class TestForgetting:
    def test_what_left_the_disk_and_serves_nothing_is_forgotten(self) -> None:
        models = registry()
        serve(models, "kept", 1)
        models.slot(("kept", 2)).state = State.FAILED
        models.slot(("gone", 1)).state = State.UNLOADED
        models.model("empty")

        models.forget_missing(on_disk(kept=[1]), None)

        assert models.keys() == [("kept", 1)]
        assert "gone" not in models
        assert "empty" not in models

    def test_what_serves_or_is_busy_is_not(self) -> None:
        models = registry()
        serve(models, "serves", 1)
        leaving = serve(models, "leaves", 1)
        assert leaving.version is not None
        leaving.leaving.append(leaving.version)
        leaving.version = None

        models.forget_missing(GONE, None)

        assert models.keys() == [("serves", 1), ("leaves", 1)]

    def test_other_models_are_left_alone(self) -> None:
        models = registry()
        models.slot(("m", 1))
        models.slot(("other", 1))

        models.forget_missing(GONE, {"m"})

        assert models.keys() == [("other", 1)]


class TestKnown:
    def test_the_planner_learns_what_is_there_and_what_failed(self) -> None:
        models = registry()
        serve(models, "a", 1, failed_stamp="newer")
        evict(models, "a", 2)
        models.slot(("b", 1)).failed_stamp = "broken"

        known = models.known(None)

        assert known.ready == {("a", 1): ("a", 1), ("a", 2): ("a", 2)}
        assert known.failed == {("a", 1): "newer", ("b", 1): "broken"}
        assert models.known({"b"}).ready == {}

    def test_what_is_forgiven_may_be_tried_again(self) -> None:
        models = registry()
        slot = models.slot(("m", 1))
        slot.failed_stamp, slot.reason = "broken", "no graph"
        assert models.problem("m") == "no graph"

        models.forgive("m")

        assert models.known(None).failed == {}
        assert models.problem("m") == ""


class TestWatching:
    def test_listeners_hear_of_changes_until_they_leave(self) -> None:
        models, heard = registry(), list[str]()
        leave = models.watch(lambda: heard.append("first"))
        models.watch(lambda: heard.append("second"))

        models.publish()
        leave()
        models.publish()

        assert heard == ["first", "second", "second"]

    def test_nothing_is_heard_when_nothing_has_changed(self) -> None:
        models, heard = registry(), list[str]()
        serve(models, "m", 1)
        models.watch(lambda: heard.append("changed"))

        models.forget_missing(on_disk(m=[1]), None)

        assert heard == []
