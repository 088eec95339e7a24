"""One world for all tests, made once."""

import pytest

from shop.events import Json
from shop.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World.generate()


@pytest.fixture(scope="session")
def events(world: World) -> list[Json]:
    return list(world.events())
