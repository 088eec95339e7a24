"""A payment of the shop, as `FraudService` is asked about it."""

from typing import Final

import numpy as np

from inferd.v1 import fraud_pb2, streaming_pb2
from shop.events import Json

NEW_DAYS: Final = 7.0
"""Until it is so old, an account is new."""


def transaction(event: Json) -> fraud_pb2.Transaction:
    """Return the transaction of an event of that type."""
    data, context = event["data"], event["context"]
    return fraud_pb2.Transaction(
        id=event["id"],
        user_id=event["user_id"],
        amount_minor=data["amount_minor"],
        currency=data["currency"],
        merchant_id=data["merchant"],
        merchant_category=data["category"],
        payment_method="card",
        card_id=data["card"],
        country=data["country"],
        segment="new" if data["account_days"] < NEW_DAYS else "",
        time_us=time_us(event),
        location=streaming_pb2.Location(latitude=data["latitude"], longitude=data["longitude"]),
        device_info=fraud_pb2.DeviceInfo(
            id=data["device"], type=context["device_type"], user_agent=context["user_agent"]
        ),
        metadata={"address": data["address"], "account_days": repr(data["account_days"])},
    )


def time_us(event: Json) -> int:
    """Return when it happened, in microseconds since 1970, UTC."""
    return int(np.datetime64(event["timestamp"].rstrip("Z"), "us").astype(np.int64))
