"""Rules: what is known of fraud without any model, checked before it is used.

Rules are evaluated by their action: ALLOW, then BLOCK with the gravest first, then REVIEW, then
SCORE; those of the same kind in the order of the file. The first live rule that allows, or that is
grave (HIGH or CRITICAL) and blocks, decides, and what follows is not evaluated. Otherwise all rules
are that are not off, those on trial (shadow) among them, because the report tells of each.

A rule whose expression has no result, most often because something is not known, does not match,
and the report says that it could not tell.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from inferd.config import reading
from inferd.config.reading import Refused
from inferd.features.compute.expressions import BadExpression, Expression, named
from inferd.features.kinds import Held, Kind
from inferd.services.fraud import lists
from inferd.services.fraud.declared_rules import Declared, DeclaredRules, contradictions
from inferd.services.fraud.vocabulary import Action, Mode, Outcome

Values = Mapping[str, Held | None]
"""What is known of a transaction, by the names of the variables. What is not there is null."""

_WITH_COLON = re.compile(r"([a-z]\w*):([a-z]\w*)")
_NOBODY: frozenset[str] = frozenset()


class Result(NamedTuple):
    """What became of one rule."""

    rule: "Rule"
    outcome: Outcome
    error: str = ""
    """Why there is no result, for people."""


class Rule:
    """A rule, ready to be evaluated. It never changes."""

    __slots__ = (
        "_expression",
        "decides",
        "declared",
        "hit",
        "live",
        "no_hit",
        "skipped",
        "snoozed",
    )

    def __init__(self, declared: Declared, expression: Expression) -> None:
        self.declared = declared
        self._expression = expression
        self.live = declared.mode is Mode.LIVE
        #: Whether a match is all that is needed for a decision.
        self.decides = self.live and (declared.action is Action.ALLOW or declared.grave)
        self.hit = Result(self, Outcome.HIT)
        self.no_hit = Result(self, Outcome.NO_HIT)
        self.snoozed = Result(self, Outcome.SNOOZED)
        self.skipped = Result(self, Outcome.NOT_EVALUATED)

    def __repr__(self) -> str:
        return f"Rule({self.declared.id})"

    def evaluate(self, values: Values) -> Result:
        """Return whether it matches, for all of its variables."""
        matches = self._expression.evaluate(values)
        if matches is None:
            return Result(self, Outcome.ERROR, self._why_none(values))
        return self.hit if matches else self.no_hit

    def _why_none(self, values: Values) -> str:
        unknown = [name for name in self._expression.references if values[name] is None]
        if unknown:
            return f"not known: {', '.join(unknown)}"
        return "its values cannot be computed with"


class Report(NamedTuple):
    """What the rules say of one transaction."""

    results: tuple[Result, ...]
    """In the order of evaluation; none of rules that are off."""
    decisive: Rule | None
    """The rule that decided at once."""

    @property
    def violations(self) -> list[Declared]:
        """Live rules that matched and speak against the transaction, in the order of evaluation."""
        return self._against(live=True)

    @property
    def shadow_violations(self) -> list[Declared]:
        """As `violations`, of rules on trial."""
        return self._against(live=False)

    @property
    def failed(self) -> bool:
        """Whether more than half of the live rules could not tell."""
        live = [each.outcome for each in self.results if each.rule.live]
        return live.count(Outcome.ERROR) > len(live) // 2

    def _against(self, *, live: bool) -> list[Declared]:
        return [
            rule.declared
            for rule, outcome, _ in self.results
            if outcome is Outcome.HIT
            and rule.live is live
            and rule.declared.action is not Action.ALLOW
        ]


class RuleSet:
    """All rules of a file. It never changes: other rules are another set."""

    def __init__(self, version: str, variables: Mapping[str, Kind], rules: Sequence[Rule]) -> None:
        #: Tells the text that they were read from from all others.
        self.version = version
        #: What the rules see, lists included.
        self.variables = variables
        #: In the order of evaluation; without those that are off.
        self.rules: Sequence[Rule] = sorted(
            (each for each in rules if each.declared.mode is not Mode.OFF), key=_order
        )
        self.off: Sequence[Rule] = [each for each in rules if each.declared.mode is Mode.OFF]
        self._nothing_known: Values = {**dict.fromkeys(variables), **lists.ON_NONE}

    @classmethod
    def read(cls, text: str, known: Mapping[str, Kind]) -> "RuleSet":
        """Return the rules of a text in YAML, which may declare variables that are known.

        Raises `Refused` with all that is wrong. Rules that are off are checked as well.
        """
        declared = reading.read(text, DeclaredRules)
        problems = [*contradictions(declared, known)]
        variables = {**declared.variables, **lists.VARIABLES}
        rules: list[Rule] = []
        for each in declared.rules:
            try:
                rules.append(Rule(each, _compiled(each.when, variables)))
            except BadExpression as error:
                hint = _with_dots(each.when, known) or _undeclared(
                    each.when, declared.variables, known
                )
                problems.append(f"rules.{each.id}.when: {hint or error}")
        if problems:
            raise Refused(problems)
        return cls(reading.version(text), variables, rules)

    def evaluate(
        self,
        values: Values,
        *,
        snoozed: Collection[str] = _NOBODY,
        exhaustive: bool = False,
    ) -> Report:
        """Return what the rules say, those left out that are snoozed.

        With `exhaustive` the rules after the decisive one are evaluated as well.
        """
        if not self._nothing_known.keys() <= values.keys():
            values = {**self._nothing_known, **values}
        decisive: Rule | None = None
        results: list[Result] = []
        for rule in self.rules:
            if decisive is not None and not exhaustive:
                results.append(rule.skipped)
            elif rule.declared.id in snoozed:
                results.append(rule.snoozed)
            else:
                result = rule.evaluate(values)
                results.append(result)
                if result is rule.hit and rule.decides and decisive is None:
                    decisive = rule
        return Report(tuple(results), decisive)


def _undeclared(text: str, declared: Collection[str], known: Mapping[str, Kind]) -> str:
    """Return what to write for an expression that names what is known and was not declared."""
    lacking = [name for name in named(text, known) if name not in declared]
    lines = ", ".join(f"`{name}: {known[name]}`" for name in lacking)
    return f"not declared; under `variables` there must be {lines}" if lacking else ""


def _with_dots(text: str, known: Collection[str]) -> str:
    """Return what to write for an expression that names features as the feature service does."""
    meant = {
        f"{view}:{feature}": f"{view}.{feature}"
        for view, feature in _WITH_COLON.findall(text)
        if f"{view}.{feature}" in known
    }
    return ", ".join(f"here {said} is {dotted}" for said, dotted in meant.items())


def _order(rule: Rule) -> tuple[int, int]:
    return rule.declared.action, -rule.declared.severity


def _compiled(text: str, variables: Mapping[str, Kind]) -> Expression:
    expression = Expression.compile(text, variables)
    if expression.result != "bool":
        raise BadExpression(f"it is {expression.result}, and a rule matches or does not: bool")
    return expression
