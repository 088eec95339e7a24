"""What would have been decided on the payments of a world: by the very parts that serve.

Events are replayed (`inferd.features.history`), transactions are taken in, features are read, rules
are evaluated and models are told and asked as `configs/shop/fraud.yaml` says. Only that nothing is
ever late is not so in life.
"""

import asyncio
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inferd.app import settings
from inferd.app.translation import Translator
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import NEVER
from inferd.features.aggregates.events import EventWrite
from inferd.features.definitions import Definitions
from inferd.features.history import History
from inferd.features.kinds import Kind
from inferd.features.writing import Limits
from inferd.services.fraud.engine import METHOD
from inferd.services.fraud.features import Needs, said
from inferd.services.fraud.intake import Intake, Taken
from inferd.services.fraud.models import Scorer, Version
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.rules import Report, RuleSet, Values
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.verdict import Verdict, after_models, before_models
from inferd.streaming.events import decoded
from shop import paying
from shop.clock import BEGIN, DAY
from shop.dice import Flags, Floats
from shop.events import Json
from shop.vectors import COUNTED
from shop.world import World, line

CONFIG: Final = Path(__file__).parents[2] / "configs" / "shop" / "fraud.yaml"

_NO_RULES: Final = Report((), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was known of payments, in their order, and what rules and models say of them."""

    payments: Sequence[Payment]
    day: Floats
    is_fraud: Flags
    reports: Sequence[Report]
    #: What models were told, by their names.
    rows: Mapping[str, NDArray[np.float32]]
    scores: Mapping[str, Floats]
    policy: Policy

    def rules_alone(self) -> list[Verdict]:
        """Return what is decided when no model is asked."""
        return [
            self._verdict(report, {}, payment)
            for report, payment in zip(self.reports, self.payments, strict=True)
        ]

    def model_alone(self, name: str) -> list[Verdict]:
        """Return what is decided when one model is asked, and there are no rules."""
        said = zip(self.scores[name].tolist(), self.payments, strict=True)
        return [self._verdict(_NO_RULES, {name: score}, payment) for score, payment in said]

    def cascade(self) -> list[Verdict]:
        """Return what is decided."""
        said = zip(*(self.scores[name].tolist() for name in self.scores), strict=True)
        return [
            self._verdict(report, dict(zip(self.scores, scores, strict=True)), payment)
            for report, scores, payment in zip(self.reports, said, self.payments, strict=True)
        ]

    def _verdict(self, report: Report, scores: Mapping[str, float], payment: Payment) -> Verdict:
        found = before_models(report, features_failed=False)
        return found or after_models(report, scores, payment, self.policy)


def known(world: World, *, from_day: float, config: Path = CONFIG) -> Known:
    """Replay a world, and return what was known of the payments from a day on."""
    asker = _Asker(settings.load(config, {}, {}))
    late = world.day() >= from_day
    rows, reports, payments = list[list[NDArray[np.float32]]](), list[Report](), list[Payment]()
    for taken in asker.taken(world, from_day):
        values = {**taken.values, **asker.read(taken)}
        payments.append(taken.payment)
        reports.append(asker.rules.evaluate(values))
        rows.append([scorer.row(values) for scorer in asker.scorers])
        asker.record(taken)
    told = {
        scorer.name: np.concatenate(each)
        for scorer, each in zip(asker.scorers, zip(*rows, strict=True), strict=True)
    }
    return Known(
        payments=payments,
        day=world.day()[late],
        is_fraud=world.is_fraud[late],
        reports=reports,
        rows=told,
        scores={each.name: scored(each, told[each.name]) for each in asker.scorers},
        policy=asker.policy,
    )


def scored(scorer: Scorer, rows: NDArray[np.float32]) -> Floats:
    """Return what a model says of rows, before its weight and what the policy makes of it."""
    scores, _ = asyncio.run(scorer.scores(Call(METHOD, arrived=0.0), NEVER, rows))
    return np.array(scores)


class _Asker:
    """Has what serves, on a past that is replayed."""

    def __init__(self, config: Config) -> None:
        fraud, file = config.fraud, config.features.definitions
        assert file is not None, "the configuration says so"
        assert fraud.rules is not None
        assert fraud.policy is not None
        self._definitions = Definitions.read(settings.yaml_file(file), files_in=file.parent)
        limits = Limits(
            config.features.max_blob_bytes, round(config.features.max_future_s * 1_000_000)
        )
        self._history = History(self._definitions, {}, limits=limits)
        self._translator = Translator(self._definitions)
        self._event = fraud.transaction_event
        needs = Needs(self._definitions, fraud.entities, fraud.request)
        metadata = {key: Kind.named(kind) for key, kind in fraud.metadata.items()}
        self._intake = Intake(
            metadata, Redaction(fraud.audit), now_us=lambda: self._history.now_us, ahead_us=DAY
        )
        variables = {**self._intake.variables, **needs.variables}
        rulebook = Rulebook(
            fraud.rules.read_text(),
            fraud.policy.read_text(),
            known=variables,
            models=[each.name for each in fraud.models],
        )
        self.rules: RuleSet = rulebook.rules
        self.policy: Policy = rulebook.policy
        files = _Files(config.repository.paths)
        self.scorers = [Scorer(each, files, variables) for each in fraud.models]
        inputs = [name for each in fraud.models for name in each.inputs]
        self._reading = needs.reading([*rulebook.rules.variables, *inputs])

    def taken(self, world: World, from_day: float) -> Iterator[Taken]:
        """Yield payments from a day on, when all that came before is recorded.

        The caller records them.
        """
        from_us = BEGIN + from_day * DAY
        for event in _happened(world):
            if event["event_type"] == "transaction":
                taken = self._intake_at(event)
                if paying.time_us(event) >= from_us:
                    yield taken
                else:
                    self.record(taken)
            else:
                body = line(event).encode()
                write = self._translator.streamed(decoded(body, max_bytes=len(body)))
                if write is not None:
                    self._history.record(write)

    def read(self, taken: Taken) -> Values:
        """Return the features of a payment."""
        lookups, now_us = self._reading.lookups(taken.values), _time_us(taken)
        return self._reading.told(self._history.ask(lookups, now_us), now_us).values

    def record(self, taken: Taken) -> None:
        """Record a payment, as `Happenings` does."""
        assert self._event is not None, "the configuration says so"
        declared = self._definitions.events[self._event.event]
        fields = {name: said(taken.values, source) for name, source in self._event.fields.items()}
        self._history.record(EventWrite(declared, taken.id, _time_us(taken), fields))

    def _intake_at(self, event: Json) -> Taken:
        self._history.now_us = max(self._history.now_us, paying.time_us(event))
        return self._intake.taken(paying.transaction(event))


class _Files:
    """Models as they are in a repository, all at once."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def find(self, name: str, version: str = "", call: Call | None = None) -> Version | None:
        """Return None: nobody asks which version it was."""

    async def run(
        self, name: str, inputs: Mapping[str, NDArray[Any]], *, version: str = "", **_: Any
    ) -> Mapping[str, NDArray[Any]]:
        """Return all that a model makes of these inputs."""
        [path] = [path / name for path in self._paths if (path / name).is_dir()]
        newest = max(int(each.name) for each in path.iterdir() if each.name.isdecimal())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(path / (version or str(newest)) / "model.onnx"),
            options,
            providers=["CPUExecutionProvider"],
        )
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _time_us(taken: Taken) -> int:
    time_us = taken.values["transaction.time_us"]
    assert isinstance(time_us, int), "it was checked"
    return time_us


def _happened(world: World) -> Iterator[Json]:
    """Yield what is of fraud, in the order in which the shop gets to know it."""
    counted = (each for each in world.events() if each["event_type"] in COUNTED)
    last = BEGIN + world.days * DAY
    for each in heapq.merge(counted, world.outcomes(), key=lambda each: str(each["timestamp"])):
        if paying.time_us(each) >= last:
            return
        yield each
