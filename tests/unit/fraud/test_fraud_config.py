"""What the configuration says of fraud decisions, and what it refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from inferd.config import Config

FEATURES = {"definitions": "definitions.yaml"}
FILES = {"rules": "rules.yaml", "policy": "policy.yaml"}
KEY = "a key that nobody knows"
MODEL = {"name": "trees", "model": "m", "inputs": ["transaction.amount"]}


def read(**fraud: Any) -> Config:
    return Config.model_validate({"features": FEATURES, "fraud": {**FILES, **fraud}})


def test_secrets_get_to_the_process_that_needs_them() -> None:
    config = read(
        audit={"hash_key": KEY},
        alerts={"webhook": {"url": "https://example.test/", "token": KEY}},
    )

    again = Config.model_validate_json(config.model_dump_json(exclude_unset=True))

    assert again == config
    assert KEY not in repr(config)


def test_a_variable_may_be_one_or_several() -> None:
    entities = read(entities={"user": "transaction.user_id"}).fraud.entities

    assert entities == {"user": ("transaction.user_id",)}


@pytest.mark.parametrize(
    ("fraud", "said"),
    [
        ({"request": {"amount": "spending:sum"}}, "here it is spending.sum"),
        ({"policy": None}, "rules and policy"),
        ({"models": [MODEL, MODEL]}, "models: names must differ"),
        ({"models": [{**MODEL, "name": "features"}]}, "neither features nor rules"),
        ({"idempotency": {"store": "redis"}}, "fraud.idempotency.store redis needs redis.url"),
        ({"alerts": {"redis": {}}}, "fraud.alerts.redis needs redis.url"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(fraud: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read(**fraud)


def test_without_features_there_are_no_decisions() -> None:
    with pytest.raises(ValidationError, match=r"fraud\.rules needs features\.definitions"):
        Config.model_validate({"fraud": FILES})
