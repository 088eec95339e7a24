"""The models that this server has, and how they come to be what the repository wants.

`Models` is what the rest of the server knows: it finds versions for callers, and follows
the repository. What to load and unload is decided by `repository.planner`, carried out by
`lifecycle`, and seen by callers through `registry`. All state lives on the event loop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from inferd.config import Repository
from inferd.deadline import Clock
from inferd.errors import LoadFailed, NotFound, Unavailable
from inferd.inference.assembly import Assembler
from inferd.inference.lifecycle import Lifecycle
from inferd.inference.loading import Loader, Source
from inferd.inference.overrides import Overrides, Parse
from inferd.inference.registry import IndexEntry, Registry
from inferd.inference.repository.layout import ModelFiles, Snapshot, name_problem, scan
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.repository.planner import Key, plan, wanted
from inferd.inference.room import Room
from inferd.inference.version import ModelVersion
from inferd.telemetry.statistics import LoadStatistics

log = logging.getLogger(__name__)

Configs = Mapping[str, ModelConfig | None]
"""By model; None where the graph says it all. Models whose configuration is wrong are not in it."""


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
    ) -> None:
        self._repository = repository
        self._statistics = statistics
        self._parse_text = parse_text
        self._wall_clock = wall_clock
        self._overrides = Overrides(parse_json)
        self._registry = Registry(repository.version_labels)
        self._threads = ThreadPoolExecutor(repository.load_threads, thread_name_prefix="load")
        self._lifecycle = Lifecycle(
            self._registry,
            loader,
            assembler,
            Room(repository.max_memory_bytes, frozenset(repository.pinned)),
            statistics,
            threads=self._threads,
            clock=clock,
        )
        self._converging = asyncio.Lock()
        self._returning: dict[Key, asyncio.Task[None]] = {}
        self._started = False
        self._stopping = False

    # -- what callers ask ----------------------------------------------------------

    @property
    def serving(self) -> bool:
        """Whether the first round of loading is over and the server is not stopping."""
        return self._started and not self._stopping

    def find(self, name: str, version: str = "") -> ModelVersion | None:
        """Return the ready version of that number or label (the highest, if empty), or None."""
        return self._registry.find(name, version)

    async def get(self, name: str, version: str = "") -> ModelVersion:
        """Return a ready version, loading it first if it was evicted.

        Raises `NotFound` or `NotReady`, in the words that Triton's clients look for.
        """
        found = self._registry.find(name, version)
        if found is None and (key := self._registry.evicted(name, version)):
            await self._bring_back(key)
            found = self._registry.find(name, str(key[1]))
        if found is None:
            raise self._registry.missing(name, version)
        return found

    def is_ready(self, name: str, version: str = "") -> bool:
        """Whether a call would be served: at once, or after an evicted version's return."""
        found = self._registry.find(name, version) or self._registry.evicted(name, version)
        return found is not None

    def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """Return every model and version with its state."""
        return self._registry.index(ready_only=ready_only)

    def statistics(self, name: str = "", version: str = "") -> list[ModelVersion]:
        """Return the loaded versions, all or those of one name. Raises `NotFound`."""
        found = [
            each
            for each in self._registry.versions()
            if name in ("", each.name) and version in ("", each.version)
        ]
        if name and not found:
            raise self._registry.missing(name, version)
        return found

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` on the loop after any change of readiness; the result ends that."""
        return self._registry.watch(listener)

    async def _bring_back(self, key: Key) -> None:
        """Load an evicted version, once for all who wait for it."""
        task = self._returning.get(key)
        if task is None:
            task = self._tasks.create_task(self._lifecycle.bring_back(key), name=f"load {key}")
            self._returning[key] = task
            task.add_done_callback(lambda _: self._returning.pop(key, None))
        await asyncio.shield(task)

    # -- explicit control ------------------------------------------------------------

    async def load(
        self,
        name: str,
        *,
        config: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Load or reload a model; return when it is ready, raise `LoadFailed` if it cannot be.

        `config` is JSON and `files` are contents by path; both go over the repository's own.
        """
        self._require_explicit()
        if problem := name_problem(name):
            raise LoadFailed(problem)
        await self._overrides.put(name, config, files or {})
        self._registry.forgive(name)
        await self._converge({name})
        self._raise_unless_loaded(name)

    async def unload(self, name: str) -> None:
        """Unload all versions of a model, after the calls in flight."""
        self._require_explicit()
        if name not in self._registry:
            raise NotFound(f"Request for unknown model: '{name}' is not found")
        async with self._converging:
            keys = self._registry.keys(name)
            await asyncio.gather(
                *(self._lifecycle.retire(key, "unloaded by request") for key in keys)
            )
            self._overrides.drop(name)

    def _require_explicit(self) -> None:
        mode = self._repository.control_mode
        if mode != "explicit":
            raise Unavailable(
                "explicit model load / unload is not allowed: repository.control_mode is"
                f" {mode}, not explicit"
            )

    def _raise_unless_loaded(self, name: str) -> None:
        if name not in self._registry:
            raise LoadFailed(
                f"failed to load '{name}', failed to poll from model repository: there is no"
                " such model directory"
            )
        if problem := self._registry.problem(name):
            raise LoadFailed(f"failed to load '{name}', {problem}")
        if not self.is_ready(name):
            raise LoadFailed(f"failed to load '{name}', it has no version directory to serve")

    # -- life ------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load what should be loaded, follow the repository, and unload everything at the end.

        The block is entered at once; `serving` turns true when loading is over.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                follower = self._tasks.create_task(self._follow(), name="repository")
                try:
                    yield
                finally:
                    follower.cancel()
                    self._stopping = True
                    keys = self._registry.keys()
                    await asyncio.gather(*(self._lifecycle.retire(key) for key in keys))
        finally:
            self._overrides.clear()
            self._threads.shutdown(wait=False, cancel_futures=True)

    def stop_serving(self) -> None:
        """Say that the server is on its way out."""
        self._stopping = True
        self._registry.publish()

    async def _follow(self) -> None:
        mode = self._repository.control_mode
        names = None
        if mode == "explicit" and "*" not in self._repository.load_models:
            names = set(self._repository.load_models)
        await self._converge(names)
        self._started = True
        self._registry.publish()
        while mode == "poll":
            await asyncio.sleep(self._repository.poll_s)
            await self._converge(None)

    # -- towards what is wanted --------------------------------------------------------

    async def _converge(self, names: set[str] | None) -> None:
        """Load and unload until the named models (all, if None) are as they should be."""
        async with self._converging:
            again_s: float | None = 0.0
            while again_s is not None:
                await asyncio.sleep(again_s)
                again_s = await self._step(names)

    async def _step(self, names: set[str] | None) -> float | None:
        """Carry out one plan; return the seconds until the next, or None if that was all."""
        try:
            snapshot = await self._snapshot(names)
        except LoadFailed as failure:
            if not self._started:
                raise
            # Nothing is known now, so nothing is unloaded.
            log.error("%s", failure)  # noqa: TRY400 - says it all, a traceback adds nothing
            return None
        configs = self._configs(snapshot)
        policies = {name: each.version_policy if each else None for name, each in configs.items()}
        todo = plan(
            wanted(snapshot, policies),
            self._registry.known(names),
            settle_s=self._repository.settle_s,
        )
        await asyncio.gather(
            *(self._load(key, snapshot, configs) for key in (*todo.load, *todo.reload)),
            *(self._lifecycle.retire(key) for key in todo.unload),
        )
        self._registry.forget_missing(snapshot, names)
        return 0.0 if todo.load or todo.reload or todo.unload else todo.wait_s

    async def _snapshot(self, names: set[str] | None) -> Snapshot:
        """Look at the repository, with what load requests put over it."""
        paths = self._repository.paths
        found = await asyncio.to_thread(scan, paths, wall_now=self._wall_clock())
        models = self._overrides.applied(found.models)
        if names is not None:
            models = {name: files for name, files in models.items() if name in names}
        return Snapshot(models)

    def _configs(self, snapshot: Snapshot) -> Configs:
        """Understand every model's configuration; what is wrong is the model's problem."""
        configs: dict[str, ModelConfig | None] = {}
        for name, files in snapshot.models.items():
            model = self._registry.model(name)
            try:
                configs[name] = self._config_of(files)
            except LoadFailed as failure:
                if model.problem != str(failure):
                    log.error("model %s cannot be used: %s", name, failure)  # noqa: TRY400
                    self._statistics.load_failed(name, str(failure))
                model.problem = str(failure)
            else:
                model.problem = ""
        self._registry.publish()
        return configs

    def _config_of(self, files: ModelFiles) -> ModelConfig | None:
        if files.problem:
            raise LoadFailed(files.problem)
        data = self._overrides.config_of(files.name)
        if data is None and files.config is not None:
            data = self._parse_text(files.config)
        return None if data is None else config_from(data, model=files.name)

    async def _load(self, key: Key, snapshot: Snapshot, configs: Configs) -> None:
        name, number = key
        files = snapshot.models[name]
        source = Source(name, number, files.versions[number], files.directory, configs[name])
        await self._lifecycle.load(source, files.stamp_of(number), may_evict=self._started)
