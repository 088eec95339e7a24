"""Keeps experiments up to date with their file, and what was stopped on the disk."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from inferd.config.reading import Refused
from inferd.experiments import stops
from inferd.experiments.experiments import Experiments, Reloaded, Stop

log = logging.getLogger(__name__)


class Keeper:
    """Reloads and stops. Lives on the event loop; files are read and written in threads."""

    def __init__(
        self,
        experiments: Experiments,
        path: Path,
        stops_path: Path,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self.experiments = experiments
        #: Why the file is not in force as it is now. Empty: it is.
        self.refused: tuple[str, ...] = ()
        self._path = path
        self._stops_path = stops_path
        self._now_us = now_us
        self._writing = asyncio.Lock()  # one write at a time, so that the last is the newest

    async def reload(self, *, check_only: bool = False) -> Reloaded:
        """Read the file again. Raises `Refused`; then what was in force still is."""
        try:
            text = await asyncio.to_thread(text_of, self._path)
            definitions = await asyncio.to_thread(self.experiments.checked, text)
        except Refused as error:
            if not check_only:
                self.refused = error.problems
            raise
        if check_only:
            return self.experiments.compared(definitions)
        self.refused = ()
        reloaded = self.experiments.replace(definitions)
        if reloaded.changed:
            log.info("experiments: version %s is in force", reloaded.version)
        for each in reloaded.moved:
            log.warning("%s; some units lose the arm that they had", each)
        return reloaded

    async def stop(self, experiment: str, arm: str, why: str) -> bool:
        """Stop an experiment, or an arm of it, and return whether that outlasts a restart.

        Raises `NotFound`.
        """
        stop = self.experiments.stop(experiment, arm, why, self._now_us())
        log.warning("experiment %s is stopped: %s", _named(stop), stop.why)
        async with self._writing:
            try:
                await asyncio.to_thread(stops.write, self._stops_path, self.experiments.stops)
            except OSError as error:
                log.error("%s: %s; after a restart it runs again", self._stops_path, error.strerror)  # noqa: TRY400 - the disk is no bug
                return False
        return True

    async def follow(self, poll_s: float) -> None:
        """Reload whenever the file has changed, for ever."""
        seen = await asyncio.to_thread(_stamp, self._path)
        while True:
            await asyncio.sleep(poll_s)
            now = await asyncio.to_thread(_stamp, self._path)
            if now == seen:
                continue
            seen = now
            try:
                await self.reload()
            except Refused as error:
                log.warning("experiments stay as they are: %s", "; ".join(error.problems))


def text_of(path: Path) -> str:
    """Return what is in a file. Raises `Refused`."""
    try:
        return path.read_text()
    except OSError as error:
        raise Refused([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Refused([f"{path}: not valid UTF-8 ({error.reason})"]) from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what is another when a file is; None: it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _named(stop: Stop) -> str:
    return f"{stop.experiment}, arm {stop.arm}" if stop.arm else stop.experiment
