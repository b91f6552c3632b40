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


def save(store: Store, experiment: str) -> str | None:
    """Save both views of a sweep, as its newest run describes it; the first one's key, or None where nothing has run."""
    of_children = f"tags.`{TAG}kind` = 'run' AND attributes.status = 'FINISHED'"
    found = store.client.search_runs([experiment], of_children, max_results=1, order_by=["attributes.start_time DESC"])
    if not found:
        return None
    run = found[0]
    objective = store.client.get_run(run.data.tags["mlflow.parentRunId"]).data.params.get("search.objective", "None")
    varied = list(json.loads(run.data.tags[f"{TAG}point"]))
    state = _state(varied, list(run.data.metrics), objective, run.info.run_name)
    groups = [{"mode": "param", "groupByData": path} for path in varied] or [{"mode": "param", "groupByData": "model.kind"}]
    means = {
        "searchFilter": f"tags.`{TAG}kind` = 'run'",
        "groupBy": {"aggregateFunction": "average", "groupByKeys": groups},
    }
    _save(store, experiment, RUNS, state)
    _save(store, experiment, MEANS, state | means)
    return RUNS


def _state(varied: Sequence[str], metrics: Sequence[str], objective: str, longest: str) -> dict[str, Any]:
    scores = sorted((name for name in metrics if name.endswith("/accuracy") and not name.startswith("train/")), reverse=True)
    chosen = [objective] if objective in metrics else []
    widths = {f"params.`{path}`": _width(path) for path in [*varied, "seed"]}
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
