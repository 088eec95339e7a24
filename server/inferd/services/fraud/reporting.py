"""Outcomes of a request, checked."""

from typing import NamedTuple

from inferd.errors import InvalidRequest, Violation
from inferd.features.writing import EARLIEST_US
from inferd.services.fraud.outcomes import Label
from inferd.v1 import fraud_pb2 as pb

MAX_SOURCE_BYTES = 128


class Reported(NamedTuple):
    """What a transaction turned out to be."""

    id: str
    label: Label
    at_us: int
    """When that became known, in microseconds since 1970."""


def outcome(message: pb.TransactionOutcome, field: str, latest_us: int) -> Reported:
    """Return an outcome. Raises `InvalidRequest` naming all that is wrong."""
    wrong = []
    if not message.transaction_id:
        wrong.append(Violation(f"{field}.transaction_id", "it is required"))
    if message.label not in (pb.TransactionOutcome.FRAUD, pb.TransactionOutcome.LEGITIMATE):
        wrong.append(Violation(f"{field}.label", "a label is LEGITIMATE or FRAUD"))
    if not EARLIEST_US <= message.time_us <= latest_us:
        text = f"microseconds since 1970 are needed, not in the future: not {message.time_us}"
        wrong.append(Violation(f"{field}.time_us", text))
    if len(message.source.encode(errors="replace")) > MAX_SOURCE_BYTES:
        wrong.append(Violation(f"{field}.source", f"it has {MAX_SOURCE_BYTES} bytes at most"))
    if wrong:
        raise InvalidRequest("; ".join(each.description for each in wrong), violations=wrong)
    label = Label(message.label == pb.TransactionOutcome.FRAUD, message.source)
    return Reported(message.transaction_id, label, message.time_us)
