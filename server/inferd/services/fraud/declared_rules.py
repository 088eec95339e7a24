"""How rules are written: the variables that they see, and when each matches.

What is wrong is told all at once, each with the path of its key: `rules.card_testing.when`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from inferd.config.fraud_service import dotted
from inferd.config.section import Section
from inferd.features.derivation import Name, Reference, Typed
from inferd.features.kinds import Kind
from inferd.features.suggestions import nearest
from inferd.services.fraud import lists
from inferd.services.fraud.vocabulary import Action, Mode, RiskLevel, named

MOST_RULES = 1000


def _mode(said: object) -> object:
    """Return what is meant: to YAML, `off` without quotes is a way to say no."""
    return Mode.OFF if said is False else said


Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Declared(Section):
    """One rule."""

    id: Name
    when: Annotated[str, Field(min_length=1, max_length=4096)]
    """In the Common Expression Language, of the variables."""
    action: Annotated[Action, BeforeValidator(named(Action))]
    severity: Annotated[RiskLevel, BeforeValidator(named(RiskLevel))] = RiskLevel.LOW
    score: Score = 0.0
    """How much a match adds: a risk p becomes 1 - (1 - p)(1 - score)."""
    mode: Annotated[Mode, BeforeValidator(named(Mode)), BeforeValidator(_mode)] = Mode.LIVE
    description: Annotated[str, Field(max_length=512)] = ""

    @property
    def grave(self) -> bool:
        """Whether a match is worse than any model could tell."""
        return self.severity >= RiskLevel.HIGH

    @model_validator(mode="after")
    def _of_one_mind(self) -> "Declared":
        if self.action is Action.ALLOW and (self.score or self.severity > RiskLevel.LOW):
            raise ValueError("score, severity: a rule that allows says nothing of risk")
        if self.action is Action.SCORE and not self.score:
            raise ValueError("score: it is all that the rule would do, so it is not 0")
        if self.grave and self.action is not Action.BLOCK:
            raise ValueError(f"action: what is {self.severity.name} is to BLOCK, at once")
        return self


Dotted = Annotated[Reference, BeforeValidator(dotted)]


class DeclaredRules(Section):
    """All that a file declares."""

    variables: Mapping[Dotted, Typed] = {}
    """What rules see, with its type, as of features. Lists need not be declared."""
    rules: Annotated[tuple[Declared, ...], Field(max_length=MOST_RULES)]
    no_rules: bool = False
    """Whether it is meant that there are none."""


def contradictions(declared: DeclaredRules, known: Mapping[str, Kind]) -> Iterator[str]:
    """Yield what cannot be: ids that are there twice, and variables that nobody knows."""
    if not declared.rules and not declared.no_rules:
        yield "rules: there are none; if that is meant, say `no_rules: true`"
    if declared.rules and declared.no_rules:
        yield f"no_rules: there are {len(declared.rules)}"
    for rule_id, times in Counter(each.id for each in declared.rules).items():
        if times > 1:
            yield f"rules.{rule_id}: declared {times} times"
    for name, kind in declared.variables.items():
        if name in lists.VARIABLES:
            yield f"variables.{name}: lists are there without being declared"
        elif name not in known:
            yield f"variables.{name}: there is no such variable; {nearest(name, known)}"
        elif kind != known[name]:
            yield f"variables.{name}: it is {known[name]}, not {kind}"
