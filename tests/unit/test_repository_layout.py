import errno
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from inferd.errors import InvalidRequest, LoadFailed
from inferd.inference.repository.layout import (
    ModelFiles,
    VersionFiles,
    name_problem,
    read_labels,
    require_unchanged,
    scan,
)
from inferd.inference.repository.overrides import materialise

LATER = 4_000_000_000.0
"""Unix seconds, long after anything a test writes."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    return path


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def models(*repositories: Path, wall_now: float = LATER) -> Mapping[str, ModelFiles]:
    return scan(repositories, wall_now=wall_now).models


def test_models_and_their_versions_are_found(repository: Path) -> None:
    write(repository / "digits/1/model.onnx")
    write(repository / "digits/10/model.onnx")
    write(repository / "digits/config.pbtxt", "max_batch_size: 4")
    write(repository / "plain/2/model.onnx")

    found = models(repository)

    assert sorted(found) == ["digits", "plain"]
    assert list(found["digits"].versions) == [1, 10]
    assert found["digits"].config == "max_batch_size: 4"
    assert found["plain"].config is None
    version = found["plain"].versions[2]
    assert version.model_path() == repository / "plain/2/model.onnx"


def test_what_is_not_a_version_or_a_model_is_passed_over(repository: Path) -> None:
    for name in ("0/x", "01/x", "-1/x", "1.5/x", "latest/x", "\u0661/x", ".hidden/x", "3"):
        write(repository / "m" / name)
    write(repository / ".git/1/model.onnx")
    write(repository / "README.md")

    found = models(repository)

    assert list(found) == ["m"]
    assert dict(found["m"].versions) == {}


@pytest.mark.parametrize(
    ("file", "filename"),
    [
        ("model.onnx", ""),
        ("model.onnx/model.onnx", ""),
        ("other.onnx", "other.onnx"),
        ("other.onnx/other.onnx", "other.onnx"),
        ("other.onnx/model.onnx", "other.onnx"),
    ],
)
def test_the_model_is_a_file_or_in_a_directory_so_named(
    repository: Path, file: str, filename: str
) -> None:
    path = write(repository / "m/1" / file)

    assert models(repository)["m"].versions[1].model_path(filename) == path


def test_a_version_without_a_model_says_so(repository: Path) -> None:
    write(repository / "m/1/weights.bin")

    with pytest.raises(LoadFailed, match=r"version 1 has no model\.onnx"):
        models(repository)["m"].versions[1].model_path()


class TestStamps:
    @pytest.fixture
    def version(self, repository: Path) -> Path:
        write(repository / "m/config.pbtxt", 'output { label_filename: "labels.txt" }')
        write(repository / "m/labels.txt")
        write(repository / "m/README.md")
        return write(repository / "m/1/model.onnx/model.onnx")

    def stamp(self, repository: Path) -> object:
        return models(repository)["m"].stamp_of(1)

    def test_a_stamp_stays_while_nothing_changes(self, repository: Path, version: Path) -> None:
        assert self.stamp(repository) == self.stamp(repository)

    @pytest.mark.parametrize(
        ("name", "seen"),
        [
            ("1/model.onnx/model.onnx", True),
            ("1/model.onnx/weights.bin", True),
            ("config.pbtxt", True),
            ("labels.txt", True),
            ("README.md", False),
            ("warmup/unused", False),
            ("2/model.onnx", False),
        ],
    )
    def test_a_stamp_changes_with_what_a_version_is_loaded_from(
        self, repository: Path, version: Path, name: str, seen: bool
    ) -> None:
        before = self.stamp(repository)

        write(repository / "m" / name, 'output { label_filename: "labels.txt" } # changed')

        assert (self.stamp(repository) != before) == seen

    def test_a_file_put_in_the_place_of_another_is_seen(
        self, repository: Path, version: Path
    ) -> None:
        before = self.stamp(repository)
        times = version.stat().st_atime_ns, version.stat().st_mtime_ns

        other = write(repository / "m/1/new", version.read_text())
        os.utime(other, ns=times)
        other.replace(version)

        assert self.stamp(repository) != before

    def test_warm_up_data_counts_when_the_configuration_names_it(
        self, repository: Path, version: Path
    ) -> None:
        data = write(repository / "m/warmup/labels.txt")
        before = self.stamp(repository)

        data.write_text("longer")

        assert self.stamp(repository) != before


class TestAges:
    def test_the_age_is_that_of_the_newest_file(self, repository: Path) -> None:
        newest = write(repository / "m/1/model.onnx/model.onnx").stat().st_ctime
        write(repository / "m/2/model.onnx")
        (repository / "m/1").touch()

        model = models(repository, wall_now=newest + 10.0)["m"]

        assert model.versions[1].age_s == pytest.approx(10.0, abs=5.0)
        assert model.age_s_of(1) <= min(model.versions[1].age_s, model.config_age_s)

    def test_a_copied_time_does_not_make_a_fresh_file_old(self, repository: Path) -> None:
        path = write(repository / "m/1/model.onnx")
        os.utime(path, (0, 0))

        model = models(repository, wall_now=path.stat().st_ctime + 10.0)["m"]

        assert model.versions[1].age_s <= 10.0

    def test_a_time_in_the_future_does_not_keep_a_version_young(self, repository: Path) -> None:
        path = write(repository / "m/1/model.onnx")
        now = path.stat().st_ctime + 10.0
        os.utime(path, (now + 1e6, now + 1e6))

        assert models(repository, wall_now=now)["m"].versions[1].age_s > 5.0

    def test_when_the_clock_was_set_back_everything_is_fresh(self, repository: Path) -> None:
        write(repository / "m/1/model.onnx")

        assert models(repository, wall_now=1.0)["m"].versions[1].age_s == 0.0

    def test_a_configuration_that_has_just_gone_makes_every_version_fresh(
        self, repository: Path
    ) -> None:
        write(repository / "m/1/model.onnx")
        write(repository / "m/config.pbtxt").unlink()
        touched = (repository / "m").stat().st_mtime

        assert models(repository, wall_now=touched + 2.0)["m"].age_s_of(1) <= 2.0

    def test_a_fresh_configuration_makes_every_version_fresh(self, repository: Path) -> None:
        old = ModelFiles("m", versions={1: VersionFiles(1, age_s=100.0)}, config_age_s=0.5)

        assert old.age_s_of(1) == 0.5


class TestLinks:
    def test_links_within_the_repository_are_followed(self, repository: Path) -> None:
        write(repository / ".data/1/model.onnx")
        (repository / "m").mkdir()
        (repository / "m/1").symlink_to("../.data/1")
        write(repository / "m/2/big.onnx")
        (repository / "m/2/model.onnx").symlink_to("big.onnx")

        model = models(repository)["m"]

        assert [each.problem for each in model.versions.values()] == ["", ""]
        assert model.versions[1].model_path().read_text() == "x"

    def test_a_model_that_leads_out_of_the_repository_is_refused(
        self, repository: Path, tmp_path: Path
    ) -> None:
        write(tmp_path / "elsewhere/1/model.onnx")
        (repository / "m").symlink_to(tmp_path / "elsewhere")

        model = models(repository)["m"]

        assert model.problem == "m is a link that leads out of the model repository"
        assert not model.versions

    @pytest.mark.parametrize("link", ["m/1", "m/1/model.onnx", "m/1/data/weights.bin"])
    def test_a_version_that_leads_out_of_the_repository_is_refused(
        self, repository: Path, tmp_path: Path, link: str
    ) -> None:
        write(repository / "m/2/model.onnx")
        path = repository / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(write(tmp_path / "elsewhere/model.onnx"))

        model = models(repository)["m"]

        assert not model.problem
        assert model.versions[2].problem == ""
        with pytest.raises(LoadFailed, match="is a link that leads out of the model repository"):
            model.versions[1].model_path()

    @pytest.mark.parametrize("name", ["config.pbtxt", "labels.txt"])
    def test_nothing_else_is_read_outside_either(
        self, repository: Path, tmp_path: Path, name: str
    ) -> None:
        write(repository / "m/config.pbtxt", "# labels.txt")
        (repository / "m" / name).unlink(missing_ok=True)
        (repository / "m" / name).symlink_to(write(tmp_path / "secret"))

        assert "leads out" in models(repository)["m"].problem

    def test_links_that_go_round_in_a_circle_are_a_problem(self, repository: Path) -> None:
        write(repository / "m/1/model.onnx")
        (repository / "m/1/again").symlink_to(".")
        (repository / "m/2").symlink_to("2")

        model = models(repository)["m"]

        assert "directories deep" in model.versions[1].problem
        assert list(model.versions) == [1]


class TestProblems:
    def test_a_missing_repository_is_named(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"

        with pytest.raises(LoadFailed) as refusal:
            models(missing)

        assert (
            str(refusal.value)
            == f"cannot read model repository {missing}: No such file or directory"
        )

    def test_a_repository_must_be_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(LoadFailed, match=r"repository .*/file: Not a directory"):
            models(write(tmp_path / "file"))

    def test_a_name_in_two_repositories_is_a_problem_of_that_model(self, tmp_path: Path) -> None:
        write(tmp_path / "a/twice/1/model.onnx")
        write(tmp_path / "b/twice/1/model.onnx")
        write(tmp_path / "b/once/1/model.onnx")

        found = models(tmp_path / "a", tmp_path / "b")

        assert found["twice"].problem == (
            f"model 'twice' is in two repositories: {tmp_path}/a and {tmp_path}/b"
        )
        assert not found["twice"].versions
        assert not found["once"].problem

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"\xff", "config.pbtxt is not UTF-8: invalid start byte at 0"),
            (b"#" * (1024 * 1024 + 1), "config.pbtxt has more than 1048576 bytes"),
        ],
        ids=["bytes", "long"],
    )
    def test_a_configuration_that_is_no_text_is_a_problem(
        self, repository: Path, content: bytes, problem: str
    ) -> None:
        write(repository / "m/config.pbtxt").write_bytes(content)

        assert models(repository)["m"].problem == problem

    def test_a_pipe_is_not_opened(self, repository: Path) -> None:
        write(repository / "m/1/model.onnx")
        os.mkfifo(repository / "m/config.pbtxt")
        (repository / "n/1").mkdir(parents=True)
        os.mkfifo(repository / "n/1/model.onnx")

        found = models(repository)

        assert found["m"].problem == "config.pbtxt is not a regular file"
        assert found["n"].versions[1].problem == "'model.onnx' is not a regular file"

    def test_a_name_that_is_no_text_is_a_problem(self, repository: Path) -> None:
        (Path(os.fsdecode(os.fsencode(repository) + b"/\xff"))).mkdir()

        (model,) = models(repository).values()

        assert model.name.isascii()
        assert "printable" in model.problem

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../m", "a\\b", "a\0", ".m", "a\n"])
    def test_a_model_is_called_like_a_directory(self, name: str) -> None:
        assert name_problem(name).startswith("model name must not") or "\n" in name
        assert name_problem(name)

    def test_ordinary_names_are_fine(self) -> None:
        assert [name_problem(name) for name in ("digits", "m\u00f6del 2", "a.b-c_d", "..m")] == [
            "",
            "",
            "",
            "model name must not start with a dot",
        ]


class TestChangesDuringTheScan:
    """Whatever goes away between two looks is not there; nothing is raised for it."""

    def test_a_model_may_be_deleted_at_any_moment(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(repository / "m/config.pbtxt", "# labels.txt")
        write(repository / "m/labels.txt")
        write(repository / "m/1/model.onnx")
        write(repository / "m/2/model.onnx")
        deleted = repository.parent / "deleted"
        lstat, listdir = Path.lstat, os.listdir
        calls = delete_at = 0

        def look() -> None:
            nonlocal calls
            calls += 1
            if calls == delete_at:
                (repository / "m").rename(deleted)

        def watched_lstat(path: Path) -> os.stat_result:
            look()
            return lstat(path)

        def watched_listdir(path: Path) -> list[str]:
            look()
            return listdir(path)

        monkeypatch.setattr(Path, "lstat", watched_lstat)
        monkeypatch.setattr(os, "listdir", watched_listdir)

        for delete_at in range(1, 14):
            calls = 0
            assert all(not model.problem for model in models(repository).values())
            assert calls >= delete_at
            deleted.rename(repository / "m")

    def test_a_configuration_that_is_being_replaced_is_fresh(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(repository / "m/1/model.onnx")
        write(repository / "m/config.pbtxt")
        lstat = Path.lstat

        def gone(path: Path) -> os.stat_result:
            if path.name == "config.pbtxt":
                raise FileNotFoundError(errno.ENOENT, "gone")
            return lstat(path)

        monkeypatch.setattr(Path, "lstat", gone)

        assert models(repository)["m"].age_s_of(1) == 0.0

    def test_a_version_that_is_being_deleted_is_fresh(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(repository / "m/1/model.onnx")
        monkeypatch.setattr(os, "listdir", lambda path: ["gone"])

        assert models(repository)["m"].versions[1].age_s == 0.0


class TestLabels:
    def test_one_label_per_line(self, tmp_path: Path) -> None:
        write(tmp_path / "m/labels.txt", "zero\n\nvery much\n")

        assert read_labels(tmp_path / "m", "labels.txt") == ("zero", "", "very much")

    def test_an_empty_file_has_none(self, tmp_path: Path) -> None:
        write(tmp_path / "m/labels.txt", "")

        assert read_labels(tmp_path / "m", "labels.txt") == ()

    @pytest.mark.parametrize(
        "name",
        ["../other/labels.txt", "/etc/passwd", "link", "d/labels.txt", "missing", "d", "a" * 300],
    )
    def test_labels_are_read_in_the_models_directory_only(self, tmp_path: Path, name: str) -> None:
        outside = write(tmp_path / "outside/labels.txt")
        write(tmp_path / "repository/other/labels.txt")
        (tmp_path / "repository/m").mkdir()
        (tmp_path / "repository/m/link").symlink_to(outside)
        (tmp_path / "repository/m/d").symlink_to(outside.parent)

        with pytest.raises(LoadFailed):
            read_labels(tmp_path / "repository/m", name)


class TestFilesThatCameByRpc:
    def test_they_look_like_any_other_model_and_have_settled(self, tmp_path: Path) -> None:
        files = {"file:1/model.onnx": b"one", "2/model.onnx/weights.bin": b"two", "l.txt": b"a\nb"}

        model = materialise("m", files, root=tmp_path)

        assert model.directory == tmp_path / "m"
        assert list(model.versions) == [1, 2]
        assert model.versions[1].model_path().read_bytes() == b"one"
        assert model.age_s_of(1) == math.inf
        assert read_labels(model.directory, "l.txt") == ("a", "b")

    @pytest.mark.parametrize(
        "name",
        [
            "file:../1/model.onnx",
            "/1/model.onnx",
            "1/../../x",
            "1//x",
            "",
            "a\0",
            "1\\x",
            "config.pbtxt",
            "1" + "/a" * 20,
        ],
    )
    def test_a_name_must_stay_in_the_models_directory(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            materialise("m", {"1/model.onnx": b"", name: b""}, root=tmp_path)

        assert refusal.value.violations[0].field == "parameters"
        assert not list(tmp_path.iterdir())

    def test_a_model_must_be_called_like_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="path traversal"):
            materialise("../m", {"1/model.onnx": b""}, root=tmp_path)

    def test_there_must_be_a_version(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="no version"):
            materialise("m", {"model.onnx": b""}, root=tmp_path)

    def test_files_that_cannot_be_written_are_a_failed_load(self, tmp_path: Path) -> None:
        with pytest.raises(LoadFailed, match="cannot keep the files of 'm'"):
            materialise("m", {"1/model.onnx": b"", "1/model.onnx/x": b""}, root=tmp_path)


@pytest.mark.parametrize("change", ["touched", "grown", "added", "gone"])
def test_a_version_that_does_not_look_as_it_did_is_not_the_same(
    repository: Path, change: str
) -> None:
    path = write(repository / "m/1/model.onnx")
    files = models(repository)["m"].versions[1]
    require_unchanged(files, root=repository)

    match change:
        case "touched":
            os.utime(path, ns=(1, 1))
        case "grown":
            path.write_text("longer")
        case "added":
            write(repository / "m/1/weights.bin")
        case "gone":
            path.unlink()

    with pytest.raises(LoadFailed, match="files have changed since it was loaded"):
        require_unchanged(files, root=repository)


def test_a_version_whose_directory_has_gone_says_so(repository: Path) -> None:
    write(repository / "m/1/model.onnx")
    files = models(repository)["m"].versions[1]
    shutil.rmtree(repository / "m")

    with pytest.raises(LoadFailed, match="cannot read 1: No such file or directory"):
        require_unchanged(files, root=repository)
