"""The end of a sweep: its trials ranked, their pictures drawn, its best network registered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from digitexp.data import sets
from digitexp.evaluation import scores
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Row, Scored
from digitexp.planning import Plan
from digitexp.reports import pictures
from digitexp.sweep.known import Known
from digitexp.tracking import reader, recorder, registry
from digitexp.tracking.reader import Recorded
from digitexp.tracking.store import Store
from digitexp.watch import Watch

if TYPE_CHECKING:  # it brings KerasTuner along, which takes seconds
    from digitexp.search.loop import Trial


@dataclass(frozen=True)
class Conclusion:
    """Concludes the sweep of a parent run from what is `known`, and from the `failures` by trial."""

    plan: Plan
    store: Store
    parent: str
    watch: Watch
    known: Known
    failures: Mapping[int, str]

    def compare(self, trials: Sequence["Trial"]) -> tuple[list[Row], Scored | None]:
        """Rank the trials that are complete or have failed; write table and pictures. The rows, and the best of them."""
        self.watch.say("comparing the runs")
        complete = [trial for trial in trials if trial.number in self.failures or self.known.complete(trial)]
        rows = ranking.rank([self._scored(trial) for trial in complete], self.plan.config.search.objective)
        best = rows[0].scored if rows and rows[0].rank else None
        self._draw(complete, rows, best)
        return rows, best

    def register(self, best: Scored) -> str | None:
        """Make the first seed of a trial the best network, and give its address; None where it has none."""
        self.watch.say("registering the best network")
        first = self.known.runs(best.trial, best.point)[0]
        network = reader.result(self.store, first.id).network
        return self.store.client.wait(
            lambda: registry.register_best(self.store, self.parent, self.plan.config.experiment, first.id, network)
        )

    def _scored(self, trial: "Trial") -> Scored:
        if trial.number in self.failures:
            return Scored(trial.number, trial.point, [], {}, self.failures[trial.number])
        found = self.known.runs(trial.number, trial.point)
        metrics = [run.metrics for run in found]
        digests = reader.digests(self.store, found[0].id) if self._data_vary else {}
        if any(run.imported for run in found):
            images = reader.images(self.store, found[0].id)
            return Scored(trial.number, trial.point, metrics, {}, images=images, digests=digests)
        each = [self.known.hits(run) for run in found]
        hits = {name: [of_seed[name] for of_seed in each] for name in each[0]}
        return Scored(trial.number, trial.point, metrics, hits, digests=digests, together=self._together(found))

    @property
    def _data_vary(self) -> bool:
        """Whether two trials may be scored on different images; where no setting of the data varies, they are not."""
        return any(parameter.path.split(".")[0] == "data" for parameter in self.plan.parameters)

    def _together(self, runs: Sequence[Recorded]) -> dict[str, float]:
        """The accuracies of the seeds read together, where that is asked for."""
        if not self.plan.config.evaluation.ensemble or len(runs) < 2:
            return {}
        predicted = [reader.predictions(self.store, run.id) for run in runs]
        return {
            name: scores.together(predicted[0][name].labels, [one[name].probabilities for one in predicted])
            for name in predicted[0]
        }

    def _draw(self, trials: Sequence["Trial"], rows: Sequence[Row], best: Scored | None) -> None:
        """Table and picture of the sweep; pictures of every run that has none yet, or of the best trial's only."""
        chosen = [trial for trial in trials if trial.number not in self.failures]
        with TemporaryDirectory(prefix="digitexp-") as folder:
            ranking.table(rows).to_csv(Path(folder, "results.csv"), index=False)
            if best:
                mark = pictures.LEAKAGE if any(map(self._leaking, chosen)) else ""
                title = f"{self.plan.config.experiment}{mark}"
                objective = str(self.plan.config.search.objective)
                pictures.draw_ranking(rows, objective, title, Path(folder, "ranking.png"))
            recorder.log_files(self.store, self.parent, Path(folder))
        everyone = self.plan.config.tracking.pictures == "all"
        pending = [
            (run, trial)
            for trial in chosen
            if everyone or (best and trial.number == best.trial)
            for run in self.known.runs(trial.number, trial.point)
            if not (run.pictures or run.imported)
        ]
        for number, (run, trial) in enumerate(pending, 1):
            self.watch.say(f"drawing the pictures of run {number} of {len(pending)}")
            with TemporaryDirectory(prefix="digitexp-") as folder:
                title = f"{ranking.label(run.point)} seed={run.seed}{pictures.LEAKAGE if self._leaking(trial) else ''}"
                images = {name: part.images for name, part in sets.load(self.plan.data(trial.number, trial.point)).items()}
                pictures.draw_run(reader.result(self.store, run.id), title, Path(folder), images)
                recorder.log_pictures(self.store, run.id, Path(folder))

    def _leaking(self, trial: "Trial") -> bool:
        return self.plan.data(trial.number, trial.point).allow_leakage
