"""What is sent of many alerts, and that nobody waits for it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from inferd.cache.streams import Record
from inferd.config.fraud import Alerts as Settings
from inferd.config.fraud import AlertSink
from inferd.errors import DependencyFailed
from inferd.services.fraud.alerting import Alerting, Route
from inferd.services.fraud.alerts import Alert, Queue, Window, alarming
from inferd.services.fraud.vocabulary import RiskLevel
from inferd.telemetry.fraud_records import AlertMetrics

HIGH, CRITICAL = RiskLevel.HIGH, RiskLevel.CRITICAL


def alert(
    number: int = 0, user: str = "u", severity: RiskLevel = HIGH, reason: str = "rule.x"
) -> Alert:
    return Alert(severity=severity, reason=reason, text="", at_us=number, user_id=user)


class Kept:
    """A sink that does as it is told."""

    def __init__(self, *, seconds: float = 0.0, failures: int = 0) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.closed = False
        self.seconds, self.failures = seconds, failures

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        await asyncio.sleep(self.seconds)
        self.keys += [each.key for each in records]
        if self.failures:
            self.failures -= 1
            raise DependencyFailed("the sink is down")
        self.alerts += [msgspec.json.decode(each.body) for each in records]
        return [True] * len(records)

    async def close(self) -> None:
        self.closed = True


def alerting(sink: Kept, *, least: str = "LOW", most: int = 1000, **said: Any) -> Alerting:
    how = AlertSink.model_validate({"least": least, "max_waiting": most, "timeout_ms": 1000})
    it = Alerting(Settings(**said), {"it": Route(sink, how)}, clock=asyncio.get_running_loop().time)
    it.start()
    return it


@pytest.mark.parametrize("least", [RiskLevel.LOW, RiskLevel.MEDIUM, HIGH, CRITICAL])
@pytest.mark.parametrize("level", RiskLevel)
def test_high_risk_is_always_an_alert(level: RiskLevel, least: RiskLevel) -> None:
    assert alarming(level, least) == (level >= HIGH or level >= least)


def test_alerts_cannot_be_configured_away() -> None:
    with pytest.raises(ValidationError, match="always are alerts"):
        Settings(least="CRITICAL")


def test_a_hundred_alerts_alike_are_one_and_a_count() -> None:
    window = Window(60.0, most=10)
    sent = [each for n in range(100) for each in window.take(alert(n), now=n * 0.5)]

    assert sent == [alert(0)]
    assert window.wake_at == 60.0
    (told,) = window.due(60.0)
    assert (told.more, told.at_us) == (99, 99)
    assert (window.repeated, len(window)) == (99, 0)


def test_one_alert_has_no_count_after_it() -> None:
    window = Window(60.0, most=10)
    window.take(alert(), now=0.0)

    assert window.due(60.0) == []
    assert window.take(alert(1), now=61.0) == [alert(1)]


def test_other_users_and_other_reasons_are_other_alerts() -> None:
    window = Window(60.0, most=10)
    several = [alert(), alert(user="v"), alert(reason="rule.y")]

    assert [each for it in several for each in window.take(it, now=0.0)] == several


def test_a_count_is_as_bad_as_the_worst_of_those_it_counts() -> None:
    window = Window(60.0, most=10)
    for severity in (HIGH, CRITICAL, HIGH):
        window.take(alert(severity=severity), now=0.0)

    assert [each.severity for each in window.due(60.0)] == [CRITICAL]


def test_when_too_many_are_counted_the_oldest_is_told_early() -> None:
    window = Window(60.0, most=2)
    for user in ("a", "a", "b"):
        window.take(alert(user=user), now=0.0)

    told = window.take(alert(user="c"), now=1.0)

    assert [(each.user_id, each.more) for each in told] == [("a", 1), ("c", 0)]
    assert len(window) == 2


def test_the_least_severe_alert_makes_way() -> None:
    queue = Queue(2)
    for number, severity in enumerate([CRITICAL, RiskLevel.LOW, HIGH, RiskLevel.LOW, CRITICAL]):
        queue.put(alert(number, severity=severity))

    assert [each.at_us for each in queue.peek(9).values()] == [0, 4]
    assert queue.dropped == 3


def test_a_queue_that_is_used_for_long_does_not_grow() -> None:
    queue = Queue(2)
    for number in range(1000):
        queue.put(alert(number))
        queue.done(queue.peek(9))
    queue.put(alert(1000))

    assert len(queue) == 1
    assert queue.dropped == 0
    assert len(queue._least) <= 5


async def test_an_alert_is_sent_at_once_and_what_followed_when_its_window_ends() -> None:
    sink = Kept()
    it = alerting(sink)
    for number in range(100):
        it.alarm(alert(number))
    await asyncio.sleep(1)
    assert [each["more"] for each in sink.alerts] == [0]

    await asyncio.sleep(60)

    assert [(each["more"], each["severity"]) for each in sink.alerts] == [(0, "HIGH"), (99, "HIGH")]
    await it.close()


async def test_a_sink_gets_what_is_severe_enough_for_it() -> None:
    sink = Kept()
    it = alerting(sink, least="CRITICAL")
    it.alarm(alert(user="a"))
    it.alarm(alert(user="b", severity=CRITICAL))
    await it.close()

    assert [each["user_id"] for each in sink.alerts] == ["b"]


async def test_what_a_sink_does_not_take_is_offered_again_under_the_same_key() -> None:
    sink = Kept(failures=3)
    it = alerting(sink)
    it.alarm(alert())
    await asyncio.sleep(10)

    assert len(sink.alerts) == 1
    assert len(sink.keys) == 4
    assert len({*sink.keys}) == 1
    assert (it.sendings["it"].sent, it.sendings["it"].failures) == (1, 3)
    await it.close()


async def test_a_dead_sink_delays_nobody_and_what_there_is_no_room_for_is_counted() -> None:
    sink = Kept(seconds=1e6)
    it = alerting(sink, most=10)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(100):
        it.alarm(alert(number, user=str(number)))
    assert loop.time() == began
    assert it.sendings["it"].queue.dropped == 90

    await it.close()

    assert loop.time() - began <= 2.0
    assert it.sendings["it"].queue.dropped == 100
    assert sink.closed


async def test_closing_sends_what_waits_and_what_was_counted() -> None:
    sink = Kept(seconds=0.1)
    it = alerting(sink)
    for number in range(3):
        it.alarm(alert(number))
    await it.close()

    assert [each["more"] for each in sink.alerts] == [0, 2]


async def test_alerts_are_counted() -> None:
    it = alerting(Kept())
    it.alarm(alert())
    it.alarm(alert())
    await asyncio.sleep(1)

    counted = {
        sample.name: sample.value for each in AlertMetrics(it).collect() for sample in each.samples
    }

    assert counted["inferd_alerts_raised_total"] == 2
    assert counted["inferd_alerts_repeated_total"] == 1
    assert counted["inferd_alerts_sent_total"] == 1
    await it.close()
