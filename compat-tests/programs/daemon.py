#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""daemon.py: what python3-systemd makes of the sd-daemon calls.

Starts itself anew with a listening socket as descriptor 3, LISTEN_FDS and LISTEN_PID. Then it says what it was given,
answers one connection on it, and tells what it does to a socket of its own, where $NOTIFY_SOCKET points; prints what
arrives there.
"""

import os
import socket
import sys

from systemd import daemon


def activate():
    listening = socket.create_server(("127.0.0.1", 0))
    os.dup2(listening.fileno(), 3, inheritable=True)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execv(sys.executable, [sys.executable, *sys.argv])


def main():
    if "LISTEN_FDS" not in os.environ:
        activate()
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(b"\0evenkeel-notified")
    os.environ["NOTIFY_SOCKET"] = "@evenkeel-notified"

    given = daemon.listen_fds()
    print(f"given {given}, inet: {daemon.is_socket_inet(given[0], socket.AF_INET, socket.SOCK_STREAM, True)}, "
          f"fifo: {daemon.is_fifo(given[0])}")
    print(f"told: {daemon.notify('READY=1')}, {notified.recv(100)}")

    listening = socket.socket(fileno=given[0])
    client = socket.create_connection(listening.getsockname())
    served, _ = listening.accept()
    served.sendall(b"served")
    print(f"client: {client.recv(100)}")

    print(f"told: {daemon.notify('STATUS=done', unset_environment=True)}, {notified.recv(100)}")
    print(f"told: {daemon.notify('STATUS=nobody')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
