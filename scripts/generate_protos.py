"""Generate `*_pb2.py` from the protos of the server and of the examples. `--check` compares.

The modules of `oip` register in `inferd.oip.POOL` and not in protobuf's default pool;
`inferd/oip/__init__.py` says why. Those of `v1` are ours alone, and are in the default pool so
that other protos can import them.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
#: Where protos are, and where their modules go: each under the path that they are imported by.
PLACES = {PROTOS: ROOT / "server", ROOT / "examples": ROOT / "examples"}
DEFAULT_POOL = "_descriptor_pool.Default()"


def generate(source: Path, target: Path) -> list[Path]:
    """Run protoc on what is in `source`, and return the files written, relative to `target`."""
    sources = sorted(str(path) for path in source.rglob("*.proto"))
    includes = [f"-I{source}", f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]
    outputs = [f"--python_out={target}", f"--pyi_out={target}"]
    if protoc.main(["protoc", *includes, *outputs, *sources]) != 0:
        raise SystemExit("protoc failed")
    for module in target.rglob("oip/*_pb2.py"):
        use_own_pool(module)
    return sorted(path.relative_to(target) for path in target.rglob("*_pb2.py*"))


def use_own_pool(module: Path) -> None:
    """Make a generated module register its file in `inferd.oip.POOL`."""
    text = module.read_text()
    if text.count(DEFAULT_POOL) != 1:
        raise SystemExit(f"{module.name}: protoc's output has changed its shape")
    text = text.replace(DEFAULT_POOL, "_POOL")
    marker = "# @@protoc_insertion_point(imports)\n"
    module.write_text(text.replace(marker, f"{marker}from inferd.oip import POOL as _POOL\n"))


def main() -> int:
    """Write the modules, or with `--check` report those that differ and return 1."""
    checking = "--check" in sys.argv[1:]
    stale = [module for place in PLACES.items() for module in _stale(*place, write=not checking)]
    if not checking:
        return 0
    for module in stale:
        print(f"{module.relative_to(ROOT)} does not match its proto: run `make generate`")
    return 1 if stale else 0


def _stale(source: Path, target: Path, *, write: bool) -> list[Path]:
    """Return the modules in `target` that are not as they should be; `write` them, if asked."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        stale = [
            name
            for name in generate(source, fresh)
            if not (target / name).exists()
            or (target / name).read_bytes() != (fresh / name).read_bytes()
        ]
        for name in stale if write else ():
            (target / name).write_bytes((fresh / name).read_bytes())
    return [target / name for name in stale]


if __name__ == "__main__":
    sys.exit(main())
