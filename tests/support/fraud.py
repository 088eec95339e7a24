"""Rules and policies, as short as they can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from inferd.features.kinds import Held, Kind
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import RuleSet

SHOP = Path(__file__).parents[2] / "configs" / "shop"

KNOWN: Mapping[str, Kind] = {
    "transaction.amount_minor": Kind("int64"),
    "transaction.country": Kind("string"),
    "user.speed": Kind("float64"),
    "user.count": Kind("int64"),
}


def rules_text(*rules: Mapping[str, Any], **said: Any) -> str:
    """Return a file of rules over all that is known."""
    variables = {name: str(kind) for name, kind in KNOWN.items()}
    none = {} if rules else {"no_rules": True}
    return yaml.safe_dump({"variables": variables, "rules": [*rules], **none, **said})


def rule(id: str, when: str = "true", action: str = "SCORE", **said: Any) -> dict[str, Any]:
    """Return a rule that adds 0.1, unless it allows."""
    return {"id": id, "when": when, "action": action, "score": 0.1 * (action != "ALLOW"), **said}


def rule_set(*rules: Mapping[str, Any]) -> RuleSet:
    return RuleSet.read(rules_text(*rules), KNOWN)


def values(**said: Held | None) -> dict[str, Held | None]:
    """Return a harmless transaction but for what is said, the dot being written as `__`."""
    known: dict[str, Held | None] = {
        "transaction.amount_minor": 1000,
        "transaction.country": "NL",
        "user.speed": 1.0,
        "user.count": 1,
    }
    return known | {name.replace("__", "."): value for name, value in said.items()}


def policy_text(*bands: Mapping[str, Any], models: Mapping[str, Any] | None = None) -> str:
    """Return a policy of bands; none: one that challenges at 0.3, reviews at 0.6, blocks at 0.9."""
    one = {"name": "all", "challenge": 0.3, "review": 0.6, "block": 0.9}
    return yaml.safe_dump(
        {
            "currency": "EUR",
            "exchange": {"JPY": 0.62},
            "merchant_categories": ["travel"],
            "segments": ["new"],
            "scoring": {"models": dict(models or {})},
            "bands": [*bands] or [one],
        }
    )


def policy(*bands: Mapping[str, Any], models: Mapping[str, Any] | None = None) -> Policy:
    return Policy.read(policy_text(*bands, models=models), models or ())


def shop_variables() -> dict[str, Kind]:
    """Return what the shop's rules declare."""
    declared = yaml.safe_load((SHOP / "fraud_rules.yaml").read_text())["variables"]
    return {name: Kind.named(kind) for name, kind in declared.items()}
