"""What is served under which name, and where everything else stands.

The registry holds no files and loads nothing; `Models` and `Lifecycle` change it, everyone
reads it. A look-up on the hot path is one dictionary access: the table of names is rebuilt
at every change, which are rare.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inferd.errors import InferdError, NotFound, NotReady
from inferd.inference.repository.layout import ModelFiles, Snapshot
from inferd.inference.repository.planner import Key, Known
from inferd.inference.version import ModelVersion, State

if TYPE_CHECKING:
    from inferd.inference.loading import Source

Listener = Callable[[], None]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One line of the repository's index."""

    name: str
    #: Empty for a model that has no version, or none that could be looked at.
    version: str
    state: State
    #: Why it is not ready, or what is wrong although it is.
    reason: str = ""


@dataclass(slots=True, eq=False)
class Slot:
    """One version of a model: what serves, and where a load stands."""

    #: READY as long as something serves, whatever is being loaded beside it.
    state: State = State.UNLOADED
    reason: str = ""
    #: What answers, also while its successor is being loaded.
    version: ModelVersion | None = None
    #: What `version` came from, or what an evicted one will come from.
    source: "Source | None" = None
    stamp: Hashable = None
    #: Of the files that failed last.
    failed_stamp: Hashable = None
    #: Not loaded for want of room; comes when somebody asks.
    evicted: bool = False
    #: These answer what they were asked, and get nothing new.
    leaving: list[ModelVersion] = field(default_factory=list)
    #: Held by whoever loads or retires.
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def shown(self) -> ModelVersion | None:
        """What counts as this version for statistics: one at a time."""
        return self.version or (self.leaving[-1] if self.leaving else None)


@dataclass(slots=True, eq=False)
class Model:
    """All that is known of one model."""

    slots: dict[int, Slot] = field(default_factory=dict)
    #: Why the model as a whole cannot be used.
    problem: str = ""
    labels: Mapping[str, int] = field(default_factory=dict)
    #: The version that is meant when none is named. 0: the highest that can serve.
    preferred: int = 0


class Registry:
    """Models by name."""

    def __init__(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        self._labels = labels
        self._preferred: dict[str, int] = {}
        self._models: dict[str, Model] = {}
        self._ready: dict[tuple[str, str], ModelVersion] = {}
        self._listeners: list[Listener] = []

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def model(self, name: str) -> Model:
        """Return what is known of a model; nothing yet, if it is new."""
        if name not in self._models:
            labels, preferred = self._labels.get(name, {}), self._preferred.get(name, 0)
            self._models[name] = Model(labels=labels, preferred=preferred)
        return self._models[name]

    def prefer(self, name: str, number: int) -> None:
        """Have a version be meant when none is named, whether it is there or not."""
        self._preferred[name] = number
        if name in self._models:
            self._models[name].preferred = number

    def slot(self, key: Key) -> Slot:
        """Return the slot of a version, a new one if need be."""
        return self.model(key[0]).slots.setdefault(key[1], Slot())

    def slots(self, names: set[str] | None = None) -> Iterator[tuple[Key, Slot]]:
        """All slots of the named models, or of all."""
        for name, model in self._models.items():
            if names is None or name in names:
                for number, slot in model.slots.items():
                    yield (name, number), slot

    def keys(self, names: set[str] | None = None) -> list[Key]:
        """Return every version there is a slot for, of the named models or of all."""
        return [key for key, _ in self.slots(names)]

    def known(self, names: set[str] | None) -> Known:
        """Return what the planner must know of the named models, or of all."""
        slots = list(self.slots(names))
        return Known(
            # Evicted is as good as ready: it is there for whoever asks.
            ready={key: slot.stamp for key, slot in slots if slot.version or slot.evicted},
            failed={key: slot.failed_stamp for key, slot in slots if slot.failed_stamp},
        )

    def forgive(self, name: str) -> None:
        """Let what failed be tried again: somebody asked for it."""
        for _, slot in self.slots({name}):
            slot.failed_stamp = None

    def problem(self, name: str) -> str:
        """Return what is wrong with a model or with the last load of its versions."""
        model = self._models[name]
        failures = [slot.reason for slot in model.slots.values() if slot.failed_stamp]
        return model.problem or "; ".join(failures)

    def forget(self, name: str) -> None:
        """Drop a model that serves nothing."""
        self._models.pop(name, None)
        self.publish()

    def forget_missing(self, snapshot: Snapshot, names: set[str] | None) -> None:
        """Drop what serves nothing any more and has left the disk."""
        changed = False
        for (name, number), slot in list(self.slots(names)):
            if _is_history(slot, number, snapshot.models.get(name)):
                del self._models[name].slots[number]
                changed = True
        for name, model in list(self._models.items()):
            in_scope = names is None or name in names
            if in_scope and not model.slots and name not in snapshot.models:
                del self._models[name]
                changed = True
        if changed:
            self.publish()

    def evicted(self, name: str, version: str) -> Key | None:
        """Return the version that a call means, if it is one that comes back on demand."""
        model = self._models.get(name)
        if model is None:
            return None
        number = _number(model, version) if version else _default(model)
        slot = model.slots.get(number)
        return (name, number) if slot and slot.evicted else None

    def find(self, name: str, version: str = "") -> ModelVersion | None:
        """Return a ready version: by number or label, or the highest one."""
        return self._ready.get((name, version))

    def previous(self, name: str) -> ModelVersion | None:
        """Return the highest ready version below the default one, or None."""
        model = self._models.get(name, Model())
        default = _default(model)
        earlier = [
            number
            for number, slot in model.slots.items()
            if slot.version is not None and slot.version.in_service
        ]
        number = max((each for each in earlier if each < default), default=0)
        return model.slots[number].version if number else None

    def missing(self, name: str, version: str) -> InferdError:
        """Return why `find` found nothing, in the words that Triton's clients look for."""
        model = self._models.get(name)
        if model is None:
            return NotFound(f"Request for unknown model: '{name}' is not found")
        if not version and model.preferred:
            version = str(model.preferred)
        if not version:
            text = f"Request for unknown model: '{name}' has no available versions"
            slots = model.slots.values()
            if any(slot.state in _COMING or slot.evicted for slot in slots):
                reasons = "; ".join(slot.reason for slot in slots if slot.evicted and slot.reason)
                return NotReady(_with(text, reasons))
            return NotFound(_with(text, self.problem(name)))
        slot = model.slots.get(_number(model, version))
        if slot is None or (slot.state is State.UNLOADED and not slot.evicted):
            text = f"Request for unknown model: '{name}' version {version} is not found"
            return NotFound(_with(text, model.problem))
        return NotReady(_with(f"'{name}' version {version} is not at ready state", slot.reason))

    def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """Return every model and version, in order."""
        entries = []
        for name in sorted(self._models):
            model = self._models[name]
            if model.problem or not model.slots:
                state = State.FAILED if model.problem else State.UNLOADED
                entries.append(IndexEntry(name, "", state, model.problem))
            entries += [_entry(name, *item) for item in sorted(model.slots.items())]
        return [each for each in entries if not ready_only or each.state is State.READY]

    def versions(self) -> list[ModelVersion]:
        """Return every version that has something loaded, also those on their way out."""
        slots = sorted(self.slots(), key=lambda item: item[0])
        return [slot.shown for _, slot in slots if slot.shown]

    def publish(self) -> None:
        """Make the changes visible to callers and listeners."""
        self._ready = {}
        for name, model in self._models.items():
            self._publish_model(name, model)
        for listener in tuple(self._listeners):
            listener()

    def _publish_model(self, name: str, model: Model) -> None:
        ready = {number: slot.version for number, slot in model.slots.items() if slot.version}
        numbers = {str(number): number for number in ready}
        for text, number in {"": _default(model), **numbers, **model.labels}.items():
            if version := ready.get(number):
                self._ready[name, text] = version
        for number, version in ready.items():
            version.labels = tuple(
                label for label, meant in model.labels.items() if meant == number
            )

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every change; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


_COMING = (State.LOADING, State.WARMING)


def _entry(name: str, number: int, slot: Slot) -> IndexEntry:
    """Return a version's line. While none of its instances serves, it is on its way back."""
    state, reason = slot.state, slot.reason
    if slot.version is not None:
        reason = reason or slot.version.instances.trouble()
        state = state if slot.version.in_service else State.LOADING
    return IndexEntry(name, str(number), state, reason)


def _number(model: Model, version: str) -> int:
    """Return the number that a label or a text stands for; 0, which none has, if it is neither."""
    if version in model.labels:
        return model.labels[version]
    # By comparing: `int` takes signs, spaces, underscores and Persian digits for a number.
    return next((number for number in model.slots if str(number) == version), 0)


def _default(model: Model) -> int:
    """Return the version that is meant when none is named: the highest that can serve.

    One that was evicted can, once it is back. An older one is not what was asked for. While
    another is rolled out it is the one that is preferred, and no other.
    """
    if model.preferred:
        return model.preferred
    return max((n for n, slot in model.slots.items() if slot.version or slot.evicted), default=0)


def _is_history(slot: Slot, number: int, files: ModelFiles | None) -> bool:
    gone = files is None or number not in files.versions
    return gone and slot.version is None and not slot.leaving and not slot.busy.locked()


def _with(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
