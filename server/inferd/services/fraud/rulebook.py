"""The rules and the policy that are in force: replaced together, or not at all."""

from collections import Counter
from collections.abc import Collection, Mapping

from inferd.config.reading import Refused
from inferd.features.kinds import Kind
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import Report, RuleSet
from inferd.services.fraud.vocabulary import Outcome


class Rulebook:
    """What is in force, and how often each rule of it matched. Lives on the event loop.

    An assessment takes `rules` and `policy` once, when it begins, and keeps them to its end.
    """

    def __init__(
        self, rules: str, policy: str, *, known: Mapping[str, Kind], models: Collection[str]
    ) -> None:
        """Take what rules may see, and which models are asked. Raises `Refused` as `reload`."""
        self._known = known
        self._models = models
        self.rules, self.policy = self.checked(rules, policy)
        #: By the ids of rules, since there are any; across reloads.
        self.hits: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def checked(self, rules: str, policy: str) -> tuple[RuleSet, Policy]:
        """Return what texts say, and leave in force what is.

        Raises `Refused` with all that is wrong in either, each problem with the name of its text.
        """
        problems: list[str] = []
        read_rules, read_policy = None, None
        try:
            read_rules = RuleSet.read(rules, self._known)
        except Refused as error:
            problems += [f"rules: {each}" for each in error.problems]
        try:
            read_policy = Policy.read(policy, self._models)
        except Refused as error:
            problems += [f"policy: {each}" for each in error.problems]
        if read_rules is None or read_policy is None:
            raise Refused(problems)
        return read_rules, read_policy

    def reload(self, rules: str, policy: str) -> bool:
        """Put texts in force, and return whether they are others than before.

        Raises `Refused` as `checked`; then nothing changed.
        """
        before = self.rules.version, self.policy.version
        self.rules, self.policy = self.checked(rules, policy)
        return before != (self.rules.version, self.policy.version)

    def tally(self, report: Report) -> None:
        """Count what the rules said of a transaction."""
        for rule, outcome, _ in report.results:
            if outcome is Outcome.HIT:
                self.hits[rule.declared.id] += 1
            elif outcome is Outcome.ERROR:
                self.errors[rule.declared.id] += 1
