"""The models that this server has, and how they come to be what the repository wants.

`Models` is what the rest of the server knows: it finds versions for callers, and follows
the repository. What to load and unload is decided by `repository.planner`, carried out by
`lifecycle`, and seen by callers through `registry`. All state lives on the event loop.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from numpy.typing import NDArray

from inferd.call import Call
from inferd.config import Repository
from inferd.deadline import Clock, Deadline
from inferd.errors import Draining, LoadFailed, NotFound, Unavailable
from inferd.inference.assembly import Assembler
from inferd.inference.direct import ask
from inferd.inference.lifecycle import Lifecycle
from inferd.inference.loading import Loader, Source
from inferd.inference.overrides import Override, Overrides, Parse
from inferd.inference.recordings import with_recordings
from inferd.inference.registry import IndexEntry, Registry
from inferd.inference.repository.layout import ModelFiles, Snapshot, name_problem, scan
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.repository.planner import Plan, plan, wanted
from inferd.inference.request import Tensors
from inferd.inference.rollouts import Rollouts
from inferd.inference.room import Room
from inferd.inference.threads import LoadThreads
from inferd.inference.version import ModelVersion, State
from inferd.telemetry.statistics import LoadStatistics

log = logging.getLogger(__name__)

Configs = Mapping[str, ModelConfig | None]
"""By model; None where the graph says it all. Models whose configuration is wrong are not in it."""

#: Between looks at files that are still being written, at least.
SETTLE_STEP_S = 0.02


class Models:
    """Every model, by name and version. Lives on the event loop, inside `running`."""

    def __init__(
        self,
        repository: Repository,
        loader: Loader,
        assembler: Assembler,
        statistics: LoadStatistics,
        *,
        parse_text: Parse,
        parse_json: Parse,
        clock: Clock,
        wall_clock: Clock,
        rollouts: Rollouts | None = None,
    ) -> None:
        """`rollouts`: None: there are none."""
        self._repository = repository
        self._statistics = statistics
        self._parse_text = parse_text
        self._clock = clock
        self._wall_clock = wall_clock
        self._overrides = Overrides(parse_json)
        self._registry = Registry(repository.version_labels)
        self._rollouts = rollouts
        if rollouts is not None:
            rollouts.follow(self._registry)
        self._lifecycle = Lifecycle(
            self._registry,
            loader,
            assembler,
            Room(repository.max_memory_bytes, frozenset(repository.pinned)),
            statistics,
            threads=LoadThreads(repository.load_threads, niceness=loader.niceness),
            clock=clock,
        )
        #: What was made of each model's configuration, so that it is read once.
        self._read: dict[str, _Read] = {}
        self._on_disk: frozenset[str] = frozenset()
        #: One request at a time loads or unloads a model.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._orders: set[asyncio.Task[Exception | None]] = set()
        self._started = False
        self._stopping = False

    # -- what callers ask ----------------------------------------------------------

    @property
    def serving(self) -> bool:
        """Whether the first round of loading is over and the server is not stopping."""
        return self._started and not self._stopping

    def find(self, name: str, version: str = "", call: Call | None = None) -> ModelVersion | None:
        """Return the ready version of that number or label (the highest, if empty), or None.

        While a new version is rolled out, it depends on the call which one is meant by none.
        """
        if call is not None and not version and self._rollouts is not None:
            version = self._rollouts.version(name, call)
        return self._registry.find(name, version)

    def steered(self, name: str, call: Call) -> str:
        """Return the version that a call gets instead of the default. Empty: that."""
        return "" if self._rollouts is None else self._rollouts.version(name, call)

    async def get(self, name: str, version: str = "") -> ModelVersion:
        """Return a ready version, loading it first if it was evicted.

        Raises `NotFound` or `NotReady`, in the words that Triton's clients look for.
        """
        found = self._registry.find(name, version)
        if found is None and (key := self._registry.evicted(name, version)):
            found = await self._lifecycle.bring_back(key)
        if found is None:
            raise self._registry.missing(name, version)
        return found

    async def run(
        self,
        name: str,
        inputs: Mapping[str, NDArray[Any]],
        *,
        call: Call,
        deadline: Deadline,
        version: str = "",
        outputs: Sequence[str] = (),
    ) -> Tensors:
        """Return what a model makes of these inputs, for a stage of a call.

        `deadline` is the stage's own; the call's holds, too. BF16 is an array of its bits, BYTES
        an array of `bytes`. Raises what `get` and `ModelVersion.infer` raise.
        """
        found = self.find(name, version, call) or await self.get(name, version)
        return await ask(found, inputs, outputs, call=call, deadline=deadline, clock=self._clock)

    def previous(self, name: str) -> ModelVersion | None:
        """Return the highest ready version below the one that is meant when none is named."""
        return self._registry.previous(name)

    def is_ready(self, name: str, version: str = "") -> bool:
        """Whether a call would be served: at once, or after an evicted version's return.

        Not while no instance of it is in service.
        """
        found = self._registry.find(name, version)
        if found is not None:
            return found.in_service
        return self._registry.evicted(name, version) is not None

    def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """Return every model and version with its state, also those nobody asked to load."""
        entries = self._registry.index(ready_only=ready_only)
        if not ready_only:
            others = (name for name in self._on_disk if name not in self._registry)
            entries += [IndexEntry(name, "", State.UNLOADED) for name in others]
        if self._rollouts is not None:
            entries = [_noted(each, self._rollouts) for each in entries]
        return sorted(entries, key=lambda each: each.name)

    def statistics(self, name: str = "", version: str = "") -> list[ModelVersion]:
        """Return the loaded versions, all or those of one name. Raises `NotFound`."""
        found = [
            each
            for each in self._registry.versions()
            if name in ("", each.name) and version in ("", each.version, *each.labels)
        ]
        if name and not found:
            raise self._registry.missing(name, version)
        return found

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the loop after any change of readiness; the result ends that."""
        return self._registry.watch(listener)

    # -- explicit control ------------------------------------------------------------

    async def load(
        self,
        name: str,
        *,
        config: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Load or reload a model; return when it is ready, raise `LoadFailed` if it cannot be.

        `config` is JSON and `files` are contents by path; both go over the repository's own
        until the next load or unload. When it fails, everything is as it was before.
        """
        self._require_explicit()
        if problem := name_problem(name):
            raise LoadFailed(problem)
        await self._carry_out(f"load {name}", self._load_order(name, config, files or {}))

    async def unload(self, name: str) -> None:
        """Unload all versions of a model, after the calls in flight."""
        self._require_explicit()
        if name not in self._registry and name not in self._on_disk:
            raise NotFound(f"Request for unknown model: '{name}' is not found")
        await self._carry_out(f"unload {name}", self._unload_order(name))

    def _require_explicit(self) -> None:
        mode = self._repository.control_mode
        if mode != "explicit":
            raise Unavailable(
                "explicit model load / unload is not allowed: repository.control_mode is"
                f" {mode}, not explicit"
            )
        if self._stopping:
            raise Draining("the server is stopping")

    async def _carry_out(self, name: str, order: Coroutine[Any, Any, None]) -> None:
        """Do what was ordered, also if whoever ordered it leaves, and raise what it raises."""
        task = self._tasks.create_task(_outcome(order), name=name)
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)
        await asyncio.wait({task})
        if task.cancelled():
            raise Draining("the server is stopping")
        failure = task.result()
        try:
            if failure:
                raise failure
        finally:
            del failure, task  # or it would keep itself alive, and the files of the request

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    async def _load_order(self, name: str, config: str | None, files: Mapping[str, bytes]) -> None:
        async with self._turn(name):
            override = await self._overrides.made(name, config, files)
            replaced = self._overrides.put(name, override)
            try:
                self._registry.forgive(name)
                snapshot = await self._converge({name}, may_park=False)
                await self._require_loaded(name, snapshot)
            except BaseException as error:
                self._overrides.put(name, replaced)
                if override and isinstance(error, Exception):
                    await self._take_back(name, override)
                await self._overrides.discard(override)
                raise
            await self._overrides.discard(replaced)

    async def _take_back(self, name: str, override: Override) -> None:
        """Undo what came of an override before it failed: another version may be loaded."""
        with contextlib.suppress(LoadFailed):
            await self._converge({name}, may_park=False)
        for key, slot in list(self._registry.slots({name})):
            if override.files and slot.source and slot.source.directory == override.files.directory:
                await self._lifecycle.retire(key)

    async def _require_loaded(self, name: str, snapshot: Snapshot) -> None:
        if name not in snapshot.models:
            raise LoadFailed(
                f"failed to load '{name}', failed to poll from model repository: there is no"
                " such model directory"
            )
        if problem := self._registry.problem(name):
            raise LoadFailed(f"failed to load '{name}', {problem}")
        try:
            await self.get(name)  # it may have been evicted
        except (NotFound, Unavailable) as missing:
            reason = self._registry.problem(name) or "it has no version directory to serve"
            raise LoadFailed(f"failed to load '{name}', {reason}") from missing

    async def _unload_order(self, name: str) -> None:
        async with self._turn(name):
            keys = self._registry.keys({name})
            for key in keys:
                await self._lifecycle.retire(key, "unloaded by request")
            await self._lifecycle.drained(keys)
            await self._overrides.discard(self._overrides.put(name, None))
            if name not in self._on_disk:
                self._registry.forget(name)

    # -- life ------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load what should be loaded, follow the repository, and unload everything at the end.

        The block is entered at once; `serving` turns true when loading is over. A repository
        that cannot be read at start ends the block with `LoadFailed`.
        """
        try:
            rolling = nullcontext() if self._rollouts is None else self._rollouts.running()
            async with self._lifecycle.running(), rolling, asyncio.TaskGroup() as self._tasks:
                follower = self._tasks.create_task(self._follow(), name="repository")
                try:
                    yield
                finally:
                    self._stopping = True
                    for task in (follower, *self._orders):
                        task.cancel()
        finally:
            self._overrides.clear()

    def stop_serving(self) -> None:
        """Say that the server is on its way out."""
        self._stopping = True
        self._registry.publish()

    async def _follow(self) -> None:
        names = self._wanted_at_start()
        await self._converge(names, may_park=True)
        self._note_absent()
        self._started = True
        self._registry.publish()
        problem = ""
        while self._repository.control_mode == "poll":
            await asyncio.sleep(self._repository.poll_s)
            problem = await self._look_again(problem)

    async def _look_again(self, before: str) -> str:
        """Follow the repository, or return why it cannot be: then everything stays as it is."""
        try:
            await self._converge(None, may_park=True)
        except LoadFailed as failure:
            if str(failure) != before:
                log.error("%s", failure)  # noqa: TRY400 - says it all, a traceback adds nothing
            return str(failure)
        except Exception:  # a bug of ours is no reason to stop serving
            log.exception("following the repository")
        return ""

    def _wanted_at_start(self) -> set[str] | None:
        asked = self._repository.load_models
        if self._repository.control_mode != "explicit" or "*" in asked:
            return None
        return set(asked)

    def _note_absent(self) -> None:
        """Tell of models that were asked for by name and are not there."""
        if self._repository.control_mode != "explicit":
            return
        for name in {*self._repository.load_models} - {"*"} - self._on_disk:
            problem = "repository.load_models asks for it, and there is no such model directory"
            self._registry.model(name).problem = problem
            self._note_unusable(name, problem)

    # -- towards what is wanted --------------------------------------------------------

    async def _converge(self, names: set[str] | None, *, may_park: bool) -> Snapshot:
        """Load and unload until the named models (all, if None) are as they should be."""
        waiting_for: set[str] = set()
        while True:
            snapshot, configs = await self._look(names)
            todo = self._plan(snapshot, configs, names)
            if todo.load or todo.reload or todo.unload:
                await self._carry_out_plan(todo, snapshot, configs, may_park=may_park)
            self._registry.forget_missing(snapshot, names)
            if todo.wait_s is not None:
                unsettled = {f"{name}/{number}" for name, number, _ in todo.wait}
                if fresh := unsettled - waiting_for:
                    log.info("%s: still being written, waiting", ", ".join(sorted(fresh)))
                waiting_for |= unsettled
                await asyncio.sleep(max(todo.wait_s, SETTLE_STEP_S))
            elif not (todo.load or todo.reload or todo.unload):
                return snapshot

    async def _look(self, names: set[str] | None) -> tuple[Snapshot, Configs]:
        """Look at the repository, with what load requests put over it."""
        found = await asyncio.to_thread(_scanned, self._repository, self._wall_clock())
        self._on_disk = frozenset(found)
        models = self._overrides.applied(found)
        if names is not None:
            models = {name: files for name, files in models.items() if name in names}
        return Snapshot(models), await self._configs(models)

    async def _configs(self, models: Mapping[str, ModelFiles]) -> Configs:
        """Understand every model's configuration; what is wrong is the model's problem."""
        unread = {
            name: (files, self._overrides.of(name))
            for name, files in models.items()
            if name not in self._read or not self._read[name].is_of(files, self._overrides.of(name))
        }
        if unread:
            self._read |= await asyncio.to_thread(self._understood, unread)
        for name in self._read.keys() - self._on_disk - models.keys():
            del self._read[name]
        for name in models:
            self._note_problem(name, self._read[name].problem)
        return {name: self._read[name].config for name in models if not self._read[name].problem}

    def _understood(
        self, unread: Mapping[str, tuple[ModelFiles, Override | None]]
    ) -> dict[str, "_Read"]:
        result = {}
        for name, (files, override) in unread.items():
            config, problem = None, files.problem
            try:
                if not problem:
                    config = self._config_of(files, override)
            except LoadFailed as failure:
                problem = str(failure)
            result[name] = _Read(files.config, files.problem, override, config, problem)
        return result

    def _config_of(self, files: ModelFiles, override: Override | None) -> ModelConfig | None:
        data = override.config if override else None
        if data is None and files.config is not None:
            data = self._parse_text(files.config)
        return None if data is None else config_from(data, model=files.name)

    def _note_problem(self, name: str, problem: str) -> None:
        model = self._registry.model(name)
        if model.problem == problem:
            return
        model.problem = problem
        if problem:
            self._note_unusable(name, problem)
        self._registry.publish()

    def _note_unusable(self, name: str, problem: str) -> None:
        log.error("model %s cannot be used: %s", name, problem)
        self._statistics.load_failed(name, problem)

    def _plan(self, snapshot: Snapshot, configs: Configs, names: set[str] | None) -> Plan:
        policies = {name: each.version_policy if each else None for name, each in configs.items()}
        also = {} if self._rollouts is None else self._rollouts.needed
        targets = dict(wanted(snapshot, policies, also))
        if self._repository.control_mode == "explicit":
            # Whoever asks for a model that is not there gets an error, and nothing is unloaded.
            targets |= dict.fromkeys((names or set()) - targets.keys())
        known = self._registry.known(names)
        return plan(targets, known, settle_s=self._repository.settle_s)

    async def _carry_out_plan(
        self, todo: Plan, snapshot: Snapshot, configs: Configs, *, may_park: bool
    ) -> None:
        # Room is given in this order.
        pinned = self._repository.pinned
        loads = sorted((*todo.load, *todo.reload), key=lambda key: key[0] not in pinned)
        sources = [
            (Source(name, number, files.versions[number], files.directory, configs[name]), files)
            for name, number in loads
            for files in [snapshot.models[name]]
        ]
        await asyncio.gather(
            *(
                self._lifecycle.load(
                    source,
                    files.stamp_of(source.number),
                    may_evict=self._started or source.name in pinned,
                    may_park=may_park,
                )
                for source, files in sources
            ),
            *(self._lifecycle.retire(key) for key in todo.unload),
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """A configuration that has been read, and what it was read from."""

    text: str | None
    unreadable: str
    override: Override | None
    config: ModelConfig | None
    problem: str

    def is_of(self, files: ModelFiles, override: Override | None) -> bool:
        same = (self.text, self.unreadable) == (files.config, files.problem)
        return same and self.override is override


def _noted(entry: IndexEntry, rollouts: Rollouts) -> IndexEntry:
    """Return a line of the index with what there is to say of a rollout."""
    said = [each for each in (entry.reason, rollouts.note(entry.name, entry.version)) if each]
    return replace(entry, reason="; ".join(said))


def _scanned(repository: Repository, wall_now: float) -> dict[str, ModelFiles]:
    found = scan(repository.paths, wall_now=wall_now).models
    return {name: with_recordings(files, wall_now) for name, files in found.items()}


async def _outcome(order: Coroutine[Any, Any, None]) -> Exception | None:
    """Return what went wrong: raised, it would end everything that runs beside it."""
    try:
        await order
    except Exception as error:
        return error
    return None
