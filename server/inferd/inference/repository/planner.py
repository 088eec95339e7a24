"""What to load and what to unload, so that what is served becomes what is wanted.

A plan is made from a snapshot and from what the server has; make another whenever either
changes, in particular when a load ends. Two promises hold across any sequence of plans:

- Nothing is loaded that may still be being written: everything a version is loaded from
  must have been left alone for `settle_s`. And nothing that failed is tried again until
  it looks different.
- A new version takes over, it does not interrupt: versions that are no longer wanted
  are unloaded only in a plan made when all the wanted ones are ready. If one cannot be
  loaded, the old ones stay. Only when nothing of a model is wanted any more, because its
  directory is gone or empty, do its last versions go.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from inferd.inference.repository.layout import Snapshot
from inferd.inference.repository.policy import select
from inferd.inference.repository.schema import VersionPolicy

Key = tuple[str, int]
"""A model's name and a version number."""

_NONE: Mapping[str, Collection[int]] = {}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is wanted."""

    #: What it looks like on disk. Equal stamps: no reason to load it again.
    stamp: Hashable
    #: Seconds since any file it is loaded from was touched.
    age_s: float


Wanted = Mapping[str, Mapping[int, Candidate] | None]
"""Per model, its wanted versions. None: nobody can say now, so it is left as it is."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the server has: for each version, the stamp it was loaded from, or tried to."""

    ready: Mapping[Key, Hashable] = field(default_factory=dict)
    #: Being loaded or reloaded. Left alone until that ends.
    loading: Mapping[Key, Hashable] = field(default_factory=dict)
    #: The last attempt that failed. May be ready at the same time, from an older stamp.
    failed: Mapping[Key, Hashable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, all of it at once: nothing in a plan depends on the rest of it."""

    #: Newest version first, of every model.
    load: tuple[Key, ...] = ()
    #: Ready, but changed on disk: load it anew, then let it take over.
    reload: tuple[Key, ...] = ()
    unload: tuple[Key, ...] = ()
    #: Model, version, and the seconds after which to look again: it may have settled.
    wait: tuple[tuple[str, int, float], ...] = ()

    @property
    def wait_s(self) -> float | None:
        """The seconds until something may have settled, or None."""
        return min((seconds for _, _, seconds in self.wait), default=None)


def wanted(
    snapshot: Snapshot,
    policies: Mapping[str, VersionPolicy | None],
    also: Mapping[str, Collection[int]] = _NONE,
) -> Wanted:
    """Return what the policies choose from a snapshot, for the models in `policies` alone.

    `also`: versions that are wanted, too, by model, where there are such.

    Leave a model out of `policies` whose configuration cannot be read: `None` is what
    comes of that, and of a model with a problem. A model that is not in the snapshot
    has no wanted versions, and is not in the answer.
    """
    found: dict[str, Mapping[int, Candidate] | None] = {}
    for name, model in snapshot.models.items():
        if model.problem or name not in policies:
            found[name] = None
            continue
        found[name] = {
            number: Candidate(model.stamp_of(number), model.age_s_of(number))
            for number in {*select(policies[name], model.versions), *also.get(name, ())}
            if number in model.versions
        }
    return found


def plan(wanted: Wanted, known: Known, *, settle_s: float) -> Plan:
    """Return the steps from what is known towards what is wanted.

    Models that are ready and not in `wanted` are unloaded: pass all that are served.
    """
    load: list[Key] = []
    reload: list[Key] = []
    wait: list[tuple[str, int, float]] = []
    for model in sorted(wanted):
        for number, candidate in sorted((wanted[model] or {}).items(), reverse=True):
            key = model, number
            if not _is_due(key, candidate.stamp, known):
                continue
            if candidate.age_s < settle_s:
                wait.append((model, number, settle_s - candidate.age_s))
            elif key in known.ready:
                reload.append(key)
            else:
                load.append(key)
    return Plan(tuple(load), tuple(reload), tuple(_unneeded(wanted, known)), tuple(wait))


def _is_due(key: Key, stamp: Hashable, known: Known) -> bool:
    if key in known.loading:
        return False
    return stamp not in (known.ready.get(key), known.failed.get(key))


def _unneeded(wanted: Wanted, known: Known) -> Iterable[Key]:
    for model, number in sorted(known.ready):
        versions = wanted.get(model, {})
        if versions is None or number in versions or (model, number) in known.loading:
            continue
        if all((model, each) in known.ready for each in versions):
            yield model, number
