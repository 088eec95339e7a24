"""gRPC by `grpc.aio`: runs everywhere. The only package that imports `grpc`."""

from inferd.transport.grpcio.server import listening

__all__ = ["listening"]
