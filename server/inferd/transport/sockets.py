"""Whether an address can be listened on, and what to say when it cannot."""

import errno
import os
import socket


def check_free(host: str, port: int, *, reuse_port: bool) -> None:
    """Return when `host:port` can be listened on now.

    Raises:
        OSError: it cannot; the message names the address and says why.
    """
    cause = _why_not(host, port, reuse_port)
    if cause:
        raise refused(host, port, cause)


def refused(host: str, port: int, cause: int = 0) -> OSError:
    """Return the error for an address that could not be listened on.

    `cause` is an `errno`, for servers that know it; the others' is found out.
    """
    cause = cause or _why_not(host, port, reuse_port=False) or errno.EADDRINUSE
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return OSError(cause, f"cannot listen on {where}: {os.strerror(cause).lower()}")


def _why_not(host: str, port: int, reuse_port: bool) -> int:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(address)
            probe.listen()
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return 0
