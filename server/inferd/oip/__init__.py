"""The Open Inference Protocol's messages, generated from `protos/inferd/oip` by `make generate`.

They live in a descriptor pool of their own: other packages (tritonclient, kserve) ship
the same full names under other file names, and one pool refuses to hold both.
"""

from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()

__all__ = ["POOL"]
