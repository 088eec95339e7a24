"""What is on record, sorted: who was in which arm since when, and what they did before and after.

Exposures are read before outcomes, each in any order: there may be several logs. A unit is in an
arm from its first exposure on. One that was in two arms of one revision is in none: it was moved.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from inferd.cache.journal.chain import Entry
from inferd.experiments.interleaving import credit
from inferd.experiments.log import EXPOSURE, OUTCOME, PICKS

CLICK = "click"
"""What counts for a team in an interleaved list."""

Who = tuple[str, str]
"""A kind of unit, such as `user_id`, and a value of it."""
Sums = dict[str, float]
"""Amounts by metric."""


class Use(NamedTuple):
    """Since when a unit is in which arm."""

    arm: str
    since_us: int


class Exposed:
    """The units of an experiment in one revision."""

    def __init__(self, experiment: str, revision: int) -> None:
        self.experiment = experiment
        self.revision = revision
        self.uses: dict[Who, Use] = {}
        self.moved: set[Who] = set()

    def add(self, who: Who, arm: str, at_us: int) -> None:
        """Note that a unit used an arm."""
        known = self.uses.get(who)
        if known is None or (known.arm == arm and at_us < known.since_us):
            self.uses[who] = Use(arm, at_us)
        elif known.arm != arm:
            self.moved.add(who)

    @property
    def counted(self) -> Mapping[Who, Use]:
        """Those that were not moved."""
        return {who: use for who, use in self.uses.items() if who not in self.moved}


class Happened(NamedTuple):
    """An outcome."""

    at_us: int
    metric: str
    amount: float


class Score(NamedTuple):
    """What came of interleaved rankings: units by the team that they clicked more."""

    wins: Mapping[str, int]
    ties: int
    """Units that clicked, and as many items of each."""


class Records:
    """All that a report is made of."""

    def __init__(self) -> None:
        self.trials: dict[tuple[str, int], Exposed] = {}
        #: What exposed units did.
        self.outcomes: dict[Who, list[Happened]] = {}
        self._seen: set[tuple[Who, str, str]] = set()
        #: By request: the experiment, the unit, and whose items are whose.
        self._picks: dict[str, tuple[str, Who, Mapping[str, Sequence[str]]]] = {}
        #: By request.
        self._clicks: dict[str, set[str]] = {}

    def exposures(self, entries: Iterable[Entry]) -> None:
        """Take the records of exposures."""
        for each in entries:
            if each.kind != EXPOSURE:
                continue
            body = _exposure(each.body)
            key = body.experiment, body.revision
            trial = self.trials.setdefault(key, Exposed(*key))
            who = body.unit, each.id
            trial.add(who, body.arm, each.at_us)
            self.outcomes.setdefault(who, [])

    def happened(self, entries: Iterable[Entry]) -> None:
        """Take the records of outcomes, when all exposures are known."""
        for each in entries:
            if each.kind == OUTCOME:
                self._outcome(each, _outcome(each.body))
            elif each.kind == PICKS:
                picks = _picks(each.body)
                who = picks.unit, each.id
                self._picks[picks.request] = picks.experiment, who, picks.picks

    def sums(self, trial: Exposed) -> dict[Who, tuple[Sums, Sums]]:
        """Return what the units that count did: before they were in an arm, and since."""
        found = {}
        for who, use in trial.counted.items():
            before, after = Sums(), Sums()
            for each in self.outcomes[who]:
                sums = after if each.at_us >= use.since_us else before
                sums[each.metric] = sums.get(each.metric, 0.0) + each.amount
            found[who] = before, after
        return found

    def scores(self) -> dict[str, Score]:
        """Return what came of interleaved rankings, by experiment.

        A unit has one vote however many lists it saw: lists of one unit are not independent.
        """
        credits = dict[str, dict[Who, Counter[str]]]()
        for request, (experiment, who, picks) in self._picks.items():
            votes = credits.setdefault(experiment, {}).setdefault(who, Counter())
            votes.update(credit(picks, self._clicks.get(request, ())))
        return {experiment: _score(votes.values()) for experiment, votes in credits.items()}

    def _outcome(self, entry: Entry, body: "_Outcome") -> None:
        who = body.unit, entry.id
        if body.metric == CLICK and body.request:
            self._clicks.setdefault(body.request, set()).add(body.item)
        if who not in self.outcomes:
            return
        if body.event and not body.event.startswith("@"):
            key = who, body.metric, body.event
            if key in self._seen:
                return
            self._seen.add(key)
        self.outcomes[who].append(Happened(entry.at_us, body.metric, body.amount))


def _score(votes: Iterable[Counter[str]]) -> Score:
    wins, ties = Counter[str](), 0
    for each in votes:
        wins.update(dict.fromkeys(each, 0))
        most = max(each.values(), default=0)
        if not most:
            continue  # nothing was clicked, which says nothing
        best = [team for team, clicks in each.items() if clicks == most]
        if len(best) == 1:
            wins[best[0]] += 1
        else:
            ties += 1
    return Score(dict(wins), ties)


class _Exposure(msgspec.Struct):
    experiment: str
    revision: int
    arm: str
    unit: str


class _Outcome(msgspec.Struct):
    unit: str
    metric: str
    amount: float
    event: str = ""
    request: str = ""
    item: str = ""


class _Picks(msgspec.Struct):
    experiment: str
    unit: str
    request: str
    picks: dict[str, list[str]]


_exposure = msgspec.json.Decoder(_Exposure).decode
_outcome = msgspec.json.Decoder(_Outcome).decode
_picks = msgspec.json.Decoder(_Picks).decode
