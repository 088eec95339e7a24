"""A small fraud service: its features, rules, policy and models, and a client of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from inferd.v1 import fraud_pb2 as pb
from support.features import now_us

METHODS = "/inferd.v1.FraudService"

DEFINITIONS: Mapping[str, Any] = {
    "entities": [{"name": "user"}, {"name": "merchant"}],
    "events": [
        {
            "name": "payment",
            "fields": [
                {"name": "user", "type": "string", "required": True},
                {"name": "merchant", "type": "string"},
                {"name": "amount", "type": "float64", "required": True},
            ],
        },
        {
            "name": "outcome",
            "fields": [
                {"name": "merchant", "type": "string", "required": True},
                {"name": "fraud", "type": "float64", "required": True},
            ],
        },
    ],
    "views": [
        {
            "name": "spending",
            "entity": "user",
            "events": "payment",
            "features": [
                {
                    "name": "count_1h",
                    "type": "int64",
                    "default": 0,
                    "aggregate": {"function": "count", "window": "1h"},
                },
                {
                    "name": "spent_1h",
                    "type": "float64",
                    "default": 0,
                    "aggregate": {"function": "sum", "of": "amount", "window": "1h"},
                },
            ],
        },
        {
            "name": "reputation",
            "entity": "merchant",
            "events": "outcome",
            "features": [
                {
                    "name": "fraud_rate",
                    "type": "float64",
                    "default": 0.01,
                    "aggregate": {"function": "mean", "of": "fraud", "window": "7d"},
                },
            ],
        },
        {
            "name": "unusual",
            "entity": "user",
            "request": [{"name": "amount", "type": "float64"}],
            "features": [
                {
                    "name": "ratio",
                    "type": "float64",
                    "default": 1,
                    "cel": "request.amount / (1.0 + spending.spent_1h)",
                },
            ],
        },
    ],
}

RULES: Mapping[str, Any] = {
    "variables": {
        "transaction.amount_minor": "int64",
        "spending.count_1h": "int64",
        "reputation.fraud_rate": "float64",
    },
    "rules": [
        {"id": "vouched", "when": "lists.allowed_user", "action": "ALLOW"},
        {
            "id": "listed",
            "when": "lists.blocked_user || lists.blocked_device",
            "action": "BLOCK",
            "severity": "CRITICAL",
            "score": 0.9,
            "description": "on a list",
        },
        {
            "id": "huge",
            "when": "transaction.amount_minor > 10000000",
            "action": "BLOCK",
            "severity": "HIGH",
            "score": 0.9,
        },
        {"id": "fast", "when": "spending.count_1h >= 3", "action": "REVIEW", "score": 0.3},
        {
            "id": "infamous",
            "when": "reputation.fraud_rate > 0.5",
            "action": "SCORE",
            "severity": "MEDIUM",
            "score": 0.4,
        },
        {
            "id": "trial",
            "when": "transaction.amount_minor > 100",
            "action": "BLOCK",
            "score": 0.2,
            "mode": "shadow",
        },
    ],
}

MODELS = ("trees", "network", "anomaly")
INPUTS = ("transaction.amount", "spending.count_1h", "unusual.ratio")

POLICY: Mapping[str, Any] = {
    "currency": "EUR",
    "merchant_categories": [],
    "segments": [],
    "scoring": {"models": {name: {"weight": 1} for name in MODELS}},
    "bands": [{"name": "all", "challenge": 0.3, "review": 0.6, "block": 0.9}],
}


def fraud_settings(**more: Any) -> dict[str, Any]:
    """Return what the configuration says of fraud, without the files that it names."""
    return {
        "models": [
            {"name": name, "model": f"fraud_{name}", "inputs": [*INPUTS], "timeout_ms": 30}
            for name in MODELS
        ],
        "entities": {"user": "transaction.user_id", "merchant": "transaction.merchant_id"},
        "request": {"amount": "transaction.amount"},
        "transaction_event": {
            "event": "payment",
            "fields": {
                "user": "transaction.user_id",
                "merchant": "transaction.merchant_id",
                "amount": "transaction.amount",
            },
        },
        "outcome_event": {
            "event": "outcome",
            "fields": {"merchant": "transaction.merchant_id", "fraud": "outcome.fraud"},
        },
        "test_prefix": "test-",
        "lists_refresh_s": 0.05,
        **more,
    }


def written(directory: Path, **more: Any) -> Path:
    """Write a configuration and all that it names, and return where it is."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {"definitions": DEFINITIONS, "rules": RULES, "policy": POLICY}
    for name, content in texts.items():
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    fraud = fraud_settings(rules="rules.yaml", policy="policy.yaml", audit={"path": "audit"})
    config = {"features": {"definitions": "definitions.yaml"}, "fraud": {**fraud, **more}}
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def a_transaction(id: str, *, at_us: int = 0, **said: Any) -> pb.Transaction:
    """Return a harmless transaction of a user who is called like it, but for what is said."""
    default = {
        "user_id": f"user {id}",
        "merchant_id": "bakery",
        "currency": "EUR",
        "amount_minor": 1999,
        "time_us": at_us or now_us(),
    }
    return pb.Transaction(id=id, **{**default, **said})
