"""Experiments: where they are declared, and where it is kept who has seen them."""

from pathlib import Path
from typing import Literal

from inferd.config.journal import DAY_S, Count, Journal
from inferd.config.section import NotNegative, Positive, Section


class Exposures(Journal):
    """Who used which arm; one record for each unit, arm and window."""

    path: Path = Path("experiments/exposures")
    """A directory, which is made when it is not there."""
    fsync: Literal["always", "interval", "never"] = "interval"
    """What a record has survived when it counts as written, as `fraud.audit.fsync`."""
    keep_s: NotNegative = 180 * DAY_S
    """How long records are kept; whole files are removed when all in them is older. 0: for ever."""
    remember: Count = 200_000
    """How many of the last records are known again, so that none is written twice. More in one
    window may be. They take about 400 bytes each."""


class Outcomes(Journal):
    """What units did, for the report."""

    path: Path = Path("experiments/outcomes")
    """A directory, which is made when it is not there."""
    fsync: Literal["always", "interval", "never"] = "interval"
    """What a record has survived when it counts as written, as `fraud.audit.fsync`."""
    keep_s: NotNegative = 180 * DAY_S
    """How long records are kept; whole files are removed when all in them is older. 0: for ever."""


class Experiments(Section):
    """Experiments: arms that differ in parameters, and who is in which."""

    definitions: Path | None = None
    """The file that declares them; docs/experiments.md says how. None: there are none."""
    poll_s: NotNegative = 5.0
    """How often it is looked whether the file has changed. 0: only when an operator says so."""
    look_s: Positive = 5.0
    """How often it is looked whether an arm breaks a guardrail."""
    allow_forced: bool = False
    """Let requests say which arms they want to be in. Not where users can reach the server."""
    window_s: Positive = DAY_S
    """A unit that uses an arm is put on record once in such a time, counted from 1970."""
    stops: Path = Path("experiments/stopped.json")
    """A file that knows what was stopped by an operator or a guardrail, so that it stays so."""
    exposures: Exposures = Exposures()
    outcomes: Outcomes = Outcomes()
