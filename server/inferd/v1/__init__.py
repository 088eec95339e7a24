"""The messages of inferd's own services, generated from `protos/inferd/v1` by `make generate`."""
