"""The audit's server: the page and its views over one run, read-only, for one reader.

It listens on the loopback unless `--host` names another address. It answers GET only, and only
where the Host header names it, so that another page cannot reach it by its own name (DNS
rebinding). No address names a file: assets come from a fixed table, documents by id from the run.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from audit.report.page import ASSETS, SERVER_POLICY, server_page
from audit.report.views import Views
from schemas.errors import BibimError, InputError

HEADERS = {
    "Content-Security-Policy": SERVER_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
LONGEST = 2_000
"""Characters of a query that are read."""
MAX_RULES = 16


class Guard:
    """Answers requests for the allowed hosts only, and adds the safety headers to every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name not in self._hosts:
            refused = PlainTextResponse("This host is not served here.\n", 421, HEADERS)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)


def application(views: Views, hosts: tuple[str, ...] = LOOPBACK) -> Starlette:
    """Return the server for `views`. `hosts`: names that a request's Host may have."""

    def page(request: Request) -> Response:
        return Response(server_page(), media_type="text/html", headers=HEADERS)

    def asset(request: Request) -> Response:
        path = ASSETS.get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("no such asset\n", 404, HEADERS)
        return FileResponse(path, headers=HEADERS)

    def answers(view: Callable[[Request], Any]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                return _json(view(request))
            except BibimError as error:
                return _json({"error": _without_path(str(error), views.frame.out)}, 400)

        return answer

    given: dict[str, Callable[[Request], Any]] = {
        "overview": lambda request: views.overview(),
        "accounting": lambda request: views.accounting(),
        "overlap": lambda request: views.overlap(),
        "signal": lambda request: views.signal(_text(request, "of")),
        "samples": lambda request: views.samples(_number(request, "of")),
        "clusters": lambda request: views.clusters(),
        "pii": lambda request: views.pii(),
        "what-if": lambda request: views.changed(_rules(request)),
        "rules": lambda request: {"yaml": views.export(_rules(request))},
        "document": lambda request: views.document(_text(request, "id")),
        "search": lambda request: views.found(_text(request, "q")),
    }
    routes = [Route("/", page), Route("/assets/{name}", asset)]
    routes += [Route(f"/api/{name}", answers(view)) for name, view in given.items()]
    app = Starlette(routes=routes)
    app.add_middleware(Guard, hosts=frozenset(host.lower() for host in hosts))
    return app


def serve(views: Views, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted. Calls `announce` with the address; InputError if it is in use."""
    import uvicorn

    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise InputError(
            f"--host {host} --port {port}: {error.strerror}; give another --port or --host"
        ) from None
    # Loaded with the first request, it would delay the answer.
    views.texts.prepare()
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{listening.getsockname()[1]}/")
    config = uvicorn.Config(
        application(views, (*LOOPBACK, shown)), log_level="error", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def _json(content: Any, status: int = 200) -> Response:
    import orjson

    return Response(orjson.dumps(content), status, HEADERS, "application/json")


def _without_path(message: str, out: Path) -> str:
    """Return the message with OUT in place of the run's folder: readers need not know where it is.

    The resolved path goes first: it may hold the other.
    """
    for path in (out.resolve(), out.absolute(), out):
        if str(path) not in ("", ".", "/"):
            message = message.replace(str(path), "OUT")
    return message


def _text(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value or len(value) > LONGEST:
        raise InputError(f"{name}: give 1 to {LONGEST} characters")
    return value


def _number(request: Request, name: str) -> int:
    try:
        return int(_text(request, name))
    except ValueError:
        raise InputError(f"{name}: give a whole number") from None


def _rules(request: Request) -> list[str]:
    rules = request.query_params.getlist("rule")
    if not rules or len(rules) > MAX_RULES or any(len(rule) > LONGEST for rule in rules):
        raise InputError(f"rule: give 1 to {MAX_RULES} rules")
    return rules
