"""Fraud decisions: the rules, the policy and the models, and what they are told of a transaction.

What is called a *variable* here is what rules see: a field of the transaction, such as
`transaction.user_id`, what its metadata says (`metadata.address`), or a feature
(`user_payments.count_1h`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from inferd.config.fraud import Alerts, Audit, Idempotency, Treatment
from inferd.config.journal import Count
from inferd.config.resilience import Name
from inferd.config.section import NotNegative, Positive, Section


def dotted(name: object) -> object:
    """Return the name of a variable. Raises `ValueError` for `view:feature`.

    So the feature service names features; here they have a dot, as in expressions.
    """
    if isinstance(name, str) and name.count(":") == 1:
        raise ValueError(f"here it is {name.replace(':', '.')}")
    return name


Variable = Annotated[
    str,
    BeforeValidator(dotted),
    Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=129),
]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Source = Annotated[
    tuple[Variable, ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    Field(min_length=1, max_length=8),
]
"""One variable, or several whose values are joined by `|`, in them `\\|`."""

ENTITIES: dict[str, tuple[str, ...]] = {
    each: (f"transaction.{each}_id",) for each in ("user", "card", "device", "merchant")
}
RECORDED: dict[str, Treatment] = {
    f"transaction.{name}": "keep"
    for name in (
        *("amount_minor", "currency", "time_us", "payment_method", "segment", "country"),
        *("user_id", "card_id", "device_id", "device_type", "merchant_id", "merchant_category"),
    )
}


class FraudModel(Section):
    """A model that says how likely fraud is. What that is worth, the policy says."""

    name: Name
    """Its name here: of its score, its guard (`fraud_<name>`) and its stage."""
    model: Annotated[str, Field(min_length=1)]
    """Its name in the repository."""
    version: str = ""
    """A number or a label. Empty: the highest."""
    inputs: Annotated[tuple[Variable, ...], Field(min_length=1)]
    """What it is told, in this order, in one row of float32. Lists take a place for each of their
    elements."""
    tensor: str = "features"
    """Its input."""
    output: str = "score"
    """Its output, of which the last element counts: of two classes, the second."""
    timeout_ms: Positive = 30.0
    """How long it may take. Later is as good as failed."""
    missing: float = 0.0
    """What it is told where nothing is known. `.nan`, if it was trained so."""


class FraudEvent(Section):
    """What the aggregates of features are told."""

    event: Key
    """As `features.definitions` declares it."""
    fields: dict[Key, Source] = Field(default_factory=dict)
    """What its fields are, by name."""


class FraudAudit(Audit):
    """The audit trail."""

    fields: dict[str, Treatment] = Field(default_factory=lambda: dict(RECORDED))
    """Which fields of a transaction are recorded, and how, by name (`transaction.user_id`); a name
    that ends in `.*` is for all below it. hash: as a keyed hash, by which equal values are still
    known. What looks like the number of a payment card is never recorded in clear, in whichever
    field. Features that are texts are treated so, too, by their names; other features are recorded.
    What rules and models read and is not recorded cannot be replayed."""


class Fraud(Section):
    """Fraud decisions, and `inferd.v1.FraudService`."""

    rules: Path | None = None
    """A file of rules; docs/fraud.md says how. Without one there is no fraud service."""
    policy: Path | None = None
    """A file that says what is done about which risk."""
    models: tuple[FraudModel, ...] = ()
    """They are asked at the same time."""
    deadline_ms: Positive = 100.0
    """A decision takes no longer, whatever its caller would allow."""
    features_ms: Positive = 20.0
    """How long features may take. Then their defaults stand in, and the decision is careful."""
    metadata: dict[Key, Literal["int64", "float64", "bool", "string"]] = Field(default_factory=dict)
    """What of a transaction's metadata is a variable, and of which type. Keys that are neither here
    nor below `audit.fields` are refused, unless `audit.other_fields` keeps or hashes them."""
    entities: dict[Key, Source] = Field(default_factory=lambda: dict(ENTITIES))
    """Which user, card and so on a transaction is about, for their features: by the name of the
    entity. Several variables are joined by `|`; in their values it is `\\|`, and `\\` is `\\\\`."""
    request: dict[Key, Variable] = Field(default_factory=dict)
    """What is said besides, for features to be computed with."""
    transaction_event: FraudEvent | None = None
    """What is recorded of a transaction once its features are read, so that it counts for the next
    one. None: somebody else does."""
    outcome_event: FraudEvent | None = None
    """What is recorded when it is reported how a transaction turned out. `outcome.fraud` is a
    variable here, 1 or 0, and so is `transaction.id`."""
    record_ms: Positive = 2000.0
    """How long recording a transaction may take. No answer waits for it."""
    test_prefix: Annotated[str, Field(max_length=64)] = ""
    """Ids that begin with it are for tests: `<prefix>approve`, `<prefix>block-17` and so on get
    that decision, and nothing is learned from them. Empty: there are none."""
    max_future_s: Positive = 300.0
    """How far a transaction may be ahead of this server's clock."""
    max_outcomes: Count = 1000
    """In one report, and entries of lists in one request."""
    max_streamed: Count = 8
    """Transactions of one stream that are decided on at once: more would take each other's time.
    Whoever streams more is not read until there is room."""
    max_backtest: Count = 10_000
    """Transactions in one backtest."""
    max_list_entries: Count = 100_000
    """On all lists together."""
    lists_refresh_s: NotNegative = 1.0
    """How often it is looked whether another server has changed lists or snoozes. 0: never."""
    audit: FraudAudit = FraudAudit()
    idempotency: Idempotency = Idempotency()
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _whole(self) -> "Fraud":
        if (self.rules is None) != (self.policy is None):
            raise ValueError("rules and policy: there must be both, or neither")
        names = [each.name for each in self.models]
        if len(set(names)) < len(names) or {"features", "rules"} & {*names}:
            raise ValueError(
                f"models: names must differ, and be neither features nor rules: {', '.join(names)}"
            )
        return self

    # Under Envoy the server gets its configuration in JSON, and in it secrets are as they are.

    @field_serializer("audit", when_used="json")
    def _with_its_key(self, audit: FraudAudit) -> dict[str, object]:
        said = audit.model_dump(mode="json", exclude_unset=True)
        if "hash_key" in said:
            said["hash_key"] = audit.hash_key.get_secret_value()
        return said

    @field_serializer("alerts", when_used="json")
    def _with_its_token(self, alerts: Alerts) -> dict[str, Any]:
        said = alerts.model_dump(mode="json", exclude_unset=True)
        if alerts.webhook is not None and "token" in said["webhook"]:
            said["webhook"]["token"] = alerts.webhook.token.get_secret_value()
        return said
