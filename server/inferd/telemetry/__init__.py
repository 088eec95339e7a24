"""What can be seen from outside: counts and durations, and the spans of sampled calls.

The hot path only adds to plain integers and lists (`statistics`, `rpc`); whoever asks, the
`ModelStatistics` RPC or Prometheus (`metrics`), reads them then and pays then.
"""
