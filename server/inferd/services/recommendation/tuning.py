"""What experiments may change about how a list is made, and what that comes to.

A parameter is called as what it changes: `diversity`, `new_share`, `weight_<ranker>`,
`quota_<source>`. What is not set stays as the configuration has it. A list that is cached is cached
for its tuning, so whoever has the same gets the same, in whichever experiment.
"""

from collections.abc import Mapping
from typing import NamedTuple

from inferd.config.recommendation import Recommendation as Settings
from inferd.errors import InvalidRequest

Values = Mapping[str, bool | int | float | str]
_DIVERSITY, _NEW = "diversity", "new_share"


class Tuning(NamedTuple):
    """What is other than configured. Hashable."""

    #: Of `ranking.diversity`, 0 to 1.
    diversity: float | None = None
    #: The share of a list that is for new items, 0 to 1.
    new_share: float | None = None
    #: By ranker; 0: it is not asked.
    weights: tuple[tuple[str, float], ...] = ()
    #: By source.
    quotas: tuple[tuple[str, int], ...] = ()


UNTUNED = Tuning()


class Tunable:
    """What there is to be tuned."""

    def __init__(self, rankers: tuple[str, ...], sources: tuple[str, ...]) -> None:
        self._weights = {f"weight_{name}": name for name in rankers}
        self._quotas = {f"quota_{name}": name for name in sources}
        #: What parameters there are, and of which type.
        self.parameters: Mapping[str, str] = {
            _DIVERSITY: "float64",
            _NEW: "float64",
            **dict.fromkeys(self._weights, "float64"),
            **dict.fromkeys(self._quotas, "int64"),
        }

    def of(self, values: Values) -> Tuning:
        """Return what parameters come to; out of their range, they are moved into it.

        Raises `InvalidRequest` for those that are not there.
        """
        if not values:
            return UNTUNED
        if strange := [name for name in values if name not in self.parameters]:
            raise InvalidRequest(f"there is no parameter {strange[0]}")
        shares = {
            name: min(1.0, max(0.0, float(values[name])))
            for name in (_DIVERSITY, _NEW)
            if name in values
        }
        return Tuning(
            diversity=shares.get(_DIVERSITY),
            new_share=shares.get(_NEW),
            weights=tuple(
                (name, max(0.0, float(values[key])))
                for key, name in self._weights.items()
                if key in values
            ),
            quotas=tuple(
                (name, max(0, int(values[key])))
                for key, name in self._quotas.items()
                if key in values
            ),
        )


def tunable(settings: Settings) -> Tunable:
    """Return what there is to be tuned of a configuration."""
    rankers = tuple(each.name for each in settings.rankers)
    return Tunable(rankers, tuple(type(settings.sources).model_fields))
