"""Calls per second, and whom they are for."""

import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from inferd import errors
from inferd.config import Config
from inferd.config import resilience as config
from inferd.resilience.rate_limit import RateLimit
from inferd.resilience.rate_rules import Rule, Rules


def a_limit(*, max_keys: int = 1000, **settings: Any) -> RateLimit:
    return RateLimit(config.RateLimit(**settings), max_keys=max_keys)


def a_rule(**settings: Any) -> Rule:
    return Rule(config.RateLimit(**settings), max_keys=1000)


def passes(limit: RateLimit, key: str, now: float) -> bool:
    if limit.wait_s(key, now):
        return False
    limit.take(key, now)
    return True


def passed(rules: Rules, identity: str, now: float) -> bool:
    try:
        rules.check(identity, now)
    except errors.RateLimited:
        return False
    rules.take(identity, now)
    return True


def test_a_burst_passes_at_once_and_then_one_call_per_interval() -> None:
    limit = a_limit(per_s=10, burst=3)

    at_once = [passes(limit, "shop", 100.0) for _ in range(5)]
    later = [passes(limit, "shop", 100.0 + tenths / 20) for tenths in range(1, 9)]

    assert at_once == [True, True, True, False, False]
    assert later == [False, True] * 4


def test_who_is_refused_is_told_exactly_when_to_return() -> None:
    limit = a_limit(per_s=3, burst=2)
    passes(limit, "shop", 7.0)
    passes(limit, "shop", 7.0)

    wait_s = limit.wait_s("shop", 7.1)

    assert wait_s == pytest.approx(1 / 3 - 0.1)
    assert limit.wait_s("shop", 7.1 + wait_s - 1e-6) > 0
    assert limit.wait_s("shop", 7.1 + wait_s) == 0


def test_to_ask_uses_up_nothing() -> None:
    limit = a_limit(per_s=1)

    assert [limit.wait_s("shop", 1.0) for _ in range(10)] == [0.0] * 10


def test_a_pause_regains_a_burst_and_no_more() -> None:
    limit = a_limit(per_s=10, burst=3)
    for _ in range(3):
        passes(limit, "shop", 0.0)

    assert [passes(limit, "shop", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_keys_do_not_share() -> None:
    limit = a_limit(per_s=1)

    assert passes(limit, "shop", 0.0)
    assert passes(limit, "bank", 0.0)


def test_what_is_given_back_can_be_taken_again() -> None:
    limit = a_limit(per_s=1, burst=2)
    passes(limit, "shop", 0.0)
    passes(limit, "shop", 0.0)

    limit.give_back("shop")

    assert [passes(limit, "shop", 0.0) for _ in range(2)] == [True, False]


def test_to_give_back_what_is_forgotten_does_nothing() -> None:
    limit = a_limit(per_s=1, max_keys=2)
    for key in ("shop", "bank", "cafe"):
        passes(limit, key, 0.0)

    limit.give_back("shop")

    assert passes(limit, "shop", 0.0)


def test_of_too_many_keys_those_seen_longest_ago_are_forgotten_in_their_favour() -> None:
    limit = a_limit(per_s=0.001, max_keys=100)
    for number in range(1000):
        assert passes(limit, f"client {number}", float(number))

    known = [not passes(limit, f"client {number}", 1000.0) for number in range(999, 949, -1)]

    assert all(known)
    assert passes(limit, "client 500", 1000.0)


def test_who_calls_all_the_time_is_not_forgotten_however_many_come_and_go() -> None:
    limit = a_limit(per_s=0.001, max_keys=100)
    passes(limit, "shop", 0.0)

    for number in range(1000):
        passes(limit, f"client {number}", 1.0)
        if number % 20 == 0:
            assert not passes(limit, "shop", 1.0)
            limit.take("shop", 1.0)


def test_what_a_caller_has_used_up_is_known_however_many_come_after_it() -> None:
    limit = a_limit(per_s=0.001, burst=3, max_keys=100)
    passes(limit, "shop", 0.0)
    passes(limit, "shop", 0.0)
    for number in range(50):
        passes(limit, f"client {number}", 0.0)

    assert [passes(limit, "shop", 0.0) for _ in range(2)] == [True, False]


def test_who_has_not_called_for_a_while_takes_no_memory() -> None:
    limit = a_limit(per_s=10, burst=5, max_keys=10_000)
    for number in range(1000):
        passes(limit, f"client {number}", 0.0)

    for now in (10.0, 20.0):
        for number in range(1000):
            passes(limit, f"other {number % 100}", now)

    assert len(limit) <= 200


def test_a_caller_takes_less_than_200_bytes_however_long_its_name() -> None:
    limit = a_limit(per_s=0.001, max_keys=10_000)
    tracemalloc.start()
    for number in range(10_000):
        limit.take(f"{number:0128}", 1.0)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(limit) == 10_000
    assert taken < 200 * 10_000


def test_where_there_are_many_callers_they_are_forgotten_a_few_at_a_time() -> None:
    limit = a_limit(per_s=0.001, max_keys=100_000)
    known = []
    for number in range(150_000):
        limit.take(str(number), 1.0)
        if number % 100 == 0:
            known.append(len(limit))

    assert 50_000 <= known[-1] <= 100_000
    assert max(before - after for before, after in pairwise(known)) < 10_000


def test_a_limit_is_for_its_methods() -> None:
    rule = a_rule(
        per_s=1, methods=("/inference.GRPCInferenceService/ModelInfer", "/shop.Ranking/*")
    )

    assert rule.is_for("/inference.GRPCInferenceService/ModelInfer")
    assert rule.is_for("/shop.Ranking/Rank")
    assert not rule.is_for("/inference.GRPCInferenceService/ModelStreamInfer")
    assert not rule.is_for("/shop.Rankings/Rank")
    assert a_rule(per_s=1).is_for("/any.Service/Method")


def test_a_limit_for_some_callers_is_for_each_of_them() -> None:
    rules = Rules([a_rule(per_s=1, identities=("shop", "bank"))])

    assert [passed(rules, who, 0.0) for who in ("shop", "bank", "shop")] == [True, True, False]
    assert [passed(rules, "cafe", 0.0) for _ in range(5)] == [True] * 5


def test_a_limit_for_all_together_is_used_up_by_anybody() -> None:
    rules = Rules([a_rule(per_s=1, burst=2, together=True)])

    assert [passed(rules, who, 0.0) for who in ("shop", "bank", "cafe")] == [True, True, False]


def test_a_call_that_one_limit_refuses_does_not_use_up_the_others() -> None:
    mine, everybodys = a_rule(per_s=1, burst=3), a_rule(per_s=0.1, together=True)
    rules = Rules([mine, everybodys])
    passed(rules, "bank", 0.0)

    assert [passed(rules, "shop", 0.0) for _ in range(10)] == [False] * 10

    assert [mine.rate.wait_s("shop", 0.0), mine.allowed, mine.refused] == [0.0, 1, 0]
    assert [everybodys.allowed, everybodys.refused] == [1, 10]


def test_of_several_waits_the_longest_is_told() -> None:
    rules = Rules([a_rule(per_s=10), a_rule(per_s=2), a_rule(per_s=5)])
    passed(rules, "shop", 0.0)

    with pytest.raises(errors.RateLimited, match="limit of 2 calls per second") as refused:
        rules.check("shop", 0.0)

    assert refused.value.retry_after_s == pytest.approx(0.5)


def test_what_was_refused_elsewhere_counts_no_longer() -> None:
    rule = a_rule(per_s=1)
    rules = Rules([rule])
    passed(rules, "shop", 0.0)

    rules.give_back("shop")

    assert rule.allowed == 0
    assert passed(rules, "shop", 0.0)


def test_servers_that_are_configured_alike_count_under_the_same_key() -> None:
    one, other = a_rule(per_s=1).allowance("shop"), a_rule(per_s=1).allowance("shop")

    assert one == other
    assert one.key != a_rule(per_s=2).allowance("shop").key
    assert one.key != a_rule(per_s=1).allowance("bank").key


@pytest.mark.parametrize("pattern", ["ModelInfer", "/shop.Ranking", "/shop.Ranking/Ra*", ""])
def test_a_pattern_that_can_match_nothing_is_a_mistake(pattern: str) -> None:
    with pytest.raises(ValidationError, match="methods"):
        config.RateLimit(per_s=1, methods=(pattern,))


def test_a_shared_limit_needs_a_redis() -> None:
    limits = config.Resilience(rate_limits=(config.RateLimit(per_s=1, shared=True),))

    with pytest.raises(ValidationError, match=r"rate_limits\.0\.shared needs redis\.url"):
        Config(resilience=limits)
