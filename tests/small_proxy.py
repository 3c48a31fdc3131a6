"""Small real servers on the loopback: a proxy that takes note of who is asked for, and opens no
tunnel; and a line that breaks.
"""

from __future__ import annotations

import contextlib
import math
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy(ThreadingHTTPServer):
    """What was asked of it: "repo.anaconda.com:443" for a tunnel, the whole URL for plain http."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self._refuse()

    def do_GET(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxying() -> Iterator[Proxy]:
    """A proxy on a free port; gone when the block ends."""
    proxy = Proxy()
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class Relay(socketserver.ThreadingTCPServer):
    """A line to a server on the loopback that breaks for good once so many bytes went there."""

    daemon_threads = True

    def __init__(self, port: int, breaks_after: float) -> None:
        super().__init__(("127.0.0.1", 0), _Line)
        self.onward, self.breaks_after = port, breaks_after
        self.there = self.back = 0
        """Bytes that went to the server, and that came from it."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def broken(self) -> bool:
        return self.there >= self.breaks_after


class _Line(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # one end of it is gone
            self._relay()

    def _relay(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.onward)) as onward:
            answers = threading.Thread(target=self._answers, args=(onward,), daemon=True)
            answers.start()
            while not self.server.broken and (data := self.request.recv(1 << 16)):
                self.server.there += len(data)
                onward.sendall(data)
            if self.server.broken:
                _reset(self.request)
                _reset(onward)
            else:
                onward.shutdown(socket.SHUT_WR)
                answers.join()

    def _answers(self, onward: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the line broke
            while data := onward.recv(1 << 16):
                self.server.back += len(data)
                self.request.sendall(data)


def _reset(line: socket.socket) -> None:
    """As a line that breaks: no end in good order."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


@contextmanager
def relaying(port: int, *, breaks_after: float = math.inf) -> Iterator[Relay]:
    """A line on a free port; gone when the block ends."""
    relay = Relay(port, breaks_after)
    thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield relay
    finally:
        relay.shutdown()
        thread.join()
        relay.server_close()
