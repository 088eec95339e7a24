"""What a person reads when the server is up."""

from inferd.app.announce import announcement
from inferd.config import Config


def test_features_are_announced_where_there_are_any() -> None:
    config = Config.model_validate({"features": {"store": "sqlite"}})

    told = announcement(config, [], port=1, http_port=2, views=["profile", "spending"])

    assert "  features  profile, spending (sqlite)" in told.splitlines()
    assert "features" not in announcement(config, [], port=1, http_port=2)


def test_who_decides_on_fraud_says_by_which_rules_and_where_that_is_on_record() -> None:
    config = Config.model_validate(
        {
            "features": {"definitions": "features.yaml"},
            "fraud": {"rules": "rules.yaml", "policy": "policy.yaml", "audit": {"path": "trail"}},
        }
    )

    told = announcement(config, [], port=1, http_port=2)

    assert "  fraud     by rules.yaml, on record in trail" in told.splitlines()
    assert "inferd.v1.FraudService/ListRules" in told
    assert "raud" not in announcement(Config(), [], port=1, http_port=2)
