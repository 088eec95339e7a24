"""Where the models are: the part of a Triton model repository that the harness needs."""

from pathlib import Path


def newest_version(model: Path) -> Path | None:
    """Return the directory of the highest numeric version that holds a `model.onnx`."""
    versions = [d for d in model.iterdir() if d.name.isdigit() and (d / "model.onnx").is_file()]
    return max(versions, key=lambda d: int(d.name), default=None)


def model_files(repository: Path) -> dict[str, Path]:
    """Return the newest `model.onnx` of every model in the repository, by model name."""
    models = sorted(d for d in repository.iterdir() if d.is_dir())
    newest = {model.name: newest_version(model) for model in models}
    return {name: version / "model.onnx" for name, version in newest.items() if version}
