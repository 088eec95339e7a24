"""What an event of a stream means by what is declared: what is recorded of it, and of whom."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from inferd.app.translation import Translator, selected
from inferd.errors import InvalidRequest
from inferd.features.definitions import Definitions
from inferd.streaming.events import Event, decoded

DEFINITIONS = """
entities: [{name: user, id: int64}, {name: merchant}]
events:
  - name: payment
    fields:
      - {name: payer, type: int64}
      - {name: merchant, type: string}
      - {name: amount, type: float64}
      - {name: token, type: bytes}
  - {name: visit, fields: [{name: user, type: int64}]}
views:
  - name: spending
    entity: user
    events: payment
    by: payer
    features: [{name: n, type: int64, aggregate: {function: count, window: 1h}}]
  - name: takings
    entity: merchant
    events: payment
    features: [{name: n, type: int64, aggregate: {function: count, window: 1h}}]
  - {name: profile, entity: user, features: [{name: age, type: int64}]}
  - name: basket
    entity: user
    request: [{name: amount, type: float64}, {name: seal, type: bytes}]
    features: [{name: twice, type: float64, cel: "request.amount * 2.0"}]
"""


@pytest.fixture
def definitions() -> Definitions:
    return Definitions.read(yaml.safe_load(DEFINITIONS))


@pytest.fixture
def translator(definitions: Definitions) -> Translator:
    return Translator(definitions)


def an_event(type: str = "payment", user: str = "7", **data: Any) -> Event:
    return Event("e1", _AT.timestamp, type, user, data)


_AT = decoded(
    b'{"id": "e", "timestamp": "2025-10-09T10:53:20.000001+02:00", "event_type": "t"}',
    max_bytes=100,
)


def test_an_event_is_of_its_user_where_it_does_not_say_of_whom(translator: Translator) -> None:
    write = translator.streamed(an_event(amount=2.5, colour="red"))

    assert write is not None
    assert (write.event.name, write.event_id) == ("payment", "e1")
    assert write.event_us == 1_760_000_000_000_001
    assert write.fields == {"amount": 2.5, "payer": 7}


def test_what_an_event_says_itself_counts(translator: Translator) -> None:
    write = translator.streamed(an_event(payer=8, merchant="bakery", token="AAEC"))

    assert write is not None
    assert write.fields == {"payer": 8, "merchant": "bakery", "token": b"\0\1\2"}


def test_an_event_of_nobody_gets_no_user(translator: Translator) -> None:
    write = translator.streamed(an_event(user="", merchant="bakery"))

    assert write is not None
    assert write.fields == {"merchant": "bakery"}


@pytest.mark.parametrize("type", ["visit", "page_view"])
def test_what_no_view_is_of_is_not_recorded(translator: Translator, type: str) -> None:
    assert translator.streamed(an_event(type)) is None


def test_features_are_of_the_user_or_of_whom_the_event_names(
    translator: Translator, definitions: Definitions
) -> None:
    views = definitions.views
    event = an_event(payer=8, merchant="bakery")

    assert translator.entity_id(views["spending"], event) == 8
    assert translator.entity_id(views["profile"], event) == 7
    assert translator.entity_id(views["takings"], event) == "bakery"


def test_what_is_computed_with_is_in_the_data(translator: Translator) -> None:
    assert translator.said(an_event(amount=2, seal="AAEC", colour="red")) == {
        "amount": 2.0,
        "seal": b"\0\1\2",
    }
    assert not translator.said(an_event(amount=None))


def test_what_is_wrong_is_named(translator: Translator, definitions: Definitions) -> None:
    views = definitions.views
    cases: dict[str, Callable[[], object]] = {
        "user_id": lambda: translator.streamed(an_event(user="u7")),
        "data.token": lambda: translator.streamed(an_event(token="%")),
        "data.merchant": lambda: translator.entity_id(views["takings"], an_event()),
        "data.payer": lambda: translator.entity_id(views["spending"], an_event(payer=1.5)),
        "data.amount": lambda: translator.said(an_event(amount="much")),
        "features[1]": lambda: selected(definitions, ["profile:age", "profil:age"]),
    }
    for field, wrong in cases.items():
        with pytest.raises(InvalidRequest) as caught:
            wrong()
        assert [each.field for each in caught.value.violations] == [field]


def test_the_only_entity_is_the_user_whatever_it_is_called() -> None:
    declared = yaml.safe_load(DEFINITIONS.replace("user", "account"))
    declared["entities"].pop()
    declared["views"].pop(1)

    write = Translator(Definitions.read(declared)).streamed(an_event())

    assert write is not None
    assert write.fields == {"payer": 7}
