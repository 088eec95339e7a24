"""`inferd` in a shop whose clock is faster than ours: days of payments pass in seconds.

    python -m shop.hurried CLOCK serve --config configs/shop/fraud.yaml

Windows end when somebody asks. So that they have of the past what they should when the past is
replayed, the time of day is the shop's. What is measured (deadlines, latencies) is not.
"""

import math
import mmap
import struct
import sys
import time
from pathlib import Path

from inferd.app import feature_parts
from inferd.app import main as inferd

_FORMAT = struct.Struct("<ddd")

_wall_clock = time.time  # noqa: TID251 - the shop's time of day is made of it


class Hurried:
    """A clock that stands until it is started; shared by all processes that open its file."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _FORMAT.size)

    @classmethod
    def made(cls, path: Path, *, from_s: float, speed: float) -> "Hurried":
        """Return one that stands at a point in time, in seconds since 1970."""
        path.write_bytes(_FORMAT.pack(from_s, speed, math.inf))
        return cls(path)

    def start(self) -> None:
        """Let it run."""
        from_s, speed, _ = _FORMAT.unpack_from(self._shared)
        _FORMAT.pack_into(self._shared, 0, from_s, speed, _wall_clock())

    def now(self) -> float:
        """Return the time in the shop, in seconds since 1970."""
        from_s, speed, started = _FORMAT.unpack_from(self._shared)
        return float(from_s + speed * max(0.0, _wall_clock() - started))


def main() -> int:
    """Run `inferd` with the rest of the command line."""
    # Features and decisions have their time from here. What else knows the time of day, files for
    # one, has ours.
    feature_parts.WALL_CLOCK = Hurried(Path(sys.argv[1])).now
    return inferd(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
