"""The wire: gRPC in `grpcio`, metrics and health over HTTP in `http`. It knows no service."""
