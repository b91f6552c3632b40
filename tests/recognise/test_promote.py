"""The champion moves when told to, and only then; going back makes no new version."""

import pytest

from digitexp import cli, experiment
from digitexp.compose import compose
from digitexp.recognise.network import load
from digitexp.tracking.registry import CHAMPION
from digitexp.tracking.store import open_store


@pytest.fixture(scope="module")
def second(recorded, uri):
    """Another version of the registered model, as after another sweep."""
    client = open_store(uri).client
    first = client.get_model_version("digitexp.single", "1")
    client.create_registered_model("digitexp.other")
    made = client.create_model_version("digitexp.other", str(recorded / "mlruns"), first.run_id, tags=first.tags)
    client.set_registered_model_alias("digitexp.other", "best", made.version)


def test_promote_from_a_sweep_and_back(uri, second):
    """The store is shared: another test may have made champions before."""
    tracking, client = f"tracking.uri={uri}", open_store(uri).client
    sweep = experiment.promote(compose([tracking, "search.name=single"]))
    assert sweep.chosen == "models:/digitexp.single@best"
    versions = len(client.search_model_versions("name = 'digitexp'"))
    assert load(CHAMPION, (), uri).digest == load("models:/digitexp.single@best", (), uri).digest
    again = experiment.promote(compose([tracking, "search.name=single"]))
    assert (again.address, again.before) == (sweep.address, sweep.address)
    other = experiment.promote(compose([tracking, "promote.model='models:/digitexp.other@best'"]))
    assert (other.address, other.before) == (f"models:/digitexp/{versions + 1}", sweep.address)
    back = experiment.promote(compose([tracking, f"promote.model={sweep.address}"]))
    assert (back.address, back.before) == (sweep.address, other.address)
    assert len(client.search_model_versions("name = 'digitexp'")) == versions + 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["single"], "The champion is"),
        (["models:/digitexp.single@best"], "The champion is"),
        (["search.name=single"], "The champion is"),
        (["nothing"], "no network is registered as digitexp.nothing"),
        (["models:/digitexp.single@worst"], "has no such alias"),
        ([], "found no network to promote; type digitexp promote SWEEP"),
    ],
)
def test_what_is_typed(words, sentence, uri, capfd, second):
    code = cli.main(["promote", *words, f"tracking.uri={uri}"])
    shown = capfd.readouterr()
    assert sentence in (shown.out if code == 0 else shown.err)
    assert code == (0 if sentence.startswith("The champion") else 2)
    assert len((shown.out + shown.err).splitlines()) <= 2
