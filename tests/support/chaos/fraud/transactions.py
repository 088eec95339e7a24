"""What is asked, by the number of a call: both those who ask and those who judge know."""

from inferd.v1 import fraud_pb2 as pb

METHODS = "/inferd.v1.FraudService"
ASSESS = f"{METHODS}/AssessTransaction"
DECISION_S = 0.1
"""A decision takes no longer, whatever its caller would allow."""
THIEF = "thief"
"""A user on the block list: a rule decides, and there is an alert."""
USERS, MERCHANTS = 200, 30
THIEVES = 20
"""One payment in so many is the thief's."""
REPEATS, BACK = 8, 3
"""One call in so many asks again what was asked so many calls before it."""


def is_repeated(number: int) -> bool:
    """Return whether a call asks again what was asked before."""
    return number % REPEATS == REPEATS - 1


def id_of(run: str, number: int) -> str:
    """Return the id of the transaction that a call asks about."""
    return f"{run}-{number - BACK if is_repeated(number) else number}"


def transaction(run: str, number: int, epoch_us: int) -> pb.Transaction:
    """Return the transaction that a call asks about; the same for the same id."""
    id = id_of(run, number)
    index = int(id.rpartition("-")[2])
    who = index % USERS
    return pb.Transaction(
        id=id,
        user_id=THIEF if index % THIEVES == 0 else f"user-{who}",
        card_id=f"card-{who}",
        merchant_id=f"merchant-{index % MERCHANTS}",
        merchant_category="grocery",
        payment_method="card",
        currency="EUR",
        country="DE",
        amount_minor=1999 + index % 5000,
        time_us=epoch_us + index,
        location={"latitude": 52.5, "longitude": 13.4},
        device_info={"id": f"device-{who}"},
        metadata={"address": f"address-{who}", "account_days": "400"},
    )


def request(run: str, number: int, epoch_us: int) -> bytes:
    """Return the request for a decision, encoded."""
    asked = transaction(run, number, epoch_us)
    return pb.AssessTransactionRequest(transaction=asked).SerializeToString()
