"""The drawing page's server: one process, this machine only, plain files and a small API over a `Desk`.

What a request may hold is declared here, with its bounds; who may ask at all, in guard.py.
"""

import base64
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from digitexp.data import exchange
from digitexp.data.store import DrawingStore, Prediction, Sitting
from digitexp.errors import DataError, DigitexpError
from digitexp.recognise import journal, standing
from digitexp.recognise.guard import Guard
from digitexp.recognise.network import load
from digitexp.recognise.retraining import Retraining
from digitexp.recognise.sitting import Desk
from digitexp.settings import Config
from digitexp.tracking import server
from digitexp.tracking.store import open_store

FILES = Path(__file__).parent / "files"
PARTS = {"draw.html": "text/html", "draw.css": "text/css", "draw.js": "text/javascript", "chart.js": "text/javascript",
         "icon.svg": "image/svg+xml"}  # fmt: skip
STROKES, POINTS, LONGEST = 64, 2000, 3_600_000  # of a drawing; of a stroke; milliseconds
Name = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,40}$")]
Coordinate = Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)]
Time = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate, Time]


class Body(BaseModel):
    """What a request holds, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewSitting(Body):
    """Who sits down, what for, and whether the page asks for digits."""

    writer: Annotated[str, Field(min_length=1, max_length=60)]
    role: Annotated[str, Field(pattern="^(train|score)$")]
    prompted: bool


class Drawn(Body):
    """Strokes of points x, y (0 to `size`) and t (milliseconds)."""

    model_config = ConfigDict(extra="forbid", strict=False)  # JSON has no tuples
    sitting: Name
    drawing: Name
    size: Annotated[float, Field(ge=32, le=4096, allow_inf_nan=False)]
    strokes: Annotated[
        list[Annotated[list[Point], Field(min_length=1, max_length=POINTS)]], Field(min_length=1, max_length=STROKES)
    ]


class Labelled(Body):
    """What a drawing is; null takes its label back."""

    sitting: Name
    drawing: Name
    label: Annotated[str, Field(min_length=1, max_length=20)] | None


class Ended(Body):
    """A sitting that is over."""

    sitting: Name


class Wanted(Body):
    """Retrain with all drawings to train on, or only with those that the network misread."""

    only_misread: bool


class Nothing(Body):
    """A request that says all by its address."""


def application(desk: Desk, retraining: Retraining, config: Config) -> FastAPI:
    """The page and its API, behind the guard. Every answer is JSON; a refusal is `{"error": sentence}`."""
    app = FastAPI(title="digitexp draw", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    app.add_exception_handler(RequestValidationError, _refuse_form)
    app.add_exception_handler(DigitexpError, _refuse)

    for name, kind in PARTS.items():
        app.get("/" if name == "draw.html" else f"/{name}", include_in_schema=False)(_sender(FILES / name, kind))

    @app.get("/api/desk")
    def about() -> dict[str, Any]:
        """What the page begins with."""
        settings = config.draw
        return {
            "classes": desk.classes, "networks": [] if desk.blind else [desk.networks[0].name], "blind": desk.blind,
            "writer": settings.writer, "role": settings.role, "prompted": settings.prompted,
        }  # fmt: skip

    @app.post("/api/sittings")
    def begin(body: NewSitting) -> dict[str, Any]:
        """A new sitting."""
        return state(desk, desk.begin(body.writer, body.role, body.prompted))

    @app.get("/api/sittings/{name}")
    def look(name: Name, scope: str = "sitting", reveal: bool = False) -> dict[str, Any]:
        """How a sitting stands, or all of them together."""
        return state(desk, desk.store.sitting(name), scope == "all", reveal)

    @app.post("/api/drawings")
    def draw(body: Drawn) -> dict[str, Any]:
        """Recognise and store a drawing, or what was added to it."""
        if any(x > body.size or y > body.size for stroke in body.strokes for x, y, _ in stroke):
            raise DataError(f"strokes: found a point outside of the canvas; allowed are 0 to size ({body.size:g}).")
        sitting = desk.store.sitting(body.sitting)
        reading = desk.draw(sitting, body.drawing, body.strokes, body.size)
        shown = [] if sitting.blind else [_prediction(one, one.model) for one in reading.predictions]
        image = base64.b64encode(reading.image.tobytes()).decode()
        return {"image": image, "warnings": reading.warnings, "predictions": shown}

    @app.post("/api/labels")
    def label(body: Labelled) -> dict[str, Any]:
        """Say what a drawing is."""
        sitting = desk.store.sitting(body.sitting)
        desk.label(sitting, body.drawing, body.label)
        return state(desk, sitting)

    @app.post("/api/sittings/end")
    def end(body: Ended) -> dict[str, Any]:
        """Write a sitting to MLflow."""
        sitting = desk.store.sitting(body.sitting)
        return {"runs": journal.record(open_store(config.tracking.uri), desk.store, sitting, desk.classes)}

    @app.get("/api/export")
    def export() -> Response:
        """All drawings with a label, as a zip of the csv pair and the PNGs."""
        packed = exchange.archive(desk.store, desk.classes)
        return Response(packed, media_type="application/zip",
                        headers={"Content-Disposition": 'attachment; filename="drawings.zip"'})  # fmt: skip

    @app.post("/api/retraining")
    def retrain(body: Wanted) -> dict[str, Any]:
        """Start a retraining."""
        retraining.start(body.only_misread)
        return _progress(retraining)

    @app.get("/api/retraining")
    def follow() -> dict[str, Any]:
        """How far it is, and what came of it."""
        return _progress(retraining)

    @app.post("/api/retraining/stop")
    def stop(body: Nothing) -> dict[str, Any]:
        """Interrupt it."""
        retraining.stop()
        return _progress(retraining)

    @app.post("/api/champion")
    def promote(body: Nothing) -> dict[str, Any]:
        """Make the retrained network the champion."""
        return {"champion": retraining.promote()}

    return app


def serve(config: Config, file: Path, show: Callable[[str], None]) -> None:
    """Serve until interrupted; `show` is given the page's address. Raises DigitexpError for what cannot be opened."""
    import uvicorn

    settings = config.draw
    with server.listen("draw.port", settings.port) as listening, DrawingStore(file) as store:
        names = [settings.model, *([settings.against] if settings.against else [])]
        networks = [load(name, config.data.classes, config.tracking.uri) for name in names]
        desk = Desk(store, networks, config.data.classes, config.data.drawn)
        retraining = Retraining(desk, config)
        app = application(desk, retraining, config)
        options = uvicorn.Config(app, log_config=None, access_log=False, ws="none", proxy_headers=False, server_header=False,
                                 limit_concurrency=64, timeout_graceful_shutdown=2)  # fmt: skip
        show(f"http://{server.HOST}:{listening.getsockname()[1]}/")
        try:
            uvicorn.Server(options).run(sockets=[listening])
        except KeyboardInterrupt:  # what uvicorn raises after it has ended cleanly
            pass
        finally:
            retraining.stop()


def state(desk: Desk, sitting: Sitting, everything: bool = False, reveal: bool = False) -> dict[str, Any]:
    """All that the page shows beside the canvas. While a comparison is blind, networks are called A and B."""
    scope = None if everything else sitting
    names = _names(desk, sitting, reveal)
    stands = standing.standings(desk.store, scope)
    shown = [one for one in stands if one.digest in names or not sitting.blind or reveal]
    hidden = sitting.blind and not reveal
    found = [
        asdict(one) | {"model": names.get(one.digest, one.model), "digest": "" if hidden else one.digest} for one in shown
    ]
    pair = None
    if len(desk.networks) > 1:
        first, second = sorted(desk.networks, key=lambda network: names[network.digest])
        pair = asdict(standing.duel(desk.store, first.digest, second.digest, scope))
        pair["names"] = [names[first.digest], names[second.digest]]
    found.sort(key=lambda one: str(one["model"]))
    return {
        "sitting": asdict(sitting), "prompt": desk.prompt(sitting), "labelled": desk.store.labelled(sitting),
        "counts": desk.store.counts(), "standings": found, "duel": pair,
        "networks": sorted(names.values()) if sitting.blind else [desk.networks[0].name],
    }  # fmt: skip


def _sender(file: Path, kind: str) -> Callable[[], FileResponse]:
    return lambda: FileResponse(file, media_type=kind)


def _names(desk: Desk, sitting: Sitting, reveal: bool) -> dict[str, str]:
    """What each network is called, by its digest: A and B in an order that the sitting decides, or by its name."""
    networks = list(desk.networks)
    if not sitting.blind or reveal:
        return {network.digest: network.name for network in networks}
    if int(sitting.id[:2], 16) % 2:
        networks.reverse()
    return {network.digest: f"Network {letter}" for network, letter in zip(networks, "AB", strict=False)}


def _prediction(one: Prediction, name: str) -> dict[str, Any]:
    return {"model": name, "read_as": one.read_as, "classes": one.classes, "probabilities": one.probabilities}


def _progress(retraining: Retraining) -> dict[str, Any]:
    done = retraining.round
    return {
        "phase": retraining.phase, "epoch": retraining.epoch(), "epochs": retraining.epochs, "command": retraining.command,
        "lines": list(retraining.lines), "message": retraining.message, "warnings": retraining.warnings,
        "round": asdict(done) | {"verdict": done.verdict} if done else None,
        "promotable": retraining.network is not None,
    }  # fmt: skip


def _refuse_form(request: Request, error: Exception) -> JSONResponse:
    """What a request held that it may not; without repeating it, since it may be anything."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part)[:40] for part in first["loc"][1:])
    return JSONResponse({"error": f"{where or 'the request'}: {first['msg']}."}, status_code=422)


def _refuse(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=409)
