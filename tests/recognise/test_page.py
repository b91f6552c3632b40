"""The page's API: what it answers, what it refuses, and what a machine makes up from its own schema."""

import base64
import io
import json
import re
import zipfile

import numpy as np
import pytest
from desks import DRAWN, Caller, Waiting, network, pen_strokes, seat
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from digitexp.compose import compose
from digitexp.data.sources import CLASSES
from digitexp.recognise import page as module
from digitexp.recognise.sitting import Desk
from digitexp.recognise.standing import standings


@pytest.fixture
def page(tmp_path):
    """The page's application on a quick desk; `page.desk` is it."""
    config = compose([f"tracking.uri=sqlite:///{tmp_path}/mlruns/mlflow.db"])
    with seat(tmp_path) as desk:
        caller = Caller(module.application(desk, Waiting(), config))
        caller.desk = desk
        yield caller


LINE = [[[140.0, 60.0, 0.0], [140.0, 220.0, 9.0]]]


def begin(page, **changes):
    return page.post("/api/sittings", {"writer": "ann", "role": "train", "prompted": False} | changes)["sitting"]["id"]


def drawing(sitting, name="one", **changes):
    return {"sitting": sitting, "drawing": name, "size": 280, "strokes": LINE} | changes


def test_from_a_drawing_to_the_accuracy(page):
    sitting = begin(page)
    for number in range(6):
        found = page.post("/api/drawings", drawing(sitting, f"n{number}", strokes=pen_strokes(number, number)))
        stored = page.desk.store.drawings()[-1]
        image = np.frombuffer(base64.b64decode(found["image"]), np.uint8).reshape(28, 28)
        np.testing.assert_array_equal(image, page.desk.recognise(stored.strokes, 280).image)
        assert found["predictions"][0]["read_as"] == stored.predictions[0].read_as
        assert dict(zip(CLASSES, found["predictions"][0]["probabilities"], strict=True))[stored.predictions[0].read_as] > 0.9
        state = page.post("/api/labels", {"sitting": sitting, "drawing": f"n{number}", "label": str(number)})
    (ours,) = standings(page.desk.store)
    total = state["standings"][0]["total"]
    assert (total["correct"], total["n"], total["low"]) == (ours.total.correct, 6, ours.total.low)
    assert state["labelled"] == 6
    assert page.get(f"/api/sittings/{sitting}") == state
    again = page.post("/api/labels", {"sitting": sitting, "drawing": "n5", "label": None})
    assert again["labelled"] == 5


def test_one_sitting_and_all_of_them(page):
    for writer in ("ann", "ben"):
        sitting = begin(page, writer=writer)
        page.post("/api/drawings", drawing(sitting, writer))
        page.post("/api/labels", {"sitting": sitting, "drawing": writer, "label": "1"})
    alone, everything = page.get(f"/api/sittings/{sitting}"), page.get(f"/api/sittings/{sitting}?scope=all")
    assert (alone["standings"][0]["total"]["n"], everything["standings"][0]["total"]["n"]) == (1, 2)
    assert [writer["name"] for writer in everything["standings"][0]["writers"]] == ["ann", "ben"]


def test_a_blind_sitting_tells_neither_name_nor_answer_before_it_is_asked(page, tmp_path):
    pair = [network("models:/first/1", constant=1), network("models:/second/1", constant=2)]
    desk = Desk(page.desk.store, pair, CLASSES, DRAWN)
    blind = Caller(module.application(desk, Waiting(), module.Config()))
    seen = set()
    for _ in range(12):  # A is now the one, now the other
        sitting = begin(blind)
        reading = blind.post("/api/drawings", drawing(sitting, f"d{sitting}"))
        state = blind.post("/api/labels", {"sitting": sitting, "drawing": f"d{sitting}", "label": "1"})
        assert reading["predictions"] == []
        assert not re.search("models:|digest[0-9]", json.dumps(state))
        assert [one["model"] for one in state["standings"]] == state["networks"] == ["Network A", "Network B"]
        right = [one["model"] for one in state["standings"] if one["total"]["correct"]]
        assert (state["duel"]["only_first"], state["duel"]["only_second"]) == ((1, 0) if right == ["Network A"] else (0, 1))
        seen |= set(right)
        shown = blind.get(f"/api/sittings/{sitting}?reveal=true")
        assert {one["model"]: one["total"]["correct"] for one in shown["standings"]} == {"models:/first/1": 1, "models:/second/1": 0}
        assert shown["duel"]["names"] == ["models:/first/1", "models:/second/1"]
    assert seen == {"Network A", "Network B"}


def test_export_retraining_and_champion(page):
    sitting = begin(page)
    assert page("GET", "/api/export")[0] == 409
    page.post("/api/drawings", drawing(sitting))
    page.post("/api/labels", {"sitting": sitting, "drawing": "one", "label": "1"})
    status, headers, content = page("GET", "/api/export")
    assert (status, headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.read("drawings/labels.csv") == b"1\n"
        assert packed.namelist() == ["drawings/images.csv", "drawings/labels.csv", "drawings/png/1/000001.png"]
    page.desk.store.label(page.desk.store.sitting(sitting), "one", "a")  # on a day with other classes
    with zipfile.ZipFile(io.BytesIO(page("GET", "/api/export")[2])) as packed:
        assert packed.read("drawings/labels.csv") == b"10\n"
        assert "drawings/png/a/000001.png" in packed.namelist()
    page.desk.store.label(page.desk.store.sitting(sitting), "one", "1")
    assert page.post("/api/retraining", {"only_misread": True})["phase"] == "idle"
    assert page.get("/api/retraining")["round"] is None
    page.post("/api/retraining/stop", {})
    assert page("POST", "/api/champion", {})[::2] == (409, {"error": "promote: there is no retrained network yet."})


def test_a_sitting_is_logged_to_mlflow_with_its_confusion_table(page, tmp_path):
    from digitexp.tracking.store import open_store

    sitting = begin(page)
    for number in range(3):
        page.post("/api/drawings", drawing(sitting, f"n{number}"))
        page.post("/api/labels", {"sitting": sitting, "drawing": f"n{number}", "label": "23"[number % 2]})
    for _ in range(2):  # the second writes it anew
        (run,) = page.post("/api/sittings/end", {"sitting": sitting})["runs"]
    client = open_store(f"sqlite:///{tmp_path}/mlruns/mlflow.db").client
    experiment = client.get_experiment_by_name("sittings").experiment_id
    (found,) = client.search_runs([experiment])
    assert found.info.run_id == run
    (ours,) = standings(page.desk.store)
    assert found.data.metrics["accuracy"] == pytest.approx(ours.total.correct / 3)
    assert (found.data.params["writer"], found.data.params["model"]) == ("ann", "models:/digitexp/1")
    assert {file.path for file in client.list_artifacts(run)} == {"confusion.csv", "confusion.png", "running.png"}
    assert len(client.get_metric_history(run, "accuracy")) == 3
    assert page.post("/api/sittings/end", {"sitting": begin(page)})["runs"] == []


def test_its_files_name_nothing_outside(page):
    for path, kind in {"/": "text/html", **{f"/{name}": kind for name, kind in module.PARTS.items() if name != "draw.html"}}.items():
        status, headers, content = page("GET", path)
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        addresses = set(re.findall(rb"(?:https?:)?//[\w.]+", content)) - {b"http://www.w3.org"}  # SVG's name, not fetched
        assert addresses == set()
        assert b"innerHTML" not in content
        assert b"<script>" not in content
    for path in ("/docs", "/redoc", "/openapi.json", "/files/draw.html", "/%2e%2e/page.py", "/..%2fpage.py", "/api/../../x"):
        assert page("GET", path)[0] == 404


HTML = "<img src=x onerror=alert(1)>"
DEEP = b"[" * 50_000
HOSTILE = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": [],
    "a number": 7,
    "not UTF-8": b'{"sitting": "\xff\xfe"}',
    "nested deeply": DEEP,
    "a number of 5,000 digits": b'{"size": ' + b"9" * 5000 + b"}",
    "unknown key": lambda s: drawing(s, more=1),
    "prototype": lambda s: drawing(s) | {"__proto__": {"role": "score"}},
    "missing strokes": lambda s: {"sitting": s, "drawing": "one", "size": 280},
    "no stroke": lambda s: drawing(s, strokes=[]),
    "an empty stroke": lambda s: drawing(s, strokes=[[]]),
    "65 strokes": lambda s: drawing(s, strokes=LINE * 65),
    "2,001 points": lambda s: drawing(s, strokes=[[[1, 1, 1]] * 2001]),
    "a point of two": lambda s: drawing(s, strokes=[[[1, 1]]]),
    "a point of four": lambda s: drawing(s, strokes=[[[1, 1, 1, 1]]]),
    "a point of texts": lambda s: drawing(s, strokes=[[["1", HTML, "x"]]]),
    "NaN": lambda s: json.dumps(drawing(s, strokes=[[[float("nan"), 1, 1]]])).encode(),
    "Infinity": lambda s: json.dumps(drawing(s, strokes=[[[1, float("inf"), 1]]])).encode(),
    "1e999": lambda s: json.dumps(drawing(s)).replace("140.0", "1e999").encode(),
    "a negative point": lambda s: drawing(s, strokes=[[[-1, 1, 1]]]),
    "a point outside": lambda s: drawing(s, strokes=[[[281, 1, 1]]]),
    "a negative time": lambda s: drawing(s, strokes=[[[1, 1, -1]]]),
    "a canvas of nothing": lambda s: drawing(s, size=0),
    "a canvas of 1e6": lambda s: drawing(s, size=1e6),
    "a canvas of NaN": lambda s: json.dumps(drawing(s, size=float("nan"))).encode(),
    "a huge array": lambda s: drawing(s, strokes=[[[1, 1, 1]] * 2000] * 20),
    "an unknown sitting": lambda s: drawing("nobody"),
    "a path as sitting": lambda s: drawing("../../etc/passwd"),
    "a path as drawing": lambda s: drawing(s, "../../x"),
    "SQL as drawing": lambda s: drawing(s, "x'; DROP TABLE drawings; --"),
    "HTML as drawing": lambda s: drawing(s, HTML),
    "a null byte": lambda s: drawing(s, "a\0b"),
    "a name of 41": lambda s: drawing(s, "x" * 41),
    "a number as name": lambda s: drawing(s, 7),
    "null": lambda s: drawing(None),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_drawings_are_refused_and_leave_nothing(page, case):
    sitting = begin(page)
    body = HOSTILE[case]
    status, headers, found = page("POST", "/api/drawings", body(sitting) if callable(body) else body)
    assert 400 <= status < 500, (status, found)
    assert headers["content-type"] == "application/json"
    assert "<img" not in json.dumps(found)
    assert len(json.dumps(found)) < 600
    assert page.desk.store.drawings() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/sittings", {"writer": "", "role": "train", "prompted": False}),
        ("/api/sittings", {"writer": "   ", "role": "train", "prompted": False}),
        ("/api/sittings", {"writer": "x" * 61, "role": "train", "prompted": False}),
        ("/api/sittings", {"writer": "a\u0000b", "role": "train", "prompted": False}),
        ("/api/sittings", {"writer": "a\u202eb", "role": "train", "prompted": False}),
        ("/api/sittings", {"writer": "ann", "role": "both", "prompted": False}),
        ("/api/sittings", {"writer": "ann", "role": "train", "prompted": "yes"}),
        ("/api/sittings", {"writer": ["ann"], "role": "train", "prompted": False}),
        ("/api/labels", {"sitting": "SITTING", "drawing": "one", "label": HTML[:20]}),
        ("/api/labels", {"sitting": "SITTING", "drawing": "one", "label": "x" * 21}),
        ("/api/labels", {"sitting": "SITTING", "drawing": "one", "label": ""}),
        ("/api/labels", {"sitting": "SITTING", "drawing": "one", "label": 3}),
        ("/api/labels", {"sitting": "SITTING", "drawing": "two", "label": "3"}),
        ("/api/labels", {"sitting": "SITTING", "drawing": "one"}),
        ("/api/sittings/end", {"sitting": "nobody"}),
        ("/api/retraining", {"only_misread": 1}),
        ("/api/retraining", {"only_misread": False, "command": "rm -rf /"}),
        ("/api/champion", {"model": "models:/evil/1"}),
    ],
)
def test_hostile_words_are_refused_and_change_nothing(page, path, body):
    sitting = begin(page)
    page.post("/api/drawings", drawing(sitting))
    known = page.desk.store.sittings()
    status, _, found = page("POST", path, json.loads(json.dumps(body).replace("SITTING", sitting)))
    assert 400 <= status < 500, found
    assert "Traceback" not in json.dumps(found)
    assert page.desk.store.sittings() == known
    assert page.desk.store.drawings(labelled=True) == []


def test_html_in_a_writers_name_is_a_text_like_any_other(page):
    sitting = begin(page, writer=HTML)
    status, headers, found = page("GET", f"/api/sittings/{sitting}")
    assert (status, headers["content-type"], found["sitting"]["writer"]) == (200, "application/json", HTML)
    assert headers["x-content-type-options"] == "nosniff"


def test_sittings_are_looked_up_by_plain_names(page):
    for path in ("/api/sittings/../desk", "/api/sittings/%2e%2e", "/api/sittings/a%00b", f"/api/sittings/{'x' * 300}", "/api/sittings/x?reveal=maybe"):
        assert 400 <= page("GET", path)[0] < 500


def made_up(schema, definitions):
    """Bodies that a JSON schema allows, and, now and then at any place, anything else that JSON can say."""
    if "$ref" in schema:
        return made_up(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return st.one_of([made_up(one, definitions) for one in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "object":
        properties = {name: made_up(one, definitions) for name, one in schema.get("properties", {}).items()}
        valid = st.fixed_dictionaries(properties)
    elif kind == "array" and "prefixItems" in schema:
        valid = st.tuples(*(made_up(one, definitions) for one in schema["prefixItems"])).map(list)
    elif kind == "array":
        valid = st.lists(made_up(schema["items"], definitions), min_size=schema.get("minItems", 0), max_size=3)
    elif kind == "number":
        valid = st.floats(schema["minimum"], schema["maximum"])
    elif kind == "string" and "pattern" in schema:
        valid = st.from_regex(schema["pattern"], fullmatch=True)
    else:
        valid = {"string": st.text(max_size=25), "boolean": st.booleans(), "null": st.none()}[kind]
    return st.one_of([valid] * 8 + [ANYTHING])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@effort(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_the_schema_suggests_is_answered_or_refused(page, data):
    """From the API's own OpenAPI schema. No answer is a failure of the server; what is acknowledged is stored."""
    schema = page.app.openapi()
    posts = sorted(path for path, methods in schema["paths"].items() if "post" in methods and "end" not in path)
    path = data.draw(st.sampled_from(posts))
    form = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body = data.draw(made_up(form, schema["components"]["schemas"]))
    if isinstance(body, dict) and "sitting" in body and data.draw(st.booleans()):
        body["sitting"] = begin(Caller(module.application(page.desk, Waiting(), module.Config())))
    before = len(page.desk.store.drawings())
    # A guard of its own for every example: their rate is not what is tested here.
    status, headers, found = Caller(module.application(page.desk, Waiting(), module.Config()))("POST", path, body)
    assert status == 200 or 400 <= status < 500, (path, body, status, found)
    assert headers["content-type"] == "application/json"
    assert isinstance(found, dict)
    if path == "/api/drawings" and status != 200:
        assert len(page.desk.store.drawings()) == before
    if path == "/api/drawings" and status == 200:
        assert body["drawing"] in {one.id for one in page.desk.store.drawings()}
