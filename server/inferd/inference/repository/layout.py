"""What is on disk: one look at the repository's directories, taken as they are.

A snapshot loads nothing and believes nothing: it lists the versions of every model with
a stamp (what their files look like from outside) and an age (how long nobody has
touched them), from which `planner` decides. The directory may change while it is read:
what is gone is not there, and what is half there is young.

Nothing is followed out of a repository: a link that leads outside makes the version, or
the model, unusable, and says so.
"""

import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from inferd.errors import LoadFailed
from inferd.inference.repository.contradictions import is_inner_path, is_plain_filename
from inferd.inference.repository.problems import shown
from inferd.inference.repository.schema import MODEL_FILENAME

CONFIG_FILENAME = "config.pbtxt"
WARMUP_DIRECTORY = "warmup"
#: Far more than real ones need: what is larger was not meant to be here.
MAX_CONFIG_BYTES = 1024 * 1024
MAX_LABEL_BYTES = 64 * 1024 * 1024
MAX_FILES = 10_000
MAX_DEPTH = 8

Stamp = tuple[tuple[str, int, int, int], ...]
"""Per file: its path from the version's directory, size, mtime in ns, inode. Compare, no more."""


@dataclass(frozen=True, slots=True)
class VersionFiles:
    """One version directory."""

    number: int
    directory: Path = Path()
    stamp: Stamp = ()
    #: Seconds since anything in it was last touched.
    age_s: float = math.inf
    #: Why it cannot be used, if it cannot.
    problem: str = ""

    def model_path(self, filename: str = "") -> Path:
        """Return the ONNX file: `filename`, or `model.onnx`, or the one in a directory so named.

        Raises `LoadFailed` when there is none.
        """
        if self.problem:
            raise LoadFailed(self.problem)
        path = self.directory / (filename or MODEL_FILENAME)
        try:
            for candidate in (path, path / path.name, path / MODEL_FILENAME):
                if candidate.is_file():
                    return candidate
        except OSError as error:
            raise LoadFailed(_reason(error, path)) from error
        raise LoadFailed(f"version {self.number} has no {path.name}")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model directory. With a `problem` it is unusable, and has no versions."""

    name: str
    directory: Path = Path()
    versions: Mapping[int, VersionFiles] = field(default_factory=dict)
    #: The text of `config.pbtxt`, if there is one.
    config: str | None = None
    #: Of `config.pbtxt` and of the files that it mentions: labels, warm-up data.
    config_stamp: Stamp = ()
    config_age_s: float = math.inf
    problem: str = ""

    def stamp_of(self, number: int) -> tuple[Stamp, Stamp]:
        """Return what all files look like that a version is loaded from."""
        return self.config_stamp, self.versions[number].stamp

    def age_s_of(self, number: int) -> float:
        """Return the seconds since any of them was last touched."""
        return min(self.config_age_s, self.versions[number].age_s)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All models, by name."""

    models: Mapping[str, ModelFiles] = field(default_factory=dict)


def name_problem(model: str) -> str:
    """Return why a model cannot be called so, or nothing: a name is a plain directory name."""
    if not is_plain_filename(model):
        return "model name must not contain path traversal characters"
    if model.startswith("."):
        return "model name must not start with a dot"
    if not model.isprintable() or len(model.encode(errors="replace")) > 255:
        return "model name must be printable and at most 255 bytes long"
    return ""


def scan(paths: Sequence[Path], *, wall_now: float) -> Snapshot:
    """Look at every model of every repository; `wall_now` is the time in Unix seconds.

    Raises `LoadFailed` for a repository that cannot be read at all: nothing is known then,
    and nothing should be unloaded.
    """
    models: dict[str, ModelFiles] = {}
    for path in paths:
        for directory in _model_directories(path):
            found = read_model(directory, root=path, wall_now=wall_now)
            if found is None:
                continue
            other = models.get(found.name)
            models[found.name] = _ambiguous(found, other) if other else found
    return Snapshot(models)


def read_model(directory: Path, *, root: Path, wall_now: float) -> ModelFiles | None:
    """Look at one model, or return None when it went away meanwhile.

    With `wall_now` infinite, everything counts as untouched for ever.
    """
    name = _written(directory.name)
    try:
        problem = name_problem(directory.name) or _escape(directory, root)
        if problem:
            return ModelFiles(name, directory, problem=problem)
        if not directory.is_dir():
            return None
        versions = dict(_versions(directory, root, wall_now))
        config = _read_text(directory / CONFIG_FILENAME, MAX_CONFIG_BYTES, root)
        files = _Files(root, wall_now)
        files.add_of_model(directory, config or "")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, LoadFailed) as error:
        return ModelFiles(name, directory, problem=_reason(error, directory))
    return ModelFiles(name, directory, versions, config, files.stamp, files.age_s)


def require_unchanged(files: VersionFiles, *, root: Path) -> None:
    """Raise `LoadFailed` unless a version's files look as they did when they were listed."""
    now = _Files(root, math.inf)
    try:
        now.add_tree(files.directory)
    except OSError as error:
        raise LoadFailed(_reason(error, files.directory)) from error
    if now.stamp != files.stamp:
        raise LoadFailed("its files have changed since it was loaded; reload the model")


def read_labels(directory: Path, filename: str) -> tuple[str, ...]:
    """Return the lines of a label file in a model's directory, or raise `LoadFailed`."""
    path = directory / filename
    try:
        if not is_inner_path(filename) or not _is_below(path, directory.parent):
            raise LoadFailed(f"{shown(filename)} is not in the model's directory")
        text = _read_text(path, MAX_LABEL_BYTES, directory.parent)
    except OSError as error:
        raise LoadFailed(_reason(error, path)) from error
    if text is None:
        raise LoadFailed(f"there is no {shown(filename)} in the model's directory")
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def _model_directories(repository: Path) -> Iterator[Path]:
    try:
        with os.scandir(repository) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and (entry.is_symlink() or entry.is_dir())
            )
    except OSError as error:
        raise LoadFailed(_reason(error, repository, "model repository")) from error
    for name in names:
        yield repository / name


def _ambiguous(found: ModelFiles, other: ModelFiles) -> ModelFiles:
    where = f"{_written(other.directory.parent)} and {_written(found.directory.parent)}"
    problem = f"model {shown(found.name)} is in two repositories: {where}"
    return replace(found, versions={}, problem=problem)


def _versions(directory: Path, root: Path, wall_now: float) -> Iterator[tuple[int, VersionFiles]]:
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if _is_version(entry.name)]
    for name in sorted(names, key=int):
        version = directory / name
        files = _Files(root, wall_now)
        try:
            problem = _escape(version, root)
            if not problem:
                if not version.is_dir():
                    continue
                files.add_tree(version)
        except (FileNotFoundError, NotADirectoryError):
            if not version.exists():
                continue
            files.touch()  # files come and go in it
        except (OSError, LoadFailed) as error:
            problem = _reason(error, version)
        yield int(name), VersionFiles(int(name), version, files.stamp, files.age_s, problem)


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal() and name[0] != "0" and int(name) < 2**63


def _escape(path: Path, root: Path) -> str:
    """Say that a path leads out of the repository, if it does. Its parent is known not to."""
    if not path.is_symlink() or _is_below(path, root):
        return ""
    return f"{_written(path.name)} is a link that leads out of the model repository"


def _is_below(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _written(path: Path | str) -> str:
    """Return a path as text that can be sent: a name on disk need not be Unicode."""
    return str(path).encode(errors="backslashreplace").decode()


def _reason(error: OSError | LoadFailed, path: Path, what: str = "") -> str:
    if isinstance(error, LoadFailed):
        return str(error)
    name = f"{what} {_written(path)}" if what else _written(path.name)
    return f"cannot read {name}: {os.strerror(error.errno) if error.errno else error}"


def _read_text(path: Path, most: int, root: Path) -> str | None:
    """Return the text of a file, or None when there is no such file."""
    problem = _escape(path, root)
    if problem:
        raise LoadFailed(problem)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise LoadFailed(f"{path.name} is not a regular file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        return None
    if len(content) > most:
        raise LoadFailed(f"{path.name} has more than {most} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise LoadFailed(f"{path.name} is not UTF-8: {error.reason} at {error.start}") from error


class _Files:
    """What some files look like from outside, and when the last was touched."""

    def __init__(self, root: Path, wall_now: float) -> None:
        self._root = root
        self._wall_now = wall_now
        self._newest = -math.inf
        self._seen = 0
        self._stamps: list[tuple[str, int, int, int]] = []

    @property
    def stamp(self) -> Stamp:
        return tuple(sorted(self._stamps))

    @property
    def age_s(self) -> float:
        if self._wall_now == math.inf:
            return math.inf
        return max(0.0, self._wall_now - self._newest)

    def touch(self) -> None:
        """Note that something has changed just now."""
        self._newest = self._wall_now

    def add_tree(self, directory: Path) -> None:
        """Add every file below a directory; raise `LoadFailed` for what must not be there."""
        self._add(directory, "")
        waiting = [(directory, "")]
        while waiting:
            parent, prefix = waiting.pop()
            for name in sorted(os.listdir(parent)):
                inner = f"{prefix}{name}"
                if self._add(parent / name, inner):
                    waiting.append((parent / name, f"{inner}/"))

    def add_of_model(self, directory: Path, config: str) -> None:
        """Add `config.pbtxt`, and the files beside it and in `warmup/` whose names it has.

        The directory itself counts too: that a file has gone shows nowhere else.
        """
        self._add(directory, "")
        for prefix in ("", f"{WARMUP_DIRECTORY}/"):
            for name in _names(directory / prefix):
                mentioned = name in config and not _is_version(name)
                if mentioned or (name == CONFIG_FILENAME and not prefix):
                    self._add_if_there(directory / prefix / name, f"{prefix}{name}")

    def _add_if_there(self, path: Path, name: str) -> None:
        try:
            self._add(path, name)
        except FileNotFoundError:
            self.touch()

    def _add(self, path: Path, name: str) -> bool:
        """Note a file or a directory, and return whether it is a directory."""
        self._seen += 1
        if self._seen > MAX_FILES or name.count("/") > MAX_DEPTH:
            raise LoadFailed(
                f"{shown(name)} is one too many: a version may have {MAX_FILES} files,"
                f" {MAX_DEPTH} directories deep"
            )
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            self._note_times(status)
            problem = _escape(path, self._root)
            if problem:
                raise LoadFailed(problem)
            status = path.stat()
        self._note_times(status)
        if stat.S_ISDIR(status.st_mode):
            return True
        if not stat.S_ISREG(status.st_mode):
            raise LoadFailed(f"{shown(name)} is not a regular file")
        self._stamps.append((name, status.st_size, status.st_mtime_ns, status.st_ino))
        return False

    def _note_times(self, status: os.stat_result) -> None:
        # A copied mtime may lie in the future; ctime is the local clock's, or soon will be.
        self._newest = max(self._newest, min(status.st_ctime, self._wall_now))
        if status.st_mtime <= self._wall_now:
            self._newest = max(self._newest, status.st_mtime)


def _names(directory: Path) -> Iterable[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return ()
