"""The views of the shop are what the server reads, and say what happened."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import shop
from inferd.app.replay import Replay, Vector
from inferd.features.definitions import Definitions
from inferd.features.history import History
from inferd.features.writing import Limits
from shop.events import Json
from shop.world import World, line

FILE = Path(shop.__file__).parent / "definitions.yaml"
LIMITS = Limits(65_536, 300_000_000)


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return Definitions.read(yaml.safe_load(FILE.read_text()), files_in=FILE.parent)


def of_user(definitions: Definitions, events: list[Json], about: Json) -> Vector:
    """Return what is known of a user when they are about to pay."""
    names = ["user_payments", "user_unusual"]
    history = History(definitions, {}, limits=LIMITS)
    replay = Replay(definitions, history, names, slack_us=0, until_us=2**62)
    data = about["data"]
    for event in events:
        if event["id"] == about["id"]:
            break
        if event["user_id"] == about["user_id"]:
            replay.take(line(event).encode())
    said = {name: data[name] for name in ("amount_minor", "latitude", "longitude", "at_s")}
    at_us = int(np.datetime64(about["timestamp"][:-1], "us").astype(np.int64))
    ask = {"entity": "user", "id": about["user_id"], "at_us": at_us, "request": said}
    vector = replay.take(line({"ask": ask}).encode())
    assert vector is not None
    return vector


def test_every_event_is_taken_as_it_is(definitions: Definitions, events: list[Json]) -> None:
    names = [*definitions.views]
    history = History(definitions, {}, limits=LIMITS)
    replay = Replay(definitions, history, names, slack_us=0, until_us=2**62)

    for event in events[:3000]:
        replay.take(line(event).encode())

    assert replay.counts == {"events ADDED": 3000}


def test_an_impossible_journey_is_told_before_the_payment_is_recorded(
    definitions: Definitions, world: World, events: list[Json]
) -> None:
    takeovers = {each["id"] for each in world.truth() if each["pattern"] == "takeover"}
    about = [each for each in events if each["id"] in takeovers]

    speeds = [
        of_user(definitions, events, each).values["user_unusual:speed_kmh"] for each in about[:6]
    ]

    assert any(isinstance(each, float) and each > 900 for each in speeds)


def test_there_is_a_default_for_everything_but_the_last_place_and_time(
    definitions: Definitions,
) -> None:
    without = {
        f"{view.name}:{feature.name}"
        for view in definitions.views.values()
        for feature in view.features
        if feature.default is None
    }

    assert without == {
        "user_usual:latitude",
        "user_usual:longitude",
        "user_usual:at_s",
        "login_novelty:first_s",
    }
