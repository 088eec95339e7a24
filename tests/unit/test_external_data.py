from collections.abc import Callable
from pathlib import Path

import pytest

from inferd.errors import LoadFailed
from inferd.runtime import external_data
from inferd.runtime.external_data import check_external_data

# ONNX messages by hand, with the numbers of onnx.proto3: what is to be refused, no tool writes.


def number(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def field(tag: int, content: bytes) -> bytes:
    return number(tag << 3 | 2) + number(len(content)) + content


def entry(key: str, value: str) -> bytes:
    return field(13, field(1, key.encode()) + field(2, value.encode()))


def tensor(location: str, *, used: bool = True, **others: str) -> bytes:
    entries = {"location": location, **others}
    external = b"".join(entry(key, value) for key, value in entries.items())
    return field(8, b"weights") + external + (number(14 << 3) + b"\x01" if used else b"")


def model(graph: bytes) -> bytes:
    return number(1 << 3) + b"\x09" + field(7, graph)


def with_initializer(tensor: bytes) -> bytes:
    return model(field(5, tensor))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "1/model.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        (path.parent / "weights.bin").write_bytes(b"0123456789")
        return path

    return write


Write = Callable[[bytes], Path]


def refusal(path: Path) -> str:
    with pytest.raises(LoadFailed) as refused:
        check_external_data(path)
    return str(refused.value)


def test_a_model_without_external_data_is_as_large_as_its_file(write: Write) -> None:
    assert check_external_data(write(b"anything at all")) == 15


def test_external_data_counts_once(write: Write) -> None:
    content = model(field(5, tensor("weights.bin")) + field(5, tensor("./weights.bin")))

    assert check_external_data(write(content)) == len(content) + 10


@pytest.mark.parametrize(
    "location",
    [
        "../weights.bin",
        "/etc/passwd",
        "a/../../b",
        "",
        "..",
        "a\\b",
        "C:\\x",
        "weights.bin\0",
        "x" * 5000,
        "*/_ORT_MEM_ADDR_/*",
    ],
    ids=lambda location: ascii(location[:20]),
)
def test_external_data_must_be_below_the_models_directory(write: Write, location: str) -> None:
    for used in (True, False):
        assert "is not a relative path below the model's directory" in refusal(
            write(with_initializer(tensor(location, used=used)))
        )


def test_links_must_not_lead_out_of_the_directory(write: Write, tmp_path: Path) -> None:
    path = write(with_initializer(tensor("data/weights.bin")))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/weights.bin").write_bytes(b"0123")
    (path.parent / "data").symlink_to(tmp_path / "elsewhere")

    assert refusal(path) == (
        "model.onnx: its external data 'data/weights.bin' leads out of the model's directory"
    )
    assert check_external_data(path, within=tmp_path) == path.stat().st_size + 4


def test_external_data_must_be_there(write: Write) -> None:
    assert refusal(write(with_initializer(tensor("missing.bin")))) == (
        "model.onnx: its external data 'missing.bin' is missing"
    )


def test_data_that_nobody_looks_for_may_be_missing(write: Write) -> None:
    content = with_initializer(tensor("missing.bin", used=False))

    assert check_external_data(write(content)) == len(content)


def test_external_data_must_be_all_there(write: Write) -> None:
    exact = with_initializer(tensor("weights.bin", offset="4", length="6"))
    beyond = with_initializer(tensor("weights.bin", offset="5", length="6"))
    nonsense = with_initializer(tensor("weights.bin", offset="four"))

    assert check_external_data(write(exact)) == len(exact) + 10
    assert "has 10 bytes, but 11 are needed" in refusal(write(beyond))
    assert "has an offset or a length that is no number" in refusal(write(nonsense))


def test_a_tensor_that_is_elsewhere_but_not_where_is_refused(write: Write) -> None:
    mention = field(8, b"location")
    content = with_initializer(mention + entry("offset", "0") + number(14 << 3) + b"\x01")

    assert "has no location" in refusal(write(content))


OUTSIDE = tensor("../secret")
ATTRIBUTE = field(5, OUTSIDE)
SPARSE = field(1, OUTSIDE)
GRAPH = field(5, OUTSIDE)


@pytest.mark.parametrize(
    "content",
    [
        model(field(5, OUTSIDE)),
        model(field(15, field(1, OUTSIDE))),
        model(field(15, field(2, OUTSIDE))),
        model(field(1, field(5, field(5, OUTSIDE)))),
        model(field(1, field(5, field(10, OUTSIDE)))),
        model(field(1, field(5, field(6, GRAPH)))),
        model(field(1, field(5, field(11, GRAPH)))),
        model(field(1, field(5, field(22, SPARSE)))),
        model(field(1, field(5, field(23, SPARSE)))),
        model(field(1, field(5, field(6, field(1, field(5, field(6, GRAPH))))))),
        field(20, field(1, GRAPH)),
        field(20, field(2, GRAPH)),
        field(25, field(7, field(5, ATTRIBUTE))),
        field(25, field(11, ATTRIBUTE)),
        model(b"") + model(GRAPH),
        model(field(5, tensor("weights.bin")) + GRAPH),
        with_initializer(tensor("weights.bin") + entry("location", "../secret")),
        with_initializer(entry("location", "../secret") + tensor("weights.bin")),
        # An entry with two values: whichever counts.
        with_initializer(
            field(13, field(1, b"location") + field(2, b"../secret") + field(2, b"weights.bin"))
        ),
        with_initializer(
            field(13, field(2, b"../secret") + field(1, b"offset") + field(1, b"location"))
        ),
        # Numbers may be longer than they need be.
        b"\xba\x80\x00" + number(len(GRAPH)) + GRAPH,
    ],
    ids=range(21),
)
def test_wherever_a_tensor_may_be_it_is_found(write: Write, content: bytes) -> None:
    assert "'../secret' is not a relative path" in refusal(write(content))


def test_the_word_alone_is_no_external_data(write: Write) -> None:
    content = model(
        field(10, b"the location of everything")
        + field(5, field(8, b"location") + field(9, b"../location"))
        + field(1, field(3, b"location"))
    )

    assert check_external_data(write(content)) == len(content)


@pytest.mark.parametrize(
    "content",
    [
        with_initializer(OUTSIDE)[:-2],
        b"location",
        b"\x3a\xff\xff\xff\xff\x7f" + GRAPH,
        b"\x3b" + GRAPH + b"\x3c",
        b"\x00" + model(GRAPH),
        b"\xff" * 11 + b"location",
        b"\xba\x80\x80\x80\x80\x01" + number(len(GRAPH)) + GRAPH,
    ],
    ids=["cut", "text", "length", "group", "zero", "varint", "tag"],
)
def test_a_file_in_which_it_cannot_be_told_is_refused(write: Write, content: bytes) -> None:
    assert refusal(write(content)).startswith("model.onnx is not a valid ONNX file: ")


def test_graphs_in_graphs_have_an_end(write: Write) -> None:
    graph = GRAPH
    for _ in range(200):
        graph = field(1, field(5, field(6, graph)))

    assert "nested too deeply" in refusal(write(model(graph)))


def test_files_that_are_no_models_are_refused(write: Write, tmp_path: Path) -> None:
    assert refusal(write(b"")) == "model.onnx is empty"
    assert "ORT format" in refusal(write(b"\x00\x00\x00\x00ORTM location"))
    assert refusal(tmp_path / "gone.onnx") == ("cannot read gone.onnx: No such file or directory")
    assert refusal(tmp_path) == f"cannot read {tmp_path.name}: Is a directory"


def test_a_file_full_of_the_word_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_data, "MAX_MENTIONS", 10)

    assert check_external_data(write(model(field(10, b"location" * 10))))
    assert "more external data than can be checked" in refusal(write(b"location" * 11))
