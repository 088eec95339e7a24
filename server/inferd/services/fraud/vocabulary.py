"""The words of fraud decisions. Their numbers are those of `fraud.proto`, and so is their order."""

from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple, TypeVar

E = TypeVar("E", bound=Enum)


class Decision(IntEnum):
    """What to do about a transaction: the later, the more careful."""

    APPROVE = 1
    CHALLENGE = 2
    REVIEW = 3
    BLOCK = 4


class RiskLevel(IntEnum):
    """How bad it looks; of a rule, how much a match says."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Basis(IntEnum):
    """What a decision rests on."""

    RULE = 1
    """A rule decided before any model was asked."""
    SCORE = 2
    CONSERVATIVE = 3
    """Too much had failed."""


class Action(IntEnum):
    """What a rule does when it matches, in the order in which rules are evaluated."""

    ALLOW = 1
    """APPROVE, at once."""
    BLOCK = 2
    """BLOCK: at once if the rule's severity is HIGH, and otherwise whatever models say."""
    REVIEW = 3
    """REVIEW at least."""
    SCORE = 4
    """Only raises the score."""


class Mode(IntEnum):
    """Whether a rule counts."""

    LIVE = 1
    SHADOW = 2
    """It is evaluated and told of, and changes nothing."""
    OFF = 3


class Outcome(IntEnum):
    """What became of one rule."""

    HIT = 1
    NO_HIT = 2
    SNOOZED = 3
    ERROR = 4
    """It has no result."""
    NOT_EVALUATED = 5
    """Another rule had decided before."""


class EntityKind(StrEnum):
    """What rules can be snoozed for, and lists are of."""

    USER = "user"
    CARD = "card"
    DEVICE = "device"
    IP = "ip"
    MERCHANT = "merchant"
    COUNTRY = "country"


class Reason(NamedTuple):
    """Something that speaks for a decision."""

    code: str
    """For programs, e.g. `rule.card_testing`."""
    description: str
    """For people."""
    contribution: float = 0.0
    """Its share of the risk, 0 to 1; 0 where there was no score."""


def named(words: type[E]) -> Any:
    """Return what finds a word by its name, in upper or lower case as the words are."""

    def find(name: object) -> E:
        if isinstance(name, words):
            return name
        try:
            return words[name.upper() if isinstance(name, str) else ""]
        except KeyError:
            raise ValueError(f"one of {', '.join(each.name for each in words)}") from None

    return find
