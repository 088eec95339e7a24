"""Whom a rate limit is for, and what several of them say about one call.

A call is let through only if all that are for it let it pass, and it uses up either all of them or
none. Who is refused is told the longest of the waits: to come back earlier would be in vain.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from inferd.call import Call
from inferd.config import resilience as config
from inferd.deadline import Deadline
from inferd.errors import RateLimited
from inferd.resilience.rate_limit import RateLimit


class Allowance(NamedTuple):
    """What servers count together under one key."""

    key: str
    #: Seconds between calls, and how far ahead of them a caller may be.
    interval_s: float
    tolerance_s: float


class Verdict(NamedTuple):
    """What becomes of a call that is counted by all servers together."""

    #: Seconds until it may pass; 0: it may now, and has been counted.
    wait_s: float
    #: Which of its allowances it has to wait for longest.
    which: int


CountTogether: TypeAlias = Callable[[Call, Deadline, Sequence[Allowance]], Awaitable[Verdict]]
"""Counts a call against allowances, before its deadline. Raises an `InferdError` if it cannot."""


def covers(pattern: str, path: str) -> bool:
    """Return whether a method is meant: by its full path, `/package.Service/*`, or `*`."""
    return pattern in ("*", path) or (pattern.endswith("/*") and path.startswith(pattern[:-1]))


class Rule:
    """One rate limit: whom it is for, and what it has done."""

    def __init__(self, settings: config.RateLimit, *, max_keys: int) -> None:
        self.config = settings
        #: Calls that it let pass, and calls that it did not.
        self.allowed = self.refused = 0
        self.rate = RateLimit(settings, max_keys=max_keys)
        self._only = frozenset(settings.identities)
        #: The same on all servers that are configured alike.
        digest = hashlib.blake2b(settings.model_dump_json().encode(), digest_size=8)
        self._prefix = f"inferd:rate:{digest.hexdigest()}:"

    def __repr__(self) -> str:
        return f"<Rule {self.config.per_s:g}/s, {self.allowed} allowed, {self.refused} refused>"

    def is_for(self, path: str) -> bool:
        """Return whether it is for the method with this path."""
        return any(covers(pattern, path) for pattern in self.config.methods)

    def key(self, identity: str) -> str | None:
        """Return whose allowance a caller uses; None: the limit is not for this one."""
        if self._only and identity not in self._only:
            return None
        return "" if self.config.together else identity

    def allowance(self, key: str) -> Allowance:
        """Return what is counted under a key, for all servers."""
        return Allowance(self._prefix + key, self.rate.interval_s, self.rate.tolerance_s)

    def refusal(self, wait_s: float) -> RateLimited:
        """Count a call that it does not let pass, and return what that is told."""
        self.refused += 1
        return RateLimited(
            f"the limit of {self.config.per_s:g} calls per second is used up", retry_after_s=wait_s
        )


class Rules:
    """The rate limits of one method. `now` is in monotonic seconds."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def concerning(self, identity: str) -> list[tuple[Rule, str]]:
        """Return those that are for a caller, and whose allowance it uses in each."""
        keyed = ((rule, rule.key(identity)) for rule in self._rules)
        return [(rule, key) for rule, key in keyed if key is not None]

    def check(self, identity: str, now: float) -> None:
        """Raise `RateLimited` unless all let one more call pass."""
        longest_s, by = 0.0, None
        for rule in self._rules:
            key = rule.key(identity)
            if key is not None:
                wait_s = rule.rate.wait_s(key, now)
                if wait_s > longest_s:
                    longest_s, by = wait_s, rule
        if by is not None:
            raise by.refusal(longest_s)

    def take(self, identity: str, now: float) -> None:
        """Count a call that passes."""
        for rule in self._rules:
            key = rule.key(identity)
            if key is not None:
                rule.rate.take(key, now)
                rule.allowed += 1

    def give_back(self, identity: str) -> None:
        """Count it no longer: it was refused elsewhere."""
        for rule, key in self.concerning(identity):
            rule.rate.give_back(key)
            rule.allowed -= 1
