"""Use cases behind the wire: what a method does, and what happens to every call.

The vocabulary here is protobuf messages, bytes and `Call`; which transport carried them is
not known.
"""
