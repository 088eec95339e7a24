"""Which calls may begin: rate limits by caller and method, and bulkheads by service.

What applies to a method is put together once, when its route is bound; a method without limits
pays nothing. At the door, before a request is read, all limits are asked first, and used up only
if all let the call pass. A limit that all servers count together is asked after that, because
it takes a while; whom it turns away has not used up the others either.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from inferd.call import Call
from inferd.config import resilience as config
from inferd.deadline import Clock
from inferd.errors import InferdError, RateLimited, Saturated
from inferd.inference.standing import caller_of
from inferd.resilience.bulkhead import Bulkhead
from inferd.resilience.rate_rules import CountTogether, Rule, Rules, covers
from inferd.services.routes import Route

Door: TypeAlias = Callable[[Call], None]
"""Raises what a call is told that may not begin."""

Handler: TypeAlias = Callable[..., Any]
"""As in `Route`."""


class Limits:
    """All that are configured, and how often they let a call pass or not."""

    def __init__(
        self, settings: config.Resilience, *, clock: Clock, together: CountTogether | None = None
    ) -> None:
        """Have `together` count shared limits; without it they are counted here."""
        max_keys = settings.max_identities // max(len(settings.rate_limits), 1)
        self.rate_limits = tuple(Rule(each, max_keys=max_keys) for each in settings.rate_limits)
        self.bulkheads = {
            service: Bulkhead(service, each) for service, each in settings.bulkheads.items()
        }
        self._clock = clock
        self._together = together

    def guard(self, route: Route) -> tuple[Route, Door | None]:
        """Return the route with its limits kept, and the door before it; None: it has none.

        Its handler must begin in the turn of the event loop in which the door was passed.
        """
        if route.unconditional:
            return route, None
        rules = [rule for rule in self.rate_limits if rule.is_for(route.path)]
        together = self._together
        here = Rules(rule for rule in rules if not (together and rule.config.shared))
        bulkhead = self.bulkheads.get(service_of(route.path))
        handler = route.handler
        if together and (shared := Rules(rule for rule in rules if rule.config.shared)):
            asked = _Shared(together, shared, here, self._clock)
            handler = _asking(handler, asked, route.server_streaming)
        if bulkhead:
            handler = _within(handler, bulkhead, route.server_streaming)
        return replace(route, handler=handler), _door(here, bulkhead, self._clock)

    def unknown(self, routes: Iterable[Route]) -> list[str]:
        """Return the keys of the configuration that are for none of these routes."""
        paths = [route.path for route in routes if not route.unconditional]
        services = {service_of(path) for path in paths}
        return [
            *(
                f"resilience.rate_limits.{number}.methods.{at}"
                for number, rule in enumerate(self.rate_limits)
                for at, pattern in enumerate(rule.config.methods)
                if not any(covers(pattern, path) for path in paths)
            ),
            *(f"resilience.bulkheads.{name}" for name in self.bulkheads if name not in services),
        ]


class _Shared:
    """The limits of one method that all servers count together."""

    def __init__(self, count: CountTogether, rules: Rules, passed: Rules, clock: Clock) -> None:
        self._count = count
        self._rules = rules
        #: Those counted here, which have let a call pass before it comes to this.
        self._passed = passed
        self._clock = clock

    async def ask(self, call: Call) -> None:
        """Raise `RateLimited` unless all let the call pass."""
        identity = identity_of(call)
        try:
            await self._take(call, identity)
        except RateLimited:
            self._passed.give_back(identity)
            raise

    async def _take(self, call: Call, identity: str) -> None:
        concerned = self._rules.concerning(identity)
        if not concerned:
            return
        allowances = [rule.allowance(key) for rule, key in concerned]
        try:
            verdict = await self._count(call, call.deadline, allowances)
        except InferdError:  # it cannot be asked
            now = self._clock()
            self._rules.check(identity, now)
            self._rules.take(identity, now)
            return
        if verdict.wait_s:
            raise concerned[verdict.which][0].refusal(verdict.wait_s)
        for rule, _ in concerned:
            rule.allowed += 1


def service_of(path: str) -> str:
    """Return the full name of the service that a method is of."""
    return path.split("/")[1]


def identity_of(call: Call) -> str:
    """Return who calls: the name that they gave, or else their address without the port."""
    return caller_of(call.metadata) or call.peer.rpartition(":")[0]


def _door(rules: Rules, bulkhead: Bulkhead | None, clock: Clock) -> Door | None:
    if not rules:
        return None if bulkhead is None else partial(_look_into, bulkhead)

    def door(call: Call) -> None:
        identity, now = identity_of(call), clock()
        rules.check(identity, now)
        if bulkhead is not None:
            _look_into(bulkhead, call)
        rules.take(identity, now)

    return door


def _look_into(bulkhead: Bulkhead, call: Call) -> None:
    if not bulkhead.has_room(call.criticality):
        raise Saturated(f"as many calls of {bulkhead.service} are under way as there may be")


def _within(handler: Handler, bulkhead: Bulkhead, streaming: bool) -> Handler:
    """Return a handler whose calls are counted as long as they last."""

    async def one(request: Any, call: Call) -> Any:
        bulkhead.enter()
        try:
            return await handler(request, call)
        finally:
            bulkhead.leave()

    async def many(request: Any, call: Call) -> AsyncGenerator[Any, None]:
        bulkhead.enter()
        try:
            async with aclosing(handler(request, call)) as messages:
                async for message in messages:
                    yield message
        finally:
            bulkhead.leave()

    return many if streaming else one


def _asking(handler: Handler, shared: _Shared, streaming: bool) -> Handler:
    """Return a handler that asks limits first that are not counted here."""

    async def one(request: Any, call: Call) -> Any:
        await shared.ask(call)
        return await handler(request, call)

    async def many(request: Any, call: Call) -> AsyncGenerator[Any, None]:
        await shared.ask(call)
        async with aclosing(handler(request, call)) as messages:
            async for message in messages:
                yield message

    return many if streaming else one
