"""Who may ask the page's server, and how much."""

import pytest
from desks import Caller

from digitexp.recognise.guard import BODY, BURST, HEADERS, RATE, Guard

HOST, ORIGIN, JSON = ("host", "127.0.0.1:8128"), ("origin", "http://127.0.0.1:8128"), ("content-type", "application/json")


async def welcome(scope, receive, send):
    """Answers with the body it was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def guarded(clock):
    return Caller(Guard(welcome, lambda: clock[0]))


@pytest.mark.parametrize("host", ["127.0.0.1:8128", "localhost:9000", "LOCALHOST", "[::1]:8128", "127.0.0.1"])
def test_this_machine_may_ask(guarded, host):
    assert guarded("GET", "/", headers=[("host", host)])[0] == 200
    assert guarded("POST", "/", {"a": 1}, [("host", host), ("origin", f"http://{host}"), JSON])[2] == b'{"a": 1}'


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (421, []),
        (421, [("host", "evil.example")]),
        (421, [("host", "127.0.0.1.evil.example:8128")]),
        (421, [("host", "localhost.:8128")]),
        (421, [("host", "evil.example:8128@127.0.0.1")]),
        (421, [("host", "127.0.0.1:80:80")]),
        (421, [("host", "127.0.0.1:abc")]),
        (421, [("host", "0.0.0.0:8128")]),
        (421, [("host", "")]),
        (421, [("host", "127.0.0.1"), ("host", "evil.example")]),
        (403, [HOST, JSON]),
        (403, [HOST, JSON, ("origin", "null")]),
        (403, [HOST, JSON, ("origin", "https://127.0.0.1:8128")]),
        (403, [HOST, JSON, ("origin", "http://localhost:8128")]),
        (403, [HOST, JSON, ("origin", "http://127.0.0.1:9999")]),
        (403, [HOST, JSON, ("origin", "http://evil.example")]),
        (403, [HOST, JSON, ORIGIN, ("origin", "http://evil.example")]),
        (415, [HOST, ORIGIN]),
        (415, [HOST, ORIGIN, ("content-type", "text/plain")]),
        (415, [HOST, ORIGIN, ("content-type", "application/x-www-form-urlencoded")]),
        (415, [HOST, ORIGIN, ("content-type", "application/jsonp")]),
        (415, [HOST, ORIGIN, JSON, ("content-type", "text/plain")]),
        (413, [HOST, ORIGIN, JSON, ("content-length", str(BODY + 1))]),
        (413, [HOST, ORIGIN, JSON, ("content-length", "-1")]),
        (413, [HOST, ORIGIN, JSON, ("content-length", "9" * 400)]),
    ],
)
def test_others_may_not(guarded, status, headers):
    found, answered, body = guarded("POST", "/", {"a": 1}, headers)
    assert (found, set(body)) == (status, {"error"})
    assert answered["content-security-policy"].startswith("default-src 'none'")


def test_no_other_page_may_read(guarded):
    assert guarded("GET", "/", headers=[HOST, ("origin", "http://evil.example")])[0] == 403
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"):
        assert guarded(method, "/", headers=[HOST, ORIGIN, JSON])[0] == 405
    answered = guarded("GET", "/", headers=[HOST])[1]
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= answered.items()
    assert not any("access-control" in name for name in answered)


def test_a_body_without_a_length_is_counted(guarded):
    small, large = [b"x" * 1000] * 3, [b"x" * 1000] * (BODY // 1000 + 2)
    assert len(guarded("POST", "/", chunks=small)[2]) == 3000
    assert guarded("POST", "/", chunks=large)[0] == 413
    assert guarded("POST", "/", b"x" * BODY)[0] == 200
    assert guarded("GET", "/", chunks=large)[0] == 413


def test_changes_are_rationed_and_looking_is_not(guarded, clock):
    answers = [guarded("POST", "/", {})[0] for _ in range(int(BURST) + 5)]
    assert answers == [200] * int(BURST) + [429] * 5
    assert guarded("GET", "/")[0] == 200
    clock[0] += 2 / RATE
    assert [guarded("POST", "/", {})[0] for _ in range(3)] == [200, 200, 429]
