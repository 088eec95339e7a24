"""`inferd stream`: where events come from, which model answers which, and where answers go."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from inferd.config.section import MIB, NotNegative, Port, Positive, Section

Count = Annotated[int, Field(ge=1)]
Kind = Literal["redis", "jsonl"]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class Source(Section):
    """Where events come from."""

    kind: Kind = "redis"
    """redis: a stream, as a consumer of a group. jsonl: a file with one event per line."""
    stream: Name = "events"
    """Its name in Redis. The events are in the field `body` of its entries."""
    group: Name = "inferd"
    """Processes with the same group share the events."""
    consumer: Annotated[str, Field(max_length=256)] = ""
    """This process's name in the group. Empty: one that no other has."""
    claim_idle_s: Positive = 10.0
    """What another consumer has had for so long without a word is taken over."""
    path: Path | None = None
    """The file. How far it has been read is kept beside it, in a file that ends in `.offset`."""
    speed: NotNegative = 0.0
    """How many times as fast as it happened a file is replayed. 0: as fast as can be."""


class Sink(Section):
    """Where results go, or letters."""

    kind: Kind = "redis"
    stream: Name = "results"
    """Its name in Redis. What is published is in the field `body` of its entries."""
    max_entries: Count = 1_000_000
    """Roughly how many the stream keeps."""
    remember_s: Positive = 3600.0
    """For how long Redis knows what was published: longer than any process is away between
    publishing and acknowledging."""
    path: Path | None = None
    """A file, to whose end one line each is written. It is one process's at a time."""
    remember_keys: Count = 1_000_000
    """For how many of the last lines of a file it is known what was published."""


def _as_section(given: Any) -> Any:
    """Let a path alone stand for an input without a default."""
    return {"path": given} if isinstance(given, str) else given


class Input(Section):
    """One number for a model."""

    path: Name
    """`data.amount`, `context.location.latitude`: from the event. `view:feature`: of its user."""
    default: float | None = None
    """What stands in where there is none. Without it such an event gets no prediction."""


Inputs = tuple[Annotated[Input, BeforeValidator(_as_section)], ...]


class Route(Section):
    """What is done with the events of one type."""

    model: str = ""
    """Which model answers. Empty: none; the event is only recorded in its user's features."""
    version: str = ""
    """A number or a label. Empty: the highest."""
    inputs: dict[str, Inputs] = Field(default_factory=dict)
    """For each input tensor of the model, the numbers that are its one row, in order."""
    prediction: str = ""
    """The output tensor with the prediction: its only element, or of several the place of the
    largest. Empty: the model's first."""
    confidence: str = ""
    """The output tensor with the confidence: its largest element. Empty: that of the prediction,
    where that has several."""
    fallback: float | str | None = None
    """The prediction where the model gives none in time. A letter is written in any case."""
    bounds: tuple[float, ...] = tuple(n / 10 for n in range(1, 10))
    """Upper bounds of the histogram of predictions."""

    @model_validator(mode="after")
    def _whole(self) -> "Route":
        if self.model and not self.inputs:
            raise ValueError("a route with a model needs inputs")
        return self


class Attempts(Section):
    """How often a stage is tried before it has failed."""

    record: Count = 2
    features: Count = 1
    predict: Count = 1
    publish: Annotated[int, Field(ge=0)] = 0
    """0: until it works. Meanwhile nothing is read, and nothing is lost."""


class Stream(Section):
    """`inferd stream`: a process of its own, which takes no calls."""

    routes: dict[Name, Route] = Field(default_factory=dict)
    """By event type. Events of other types become letters."""
    source: Source = Source()
    sink: Sink = Sink()
    letters: Sink = Sink(stream="dead-letters")
    """Where events go that did not go as they should, with their bytes, the stage and the cause."""
    http_port: Port = 8004
    """Metrics and health over HTTP, on the server's host. 0: any free port."""
    batch: Count = 128
    """Events read, results published and events acknowledged in one command, at most."""
    max_in_hand: Count = 256
    """Events that have been read and are not published yet. Nothing is read beyond that. What is
    begun at once shares the event loop, and models have little time: more is not faster."""
    max_event_bytes: Count = MIB
    """Larger events become letters."""
    max_result_bytes: Count = MIB
    """Larger results become letters."""
    max_deliveries: Count = 5
    """An event that comes more often than this, because whoever had it died, becomes a letter."""
    features_ms: Positive = 20.0
    """The time to record an event in its user's features, and that to read them."""
    predict_ms: Annotated[float, Field(gt=0, le=50)] = 50.0
    """The model's time. Late is too late."""
    attempts: Attempts = Attempts()
    block_ms: Positive = 200.0
    """How long Redis waits for an event before it says that there is none."""
    redis_timeout_ms: Positive = 1000.0
    """Redis has failed when it takes longer to answer."""
    drain_s: Positive = 30.0
    """How long what is in hand may take once the process stops. What is left comes again."""

    @model_validator(mode="after")
    def _has_files(self) -> "Stream":
        for name in ("source", "sink", "letters"):
            section = getattr(self, name)
            if section.kind == "jsonl" and section.path is None:
                raise ValueError(f"{name}.kind jsonl needs {name}.path")
        return self

    @property
    def needs_redis(self) -> bool:
        """Whether anything of it is in Redis."""
        return "redis" in {self.source.kind, self.sink.kind, self.letters.kind}
