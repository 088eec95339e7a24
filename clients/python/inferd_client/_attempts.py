"""The attempts at one call, from the first to the last: the pure half of both clients.

A retry follows an attempt that failed; a hedge one that has not answered for long. All share
one deadline and, with every other call of the client, one bucket of tokens. Where several
are under way

- the first good answer ends the call;
- so does a failure that every attempt would meet: the request is wrong, the model failed;
- one that is only that attempt's (nobody there, no room, no time) is outlived by the others,
  but what has not been sent yet is sent only if the server invites it, and when it says.

Nothing here waits, sends, reads a clock or draws a number: `now` and `random` come in.
"""

import math
from collections.abc import Callable
from typing import Any

from grpc import StatusCode

from inferd_client._calls import Ask
from inferd_client._errors import DeadlineExceeded, InferdError
from inferd_client._hedge import HedgePolicy, Latency
from inferd_client._retry import INVITABLE, RetryBudget, RetryPolicy

MOST_KINDS = 1024
"""Of how many kinds of calls (method and model) a client remembers what they take."""

# A hedge has less time than the attempt before it, which may be about to be answered when the
# hedge is refused for want of time.
_OF_ONE_ATTEMPT = INVITABLE | {StatusCode.DEADLINE_EXCEEDED}


class Attempts:
    """Begin one; wait until the next is due or one ends; say so; and again."""

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        *,
        now: float,
        timeout_s: float,
        random: Callable[[], float],
        hedge: HedgePolicy | None = None,
        latency: Latency | None = None,
    ) -> None:
        """Fix the deadline. `latency` is what answers take, where that is to be learnt.

        Raises:
            DeadlineExceeded: Too little time to send anything.
        """
        if math.isnan(timeout_s) or timeout_s == math.inf:
            raise ValueError("timeout_s must be a finite number of seconds")
        if timeout_s <= 0 or timeout_s < policy.least_attempt_s:
            raise DeadlineExceeded(f"timeout_s={timeout_s:g} leaves no time; nothing was sent")
        self._policy = policy
        self._budget = budget
        self._random = random
        self._latency = latency
        self._hedge_after_s = _hedge_after_s(hedge, latency)
        self._most_hedged = hedge.max_attempts if hedge else 1
        self._began = now
        self._deadline = now + timeout_s
        self._under_way = 0
        self._due_at = now
        self._due_is_hedge = False
        self._error: InferdError | None = None
        #: How many have been sent.
        self.made = 0

    @property
    def may_overlap(self) -> bool:
        """Whether a second may be sent while the first is under way."""
        last = self._deadline - self._policy.least_attempt_s
        return self._most_hedged > 1 and self._began + self._hedge_after_s <= last

    def remaining_s(self, now: float) -> float:
        """Return the seconds left for the attempts to come; negative once it is too late."""
        return self._deadline - now

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until the next is due; None: none is, unless one fails."""
        return None if self._due_at == math.inf else max(0.0, self._due_at - now)

    def begin(self, now: float) -> bool:
        """Return whether the one that is due may still be sent; if so it counts as sent.

        Raises:
            InferdError: It may not, and none is under way: what the last one failed with.
        """
        begun = self.remaining_s(now) >= self._policy.least_attempt_s and (
            not self._due_is_hedge or self._budget.hedged()
        )
        if begun:
            self.made += 1
            self._under_way += 1
        self._due_is_hedge = begun and self.made < self._most_hedged
        self._due_at = now + self._hedge_after_s if self._due_is_hedge else math.inf
        if not self._under_way:
            raise self._error or DeadlineExceeded("no time was left; nothing was sent")
        return begun

    def answered(self, now: float) -> None:
        """Record that the call was answered."""
        self._budget.succeeded()
        if self._latency is None:
            return
        if self.made == 1:
            self._latency.answered(now - self._began)
        else:
            self._latency.cut_short(now - self._began)

    def failed(self, error: InferdError, now: float) -> None:
        """Record that an attempt failed. Raise that error unless the call goes on."""
        self._error = error
        self._under_way -= 1
        if error.code in INVITABLE:
            self._budget.failed()
        if self._latency and error.code is StatusCode.DEADLINE_EXCEEDED:
            self._latency.cut_short(now - self._began)
        self._latency = None  # what comes now does not tell how long an answer takes
        wait_s = self._retry_in_s(error, now)
        self._due_at = math.inf if wait_s is None else now + wait_s
        self._due_is_hedge = False
        if error.code not in _OF_ONE_ATTEMPT or (wait_s is None and not self._under_way):
            raise error

    def _retry_in_s(self, error: InferdError, now: float) -> float | None:
        if not self._budget.allows:
            return None
        return self._policy.wait_s(
            error, made=self.made, remaining_s=self.remaining_s(now), random=self._random()
        )


def _hedge_after_s(hedge: HedgePolicy | None, latency: Latency | None) -> float:
    if hedge is not None and hedge.after_s is not None:
        return hedge.after_s
    return math.inf if latency is None else latency.p95_s


class Tactics:
    """What all calls of one client share: policies, tokens, and what answers were seen to take.

    Not thread-safe, and neither are the attempts that share it.
    """

    def __init__(
        self, retry: RetryPolicy, hedge: HedgePolicy | None, random: Callable[[], float]
    ) -> None:
        self._retry = retry
        self._hedge = hedge
        self._random = random
        self._budget = RetryBudget(retry)
        self._latencies: dict[tuple[str, str], Latency] = {}

    def attempts(
        self,
        *,
        now: float,
        timeout_s: float,
        ask: Ask[Any] | None = None,
        hedge: HedgePolicy | None = None,
    ) -> Attempts:
        """Begin a call. `hedge` overrules the client's; without an `ask` there is none."""
        hedge = (hedge or self._hedge) if ask and ask.repeatable else None
        return Attempts(
            self._retry,
            self._budget,
            now=now,
            timeout_s=timeout_s,
            random=self._random,
            hedge=hedge,
            latency=self._latency(ask) if ask and hedge and hedge.after_s is None else None,
        )

    def _latency(self, ask: Ask[Any]) -> Latency:
        kind = ask.method.path, ask.subject
        if kind not in self._latencies:
            if len(self._latencies) >= MOST_KINDS:
                self._latencies.clear()
            self._latencies[kind] = Latency()
        return self._latencies[kind]
