"""What the page's server lets in: this machine's own browser on this very page, in small and not too many requests."""

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost", "[::1]")
BODY = 256 * 1024  # bytes
RATE, BURST = 30.0, 90.0  # changes a second, and how many may come at once

# Nothing but the page's own files; no other page may frame it, read it, or keep a hand on its window.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}  # fmt: skip


class Guard:
    """ASGI middleware. It refuses, before anything is read or parsed: a Host that is not this machine (DNS rebinding), a
    change whose Origin is not this page (another site's), a body over 256 KiB, and more than 30 changes a second."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.clock = app, clock
        self.left, self.last = BURST, clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None
        refusal = self._refusal(scope)
        if refusal:
            return await _refuse(send, *refusal)
        body = await _body(receive)
        if body is None:
            return await _refuse(send, 413, f"The body is over {BODY:,} bytes.")
        return await self.app(scope, _replay(body, receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence, or None for what may come in."""
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts, origins, lengths = ([value for name, value in headers if name == wanted]
                                   for wanted in ("host", "origin", "content-length"))  # fmt: skip
        if len(hosts) != 1 or _name(hosts[0]) not in HOSTS:
            return 421, "This server answers to 127.0.0.1 and localhost only."
        if origins and origins != [f"http://{hosts[0]}"]:
            return 403, "Another page may not ask."
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "Allowed are GET and POST."
        if scope["method"] == "POST":
            if not origins:
                return 403, "A change needs the Origin of this page."
            if not _json(headers):
                return 415, "Allowed is application/json."
            if not self._paid():
                return 429, "Too many changes a second."
        if any(not length.isdecimal() or len(length) > 12 or int(length) > BODY for length in lengths):
            return 413, f"The body is over {BODY:,} bytes."
        return None

    def _paid(self) -> bool:
        now = self.clock()
        self.left, self.last = min(BURST, self.left + (now - self.last) * RATE), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


def _name(host: str) -> str:
    """A Host header without its port; "" for one that is no host."""
    name, colon, port = host.rpartition(":") if host.rfind(":") > host.rfind("]") else (host, "", "")
    return name.lower() if not colon or (port.isascii() and port.isdecimal()) else ""


def _json(headers: list[tuple[str, str]]) -> bool:
    types = [value.partition(";")[0].strip().lower() for name, value in headers if name == "content-type"]
    return types == ["application/json"]


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None when there is more than may be."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def read() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


def _with_headers(send: Send) -> Send:
    extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def write(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return write


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
