#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""loop.py [LIBRARY]: a Python program on sd-event, through ctypes.

LIBRARY is what the calls are looked up in: a name or path for dlopen, which means that library and what it needs itself,
whatever was preloaded. Without it, what is in the process already is asked: a preloaded library, or nothing at all.

Prints which file sd_event_new was found in, then runs a loop: numbers to and fro over a socket pair, a timer that arms
itself, a signal, a child process; callbacks are Python functions. Ends with the loop's exit code, 42; or with 1, and says
which call failed, and how.
"""

import ctypes
import errno
import os
import signal
import socket
import struct
import sys

ROUNDS, TICKS, CODE = 1000, 20, 42
EPOLLIN, CLOCK_MONOTONIC, ONESHOT, WEXITED = 1, 1, -1, 4

IoHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)
TimeHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p)
SignalHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
ChildHandler = SignalHandler


class Found(ctypes.Structure):
    """What dladdr tells of an address."""

    _fields_ = [("file", ctypes.c_char_p), ("base", ctypes.c_void_p), ("name", ctypes.c_char_p), ("at", ctypes.c_void_p)]


def file_of(function):
    found = Found()
    address = ctypes.cast(function, ctypes.c_void_p)
    ctypes.CDLL(None).dladdr(address, ctypes.byref(found))
    return os.path.basename(found.file.decode())


class Program:
    def __init__(self, library):
        self.library = library
        self.event = ctypes.c_void_p()
        self.ours, self.theirs = socket.socketpair()
        self.rounds = self.ticks = self.signals = 0
        self.child_ended = False
        # ctypes does not own callbacks: they live as long as the program.
        self.on_own = IoHandler(self.echo)
        self.on_other = IoHandler(self.count)
        self.on_tick = TimeHandler(self.tick)
        self.on_signal = SignalHandler(self.signalled)
        self.on_child = ChildHandler(self.child)

    def call(self, name, *arguments):
        r = getattr(self.library, name)(*arguments)
        if r < 0:
            sys.exit(f"{name}: {errno.errorcode[-r]}")
        return r

    def echo(self, _source, _fd, _revents, _userdata):
        (number,) = struct.unpack("I", self.ours.recv(4))
        self.ours.send(struct.pack("I", number + 1))
        return 0

    def count(self, _source, _fd, _revents, _userdata):
        (number,) = struct.unpack("I", self.theirs.recv(4))
        assert number == 2 * self.rounds + 1
        self.rounds += 1
        if self.rounds < ROUNDS:
            self.theirs.send(struct.pack("I", 2 * self.rounds))
        return self.leave_when_done()

    def tick(self, source, _usec, _userdata):
        self.ticks += 1
        if self.ticks < TICKS:
            self.arm(ctypes.c_void_p(source))
        return self.leave_when_done()

    def arm(self, timer):
        self.call("sd_event_source_set_time_relative", timer, ctypes.c_uint64(1000))
        self.call("sd_event_source_set_enabled", timer, ONESHOT)

    def signalled(self, _source, _info, _userdata):
        self.signals += 1
        return self.leave_when_done()

    def child(self, _source, _info, _userdata):
        self.child_ended = True
        return self.leave_when_done()

    def leave_when_done(self):
        if self.rounds == ROUNDS and self.ticks == TICKS and self.signals == 1 and self.child_ended:
            self.call("sd_event_exit", self.event, CODE)
        return 0

    def add_sources(self):
        timer = ctypes.c_void_p()
        loop = self.event
        self.call("sd_event_add_io", loop, None, self.ours.fileno(), EPOLLIN, self.on_own, None)
        self.call("sd_event_add_io", loop, None, self.theirs.fileno(), EPOLLIN, self.on_other, None)
        self.call("sd_event_add_signal", loop, None, int(signal.SIGUSR1), self.on_signal, None)
        self.call("sd_event_add_time_relative", loop, ctypes.byref(timer), CLOCK_MONOTONIC, ctypes.c_uint64(0),
                  ctypes.c_uint64(1), self.on_tick, None)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        self.call("sd_event_add_child", loop, None, pid, WEXITED, self.on_child, None)
        return timer

    def run(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD])
        self.call("sd_event_default", ctypes.byref(self.event))
        timer = self.add_sources()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.theirs.send(struct.pack("I", 0))
        code = self.call("sd_event_loop", self.event)
        self.library.sd_event_source_unref(timer)
        self.library.sd_event_unref(self.event)
        print(f"{self.rounds} rounds, {self.ticks} ticks, {self.signals} signal, a child")
        return code


def main():
    library = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else None)
    if not hasattr(library, "sd_event_new"):
        sys.exit("no sd-event here")
    # Pointers are wider than the int that ctypes takes everything for.
    for name in ("sd_event_source_unref", "sd_event_unref"):
        getattr(library, name).restype = ctypes.c_void_p
    print(f"sd-event is in {file_of(library.sd_event_new)}", flush=True)
    return Program(library).run()


if __name__ == "__main__":
    sys.exit(main())
