"""What is written down of a decision: all that it rests on, so that it can be made again. Pure.

Inputs have the names that rules know them by (`transaction.amount_minor`), as far as they may be
recorded. Values come back from a record as they were, to the last bit.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from inferd.services.fraud.plain import is_plain, plain, unplain

KIND = "assessment"


class FeatureUsed(msgspec.Struct, frozen=True, kw_only=True):
    """A feature as it was read."""

    name: str
    value: Any
    status: str
    #: Where it came from, e.g. `redis`, `computed` or `default`.
    source: str
    #: Microseconds since what it tells of; None where that is not known.
    age_us: int | None = None
    #: Whether the value may not be recorded: there is its hash, or nothing.
    redacted: bool = False


class ModelUsed(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was asked."""

    name: str
    version: str
    #: None: it failed, for the reason below.
    raw: float | None = None
    calibrated: float | None = None
    weight: float = 0.0
    reason: str = ""
    duration_us: int = 0


class RuleUsed(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and what became of it."""

    id: str
    mode: str
    outcome: str


class WithoutStage(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision did without."""

    stage: str
    source: str
    reason: str
    age_s: float | None = None


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. Numbers are finite, but for inputs and values of features."""

    transaction_id: str
    #: Of all inputs, also those that are not recorded.
    inputs_hash: str
    #: By the names that rules know.
    inputs: dict[str, Any]
    #: Which lists it was on, by the names that rules know.
    lists: dict[str, bool] = {}
    features: list[FeatureUsed] = []
    rules: list[RuleUsed] = []
    models: list[ModelUsed] = []
    #: As the policy and the answer have them.
    risk_score: float
    risk_level: str
    decision: str
    basis: str
    reasons: list[str] = []
    rules_version: str
    policy_version: str
    policy_band: str = ""
    degradations: list[WithoutStage] = []
    #: Microseconds, by stage.
    timings_us: dict[str, int] = {}
    #: The version of the software.
    software: str = ""
    #: Whether the transaction's id is one for tests.
    test: bool = False
    #: The answer as it was given, an encoded `Assessment`: who asks again may get it from here.
    answer: bytes = b""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditRecord).decode


def encoded(record: AuditRecord) -> bytes:
    """Return a record as JSON in one line."""
    odd = [each for each in record.features if not is_plain(each.value)]
    if odd or not is_plain(record.inputs):
        features = [
            replace(each, value=plain(each.value)) if each in odd else each
            for each in record.features
        ]
        record = replace(record, inputs=plain(record.inputs), features=features)
    return _encode(record)


def decoded(body: bytes | msgspec.Raw) -> AuditRecord:
    """Return the record that `encoded` was given. Raises `msgspec.MsgspecError`."""
    record = _decode(body)
    features = [replace(each, value=unplain(each.value)) for each in record.features]
    return replace(record, inputs=unplain(record.inputs), features=features)
