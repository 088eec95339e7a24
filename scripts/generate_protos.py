"""Generate `server/inferd/{oip,v1}/*_pb2.py` from `protos/`. With `--check`, only compare.

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
TARGET = ROOT / "server"
DEFAULT_POOL = "_descriptor_pool.Default()"


def generate(target: Path) -> list[Path]:
    """Run protoc into `target` and return the files written, relative to it."""
    sources = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    includes = [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]
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
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        names = generate(fresh)
        stale = [
            name
            for name in names
            if not (TARGET / name).exists()
            or (TARGET / name).read_bytes() != (fresh / name).read_bytes()
        ]
        if "--check" in sys.argv[1:]:
            for name in stale:
                print(f"server/{name} does not match its proto: run `make generate`")
            return 1 if stale else 0
        for name in stale:
            (TARGET / name).write_bytes((fresh / name).read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
