"""Rules that are left out for somebody, for a while: who investigates wants to hear it once."""

from typing import NamedTuple

from inferd.services.fraud.expiring import Expiring
from inferd.services.fraud.lists import Entities, canonical
from inferd.services.fraud.vocabulary import EntityKind

MAX_SNOOZES = 10_000

_NONE: frozenset[str] = frozenset()


class Snooze(NamedTuple):
    """Which rule, for whom."""

    rule: str
    kind: EntityKind
    value: str


class Snoozes:
    """All that are snoozed. Lives on the event loop."""

    def __init__(self, most: int = MAX_SNOOZES) -> None:
        self._snoozes: Expiring[Snooze] = Expiring(most)
        self._rules: set[str] = set()

    def snooze(self, snooze: Snooze, until_us: int, now_us: int) -> None:
        """Leave a rule out for somebody until then; a time in the past ends it.

        Raises `ValueError` for a value that is none of its kind, and `NoRoom`.
        """
        value = canonical(snooze.kind, snooze.value)
        self._snoozes.add(snooze._replace(value=value), until_us, now_us)
        self._rules.add(snooze.rule)

    def of(self, entities: Entities, now_us: int) -> frozenset[str]:
        """Return the rules that are left out for any of those who are involved."""
        if not len(self._snoozes):
            return _NONE
        return frozenset(
            rule
            for rule in self._rules
            for kind, value in entities.items()
            if self._snoozes.until_us(Snooze(rule, kind, value), now_us) is not None
        )
