"""Rollouts of models, for servers that have any."""

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.deadline import Clock
from inferd.experiments import stops
from inferd.experiments.hashing import PLACES, Salt, hashed_unit
from inferd.inference.rollout import Decision, Place
from inferd.inference.rollouts import Rollouts

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(list[Decision]).decode


def made(config: Config, clock: Clock) -> Rollouts | None:
    """Return what rolls out new versions; None where there are none.

    Raises `ConfigError` where nobody can tell what was rolled back.
    """
    settings = config.rollouts
    if not settings.models:
        return None
    try:
        decided = read(settings.decided)
    except (OSError, ValueError) as error:
        raise ConfigError([f"rollouts.decided: {error}"]) from error
    return Rollouts(
        settings,
        place=placed,
        decided=decided,
        keep=partial(keep, settings.decided),
        clock=clock,
        wall_clock=time.time,  # noqa: TID251 - decisions have times of day
    )


def placed(salt: str) -> Place:
    """Return where keys are: as units in experiments, by a salt of their own."""
    places = Salt.of(salt)
    return lambda key: places.place(hashed_unit(key)) / PLACES


def read(path: Path) -> list[Decision]:
    """Return what was decided; nothing where there is no file. Raises `OSError`, `ValueError`."""
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: it does not say what was decided ({error})") from error


async def keep(path: Path, decisions: Sequence[Decision]) -> bool:
    """Have a file say what was decided, and return whether it does."""
    try:
        await asyncio.to_thread(stops.replace, path, msgspec.json.encode(decisions))
    except OSError as error:
        log.error("%s: %s; after a restart it is as it was", path, error.strerror)  # noqa: TRY400 - the disk is no bug
        return False
    return True
