"""The Open Inference Protocol v2 with Triton's extensions: the model-level API."""

from inferd.services.open_inference.service import OpenInference

__all__ = ["OpenInference"]
