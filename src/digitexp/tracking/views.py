"""Saved views of a sweep in MLflow's pages: only the varied settings and the scores, the best on top.

MLflow keeps a saved view as a tag of the experiment: an envelope with a name, and the state of its table as JSON text.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from digitexp.tracking.store import TAG, Store

RUNS, MEANS = "runs", "means-over-seeds"  # the first is what `ui` opens
_VIEW = "mlflow.sharedViewState."
_NAME = "attributes.`Run Name`"
_LETTER, _MARGIN, _WIDEST = 7, 42, 420  # pixels
_SETTINGS = 12  # columns; a tag has room for 5,000 letters
_LOOKED_AT = 50  # runs: a setting that depends on another is not in each of them


def save(store: Store, experiment: str) -> str | None:
    """Save both views of a sweep, as its newest runs describe it; the first one's key, or None where nothing has run."""
    of_children = f"tags.`{TAG}kind` = 'run' AND attributes.status = 'FINISHED'"
    newest = ["attributes.start_time DESC"]
    found = store.client.search_runs([experiment], of_children, max_results=_LOOKED_AT, order_by=newest)
    if not found:
        return None
    points = [json.loads(run.data.tags[f"{TAG}point"]) for run in found]
    varied = list(dict.fromkeys(path for point in points for path in point))[:_SETTINGS]
    objective = store.client.get_run(found[0].data.tags["mlflow.parentRunId"]).data.params.get("search.objective", "None")
    metrics = list(found[0].data.metrics)
    longest = max((run.info.run_name for run in found), key=len)
    grouped = {
        "searchFilter": f"tags.`{TAG}kind` = 'run'",
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": path} for path in varied or ["model.kind"]],
        },
    }
    _save(store, experiment, RUNS, _state([*varied, "seed"], metrics, objective, longest))
    _save(store, experiment, MEANS, _state(varied, metrics, objective, longest) | grouped)
    return RUNS


def _state(settings: Sequence[str], metrics: Sequence[str], objective: str, longest: str) -> dict[str, Any]:
    scores = sorted((name for name in metrics if name.endswith("/accuracy") and not name.startswith("train/")), reverse=True)
    chosen = [objective] if objective in metrics else []
    widths = {f"params.`{path}`": _width(path) for path in settings}
    widths |= {f"metrics.`{name}`": _width(name) for name in dict.fromkeys([*chosen, *scores, "seconds"]) if name in metrics}
    order = {"orderByKey": f"metrics.`{objective}`", "orderByAsc": objective.endswith("/loss")} if chosen else {}
    return order | {
        "selectedColumns": list(widths),
        "columnOrder": [_NAME, *widths, "runDateAndNestInfo"],
        "columnWidths": {_NAME: min(_width(longest) + 30, _WIDEST)} | widths,
    }


def _width(text: str) -> int:
    return len(text) * _LETTER + _MARGIN


def _save(store: Store, experiment: str, name: str, state: Mapping[str, Any]) -> None:
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    store.client.set_experiment_tag(experiment, f"{_VIEW}{name}", json.dumps(view))
