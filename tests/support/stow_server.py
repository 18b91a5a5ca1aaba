"""A DICOMweb server for tests that takes STOW-RS and answers as it is told. The email package parses what it got."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ssl import SSLContext
from typing import Any

from pydicom import dcmread


@dataclass
class StowServer:
    """What it got, and what it answers next."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)
    """The files, whole, in order."""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    """HTTP status and JSON for the next requests; a success that names the instance once they are used up."""
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.paths.append(path)
        self.headers.append(headers)
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + body)
        assert message.get_content_type() == "multipart/related"
        files = [part.get_payload(decode=True) for part in message.iter_parts()]
        if self.answers:
            return self.answers.pop(0)
        self.got.extend(files)
        return 200, {"00081199": {"vr": "SQ", "Value": [named(uid_of(file)) for file in files]}}


def named(uid: str, **more: Any) -> dict[str, Any]:
    """An item of a response: an instance by its UID."""
    return {"00081155": {"vr": "UI", "Value": [uid]}, **more}


def uid_of(file: bytes) -> str:
    return str(dcmread(BytesIO(file)).SOPInstanceUID)


@contextmanager
def running_stow(tls: SSLContext | None = None) -> Iterator[StowServer]:
    """Serve on a free loopback port."""
    stow = StowServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, [])

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(*stow.take(self.path, dict(self.headers), body))

        def reply(self, status: int, said: Any) -> None:
            content = json.dumps(said).encode() if said is not None else b"<html>no JSON</html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    stow.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stow
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
