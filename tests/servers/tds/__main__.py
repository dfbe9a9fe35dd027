"""Runs the server: `python -m tds DATABASE USER PASSWORD [PORT]`; prints its port and serves until its input ends."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import signal
import socket
import socketserver
import sys
import threading

from pysqlbridge.certificate import self_signed
from pysqlbridge.logins import Login, LoginStore

from .engine import Engine
from .wire import Drop, Session


class Server(socketserver.ThreadingTCPServer):
    """Listens on a loopback port, by default a free one, with one thread for each client."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, user: str, password: str, port: str = "0") -> None:
        self.path = path
        self.logins = LoginStore([Login(user, password, hashed=False)])
        self.certificate = self_signed()
        self.sessions: dict[int, Session] = {}
        self.is_primary, self.updateability = "1", "READ_WRITE"
        super().__init__(("127.0.0.1", int(port)), Handler)

    def become(self, role: str) -> None:
        self.is_primary = "1" if role == "primary" else "0"
        self.updateability = "READ_WRITE" if role == "primary" else "READ_ONLY"

    def kill(self, spid: int) -> None:
        for session in list(self.sessions.values()):
            if session.spid == spid:
                with contextlib.suppress(OSError):
                    session.link.shutdown(socket.SHUT_RDWR)


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that is gone while rows are sent to it must not hold a thread.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)
        server = self.server
        session = Session(
            server.certificate, self.request, server.logins, lambda self: Engine(self, server.path, server)
        )
        try:
            while data := self.request.recv(65536):
                for response in session.receive(data):
                    self.request.sendall(response)
                if session.spid:
                    server.sessions[session.spid] = session
        except Drop:
            # Not a polite end: unread input makes the close a reset.
            pass
        except OSError:
            pass
        except Exception:
            logging.exception("a session failed")
        finally:
            server.sessions.pop(session.spid, None)
            session.close()


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    faulthandler.register(signal.SIGUSR1)  # what does each session wait for?
    with Server(*sys.argv[1:5]) as server:
        print(server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main()
