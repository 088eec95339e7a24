"""Model serving over gRPC for decisions that are worthless when late."""

__version__ = "0.1.0"
