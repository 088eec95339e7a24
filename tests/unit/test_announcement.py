"""What a person reads when the server is up."""

from inferd.app.announce import announcement
from inferd.config import Config


def test_features_are_announced_where_there_are_any() -> None:
    config = Config.model_validate({"features": {"store": "sqlite"}})

    told = announcement(config, [], port=1, http_port=2, views=["profile", "spending"])

    assert "  features  profile, spending (sqlite)" in told.splitlines()
    assert "features" not in announcement(config, [], port=1, http_port=2)
