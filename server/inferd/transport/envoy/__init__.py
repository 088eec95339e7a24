"""The transport that Envoy hosts: gRPC spoken from an ASGI application.

Envoy is the process and Python is embedded in it (`pyvoy`): connections, HTTP/2, flow control
and TLS are Envoy's, and what reaches Python is one coroutine per call. `bootstrap` is Envoy's
configuration, `launch` becomes Envoy, `application` is what Envoy then calls.
"""
