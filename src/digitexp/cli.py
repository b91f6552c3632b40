"""The command line: verbs, Hydra's overrides, exit codes. The rooms above do the work, screen/ shows it."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig

from digitexp import command, compose, screen
from digitexp.config import CONF
from digitexp.errors import ConfigError, DigitexpError, TrackingError
from digitexp.quiet import quiet
from digitexp.settings import Config
from digitexp.tracking import store as stores

if TYPE_CHECKING:
    from digitexp.planning import Plan

DONE, SOME_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code: 0 done, 1 some runs failed, 2 refused, 130 interrupted."""
    gc.disable()  # what is imported stays: looking for garbage in it would take a quarter of the start
    words = list(sys.argv[1:] if arguments is None else arguments)
    verbose = "-v" in words
    words = [word for word in words if word != "-v"]
    if {"-h", "--help"} & set(words):
        verbs = {verb: function.__doc__ or "" for verb, function in VERBS.items()}
        screen.show_help(verbs, compose.sweeps(), compose.recipes())
        return DONE
    try:
        if {"-sc", "--shell-completion"} & set(words) and command.completed(VERBS):
            return DONE
        verb = command.verb(words, VERBS)
        words = command.subject(verb, words)
        call = partial(predict, paths=command.paths(words)) if verb == "predict" else VERBS[verb]
        with nullcontext() if verbose else quiet():
            return _with_settings(call, words)
    except DigitexpError as error:
        screen.show_error(error)
        return REFUSED
    except KeyboardInterrupt:
        screen.show_interrupted()
        return INTERRUPTED
    finally:
        gc.freeze()  # nor is there anything to look for at the end


def run(config: Config) -> int:
    """Train what is not finished, rank, keep the best network; the verb when none is given."""
    question = compose.sweeps().get(config.experiment, "")
    plan = _show_plan(config, question)
    from digitexp import experiment

    import_module("digitexp.runs")  # TensorFlow comes along, which takes seconds
    gc.freeze()
    gc.enable()
    with screen.Progress(plan) as watch:
        outcome = experiment.run(plan, question, watch)
    screen.show_outcome(plan, outcome)
    if outcome.early == "interrupted":
        screen.show_interrupted()
        return INTERRUPTED
    return SOME_FAILED if outcome.failed else DONE


def plan(config: Config) -> int:
    """Show what would run, what of it is finished, and how long the rest would take."""
    _show_plan(config, compose.sweeps().get(config.experiment, ""))
    return DONE


def ui(config: Config) -> int:
    """Open MLflow's pages on the recorded runs."""
    if not stores.exists(config.tracking.uri):
        raise TrackingError(
            f"ui: there is no store at {stores.resolve(config.tracking.uri)} yet; type digitexp +sweep=NAME first."
        )
    from digitexp.tracking import server

    def show(page: str) -> None:
        gc.freeze()
        gc.enable()  # it may serve for days
        screen.show_address(page, ours=not (config.tracking.uri or "").startswith("http"))

    return server.serve(config.tracking.uri, config.ui.port, config.search.name, show)


def report(config: Config) -> int:
    """Write the report of a recorded sweep, by default the newest; or audit, writers, a comparison."""
    from digitexp import experiment

    asked = config.report
    chosen = experiment.audit if asked.audit else experiment.front if asked.readme else experiment.report
    if asked.compare or asked.writers:
        from digitexp import reproduction

        chosen = reproduction.pair if asked.compare else reproduction.writers
    screen.show_report(chosen(config))
    return DONE


def doctor(config: Config) -> int:
    """Find what is wrong with store, disk, data and threads; doctor.fix=true mends it."""
    from digitexp import doctor as doctors

    found = doctors.examine(config)
    for finding in found if config.doctor.fix else ():
        if finding.mend:
            finding.mend()
    screen.show_findings(found, mended=config.doctor.fix)
    return SOME_FAILED if any(not (config.doctor.fix and finding.mend) for finding in found) else DONE


def draw(config: Config) -> int:
    """Open a page to draw digits on: recognise them, correct, keep them, retrain."""
    from digitexp.data import exchange
    from digitexp.data.store import DrawingStore

    file = Path(config.data.drawn.store or "drawings.db")
    classes = config.data.classes
    if config.draw.add:
        with DrawingStore(file) as store:
            new, known = exchange.add(store, Path(config.draw.add), classes, config.draw.writer, config.draw.role)
        screen.say(f"{new:,} drawings were added to {file}; {known:,} were there before.")
        return DONE
    if config.draw.export:
        with DrawingStore(file, create=False) as store:
            count = exchange.export(store, Path(config.draw.export), classes)
        screen.say(f"{count:,} drawings were written into {config.draw.export}.")
        return DONE
    from digitexp.recognise import page

    def show(address: str) -> None:
        gc.freeze()
        gc.enable()
        screen.show_drawing_page(address, file)

    page.serve(config, file, show)
    return DONE


def promote(config: Config) -> int:
    """Make the best network of a sweep the champion, which draw and predict use: promote SWEEP."""
    from digitexp import experiment

    screen.show_promoted(experiment.promote(config))
    return DONE


def explore(config: Config) -> int:
    """Look at the data: classes, pixels, geometry, copies, suspicious labels; a page, into explorations/."""
    from digitexp import experiment

    gc.freeze()
    gc.enable()
    with screen.doing() as say:
        explored = experiment.explore(config, say)
    screen.show_explored(explored)
    return DONE


def reproduce(config: Config) -> int:
    """Train a recorded run again, by its id or signature, and show what differs."""
    if not config.reproduce.run:
        raise ConfigError("reproduce: needs a run; type digitexp reproduce RUN, its id in the store or its signature.")
    from digitexp import reproduction

    screen.show_training(config.reproduce.run)
    found = reproduction.again(config, config.reproduce.run)
    screen.show_again(found)
    return SOME_FAILED if found.verdict == reproduction.DIFFERENT else DONE


def predict(config: Config, paths: Sequence[str] = ()) -> int:
    """Read the digits in images: predict IMAGE..., a folder of them, or - for standard input."""
    if not paths:
        raise ConfigError("predict: found no image; type digitexp predict IMAGE..., a folder, or - for standard input.")
    from digitexp.recognise import network, predictions

    chosen, asked = network.load(config.predict.model, config.data.classes, config.tracking.uri), config.predict
    codes = []
    for outcome in predictions.predict(paths, chosen, Path(asked.folder), asked.confidence, asked.debug):
        if isinstance(outcome, predictions.Read):
            codes.append(DONE)
            screen.show_reading(outcome)
        else:
            codes.append(REFUSED)
            screen.show_error(outcome.error)
    return codes[0] if len(set(codes)) == 1 else SOME_FAILED


def submit(config: Config) -> int:
    """Write a submission for Kaggle, and what its score is worth beside it: submit data=kaggle data.path=FOLDER."""
    from digitexp import experiment

    screen.show_submission(experiment.submit(config))
    return DONE


VERBS: dict[str, Callable[[Config], int]] = {
    "run": run, "plan": plan, "report": report, "reproduce": reproduce, "explore": explore, "ui": ui, "draw": draw,
    "promote": promote, "predict": predict, "submit": submit, "doctor": doctor,
}  # fmt: skip


def _show_plan(config: Config, question: str) -> "Plan":
    from digitexp import costs, planning
    from digitexp.tracking import ledger, portable

    spelt = planning.plan(config, partial(ledger.network, config.tracking.uri))
    finished = set(portable.finished(config.tracking.runs))
    spent: list[costs.Spent] = []
    if stores.exists(config.tracking.uri):
        entries = ledger.finished(config.tracking.uri)
        finished |= {entry.signature for entry in entries}
        spent = [costs.Spent(entry.kind, entry.tflop, entry.seconds) for entry in entries if entry.seconds]
    screen.show_plan(spelt, question, finished, spent)
    asked = ledger.asked(config.tracking.uri, config.experiment) if stores.exists(config.tracking.uri) else []
    if config.search.name and asked and spelt.question not in {one.question for one in asked}:
        screen.show_difference(planning.difference(asked[-1].settings, config))
    return spelt


def _with_settings(verb: Callable[[Config], int], words: Sequence[str]) -> int:
    """Compose the settings and call the verb with them; Hydra's own flags go through Hydra's own main."""
    words = [part for word in words for part in command.spelt_out(word)]
    if not any(word.startswith("-") for word in words):
        return verb(compose.compose(words))
    codes: list[int] = []
    raised: list[BaseException] = []

    def job(cfg: DictConfig) -> None:
        try:
            codes.append(verb(compose.settle(cfg)))
        except BaseException as error:  # Hydra would print what is ours to say
            raised.append(error)
            raise SystemExit from None

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's own errors reach us instead of being printed
    sys.argv = ["digitexp", *map(compose.mergeable, words)]
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    except (HydraException, ValueError) as error:
        raise compose.explain(error) from error
    except SystemExit:
        if raised:
            raise raised[0] from None
        raise
    return max(codes, default=DONE)
