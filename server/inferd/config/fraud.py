"""What becomes of fraud decisions: the audit trail, alerts, and the same answer the second time."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from inferd.config.journal import Count, Journal
from inferd.config.section import MIB, NotNegative, Positive, Section

Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
Treatment = Literal["keep", "hash", "drop"]

NEVER_KEPT = frozenset(
    {"card_number", "pan", "cvv", "cvc", "name", "holder", "card_holder", "full_name", "iban"}
)
"""Last parts of fields' names that may not be kept in clear."""
LEAST_KEY = 16
"""Characters."""


class Audit(Journal):
    """The audit trail: one record of each decision, which nobody can change unnoticed."""

    on_failure: Literal["answer", "refuse"] = "answer"
    """What becomes of a decision whose record cannot be written, or not in time. answer: it is
    given, its answer says `audit` among its degradations, and there is an alert. refuse: the call
    fails with UNAVAILABLE, and may be tried again."""
    fields: dict[str, Treatment] = Field(default_factory=dict)
    """Which fields of a transaction are recorded, and how, by name (`device.id`); a name that ends
    in `.*` is for all below it. hash: as a keyed hash, by which equal values are still known. What
    looks like the number of a payment card is never recorded in clear, in whichever field."""
    other_fields: Treatment = "drop"
    """The fields that are not named above."""
    hash_key: SecretStr = SecretStr("")
    """The key of hashes, at least 16 characters; servers that share one give equal hashes. Needed
    where a field is to be hashed."""

    @model_validator(mode="after")
    def _keeps_no_secrets(self) -> "Audit":
        for name, treatment in self.fields.items():
            if treatment == "keep" and name.rpartition(".")[2] in NEVER_KEPT:
                raise ValueError(f"fields.{name}: may be hashed or dropped, and not kept in clear")
        hashes = "hash" in {*self.fields.values(), self.other_fields}
        length = len(self.hash_key.get_secret_value())
        if hashes and not length:
            raise ValueError("hash_key is needed, for there are fields to hash")
        if 0 < length < LEAST_KEY:
            raise ValueError(f"hash_key must have at least {LEAST_KEY} characters")
        return self


class Idempotency(Section):
    """The same transaction, asked about again, gets the same answer."""

    store: Literal["memory", "redis", "sqlite"] = "memory"
    """Where answers are kept. memory: in this process, and gone with it. redis: as `redis.url`
    says, for all servers. sqlite: a file."""
    memory_bytes: Annotated[int, Field(gt=0)] = 64 * MIB
    """What the store in memory may take; answers used longest ago make room."""
    sqlite_path: Path = Path("assessments.sqlite")
    key_prefix: Annotated[str, Field(max_length=64)] = "fraud:"
    """Of keys in Redis. Servers with the same one share their answers."""
    ttl_s: Positive = 7 * 86_400.0
    """For how long a transaction is known again."""
    near_entries: Count = 10_000
    """Answers that are kept in this process, too: they are known again when the store is down."""
    patience_ms: Positive = 500.0
    """How long another server may take to record what it has decided, since this one first heard of
    it. Then whoever is asked for the same transaction records it."""


class AlertSink(Section):
    """Where alerts go."""

    least: Severity = "HIGH"
    """Less severe ones do not go there."""
    max_waiting: Count = 1000
    """Alerts that wait to be sent. Of those on top the least severe are dropped, and counted."""
    timeout_ms: Positive = 2000.0
    """How long one attempt to send may take."""


class LogSink(AlertSink):
    """The server's own log."""

    enabled: bool = True


class FileSink(AlertSink):
    """A file with one alert per line, in JSON."""

    path: Path = Path("alerts.jsonl")


class StreamSink(AlertSink):
    """A Redis stream, as `redis.url` says."""

    stream: Annotated[str, Field(min_length=1)] = "fraud-alerts"
    max_entries: Count = 100_000
    """Roughly how many the stream keeps."""
    remember_s: Positive = 3600.0
    """For how long an alert that is sent again is known to be there."""


class WebhookSink(AlertSink):
    """A server that takes alerts as HTTP POST, a JSON list of them."""

    url: str
    token: SecretStr = SecretStr("")
    """Sent as `Authorization: Bearer`, if there is one."""

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be like https://host/path")
        return url


class Alerts(Section):
    """What somebody should look at."""

    least: Severity = "HIGH"
    """Decisions of at least this risk are alerts; HIGH and CRITICAL always are."""
    window_s: NotNegative = 60.0
    """Of alerts about the same user for the same reason one is sent at once, and at the end of this
    time another that says how many more there were. 0: all are sent."""
    max_tracked: Count = 10_000
    """Users and reasons whose alerts are counted. Beyond that the oldest are told early."""
    close_s: Positive = 2.0
    """How long sending what waits may take when the server stops. What is left is counted."""
    log: LogSink = LogSink()
    file: FileSink | None = None
    redis: StreamSink | None = None
    webhook: WebhookSink | None = None

    @field_validator("least")
    @classmethod
    def _hides_nothing(cls, least: Severity) -> Severity:
        if least == "CRITICAL":
            raise ValueError("must be HIGH at most: decisions of high risk always are alerts")
        return least
