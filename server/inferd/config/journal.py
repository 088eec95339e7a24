"""A journal: where records are kept that must be neither lost nor changed, and for how long."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from inferd.config.section import MIB, NotNegative, Positive, Section

Count = Annotated[int, Field(ge=1)]
DAY_S = 86_400.0


class Journal(Section):
    """Files of records, each of which has the hash of the one before."""

    path: Path = Path("audit")
    """A directory, which is made when it is not there. As all paths in a configuration file it is
    relative to that; where none says otherwise, to where the server is started."""
    server: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "inferd"
    """Whose chain it is. Servers that share the directory each have a name of their own."""
    fsync: Literal["always", "interval", "never"] = "always"
    """What a record has survived when it is acknowledged. always: the disk has it, and so it
    survives the machine. interval, never: the operating system has it, and so it survives this
    process; the disk is told within `interval_ms`, or when the system pleases."""
    interval_ms: Positive = 100.0
    segment_bytes: Annotated[int, Field(ge=1024)] = 64 * MIB
    """A file that is larger is continued in another."""
    segment_age_s: Positive = DAY_S
    """And so is one that is older."""
    keep_s: NotNegative = 0.0
    """How long records are kept; whole files are removed when all in them is older. 0: for ever."""
    max_waiting: Count = 10_000
    """Records that wait to be written. What comes on top is refused."""
    remember: Count = 100_000
    """How many of the last records are known again, so that none is written twice, and each is
    found by its id. They take about 500 bytes each."""
