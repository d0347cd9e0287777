"""A real S3 server on loopback, and a proxy before it that cuts uploads where a test asks."""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKET = "bibim-tests"


class Store:
    """An S3 server; `cut`: what is in the address of an upload that is cut in its middle."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.cut = ""
        self.cuts = 0
        self.endpoint = ""

    @property
    def client(self) -> Any:
        """A client of the store that goes through the proxy."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )

    @property
    def options(self) -> tuple[str, ...]:
        return (
            f"--s3_endpoint_url={self.endpoint}",
            "--s3_access_key_id=test",
            "--s3_secret_access_key=test",
            "--s3_region_name=us-east-1",
        )


@contextmanager
def serving() -> Iterator[Store]:
    """Start server and proxy, each on a port of its own."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for every request
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    store = Store((host, port))
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store))
    store.endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        proxy.shutdown()
        proxy.server_close()
        moto.stop()


def _handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer's body waits 40 ms for its head's receipt

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def forward(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            upstream = http.client.HTTPConnection(*store.server)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders()
            if store.cut and store.cut in self.path and "partNumber" in self.path:
                store.cuts += 1
                upstream.send(self.rfile.read(size // 2))
                upstream.close()
                self.close_connection = True
                self.connection.close()
                return
            upstream.send(self.rfile.read(size))
            answer = upstream.getresponse()
            body = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(body)
            upstream.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

    return Proxy
