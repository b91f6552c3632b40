"""Networks are loaded by address or file, and what is missing, broken or hostile is refused in one sentence."""

import numpy as np
import pytest

from digitexp.data.sources import CLASSES, read_digits
from digitexp.errors import TrackingError
from digitexp.recognise.network import load

BEST = "models:/digitexp.single@best"


@pytest.fixture(scope="module")
def network(uri):
    return load(BEST, (), uri)


def test_by_address_version_and_file_it_is_the_same_network(network, uri, network_file):
    again = load("models:/digitexp.single/1", (), uri)
    file = load(str(network_file), CLASSES, None)
    assert network.digest == again.digest == file.digest
    assert (network.name, network.classes, len(network.run)) == ("models:/digitexp.single/1", CLASSES, 32)
    assert (file.name, file.run) == (str(network_file), "")


def test_probabilities_are_what_keras_predicts(network):
    import keras

    images = read_digits().images[:1100]  # more than one batch
    found = network.probabilities(images)
    assert (found.dtype, found.shape) == (np.float32, (1100, 10))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found[:20], keras.ops.convert_to_numpy(network.model(images[:20].astype("float32"))), atol=1e-6)
    np.testing.assert_allclose(network.probabilities(images[3:4])[0], found[3], atol=1e-6)
    assert np.mean(found.argmax(axis=1) == read_digits().labels[:1100]) > 0.5
    assert network.probabilities(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("models:/digitexp.singel@best", r"no network is registered as digitexp\.singel; .*Did you mean 'digitexp\.single'"),
        ("models:/digitexp.single@worst", r"has no such alias; it has @best, /1\."),
        ("models:/digitexp.single/7", r"has no such version; it has @best, /1\."),
        ("models:/digitexp.single", r"is no address of a network; allowed are models:/NAME@ALIAS, models:/NAME/VERSION"),
        ("models:/", r"is no address"),
        ("models:/it's@best", r"is no address"),
        ("models:/../../etc/passwd", r"is no address"),
        ("nowhere.keras", r"nowhere\.keras: no such file; allowed are models:/NAME@ALIAS"),
    ],
)
def test_what_is_missing_is_refused(address, sentence, uri):
    with pytest.raises(TrackingError, match=sentence) as refused:
        load(address, CLASSES, uri)
    assert "\n" not in str(refused.value)


def test_without_a_store_it_says_so(tmp_path):
    with pytest.raises(TrackingError, match=r"there is no store at .* yet; type digitexp \+sweep=NAME first"):
        load(BEST, (), f"sqlite:///{tmp_path}/mlflow.db")


def test_broken_and_foreign_files_are_refused(tmp_path, network_file):
    import keras

    whole = network_file.read_bytes()
    cases = {
        "cut.keras": (whole[: len(whole) // 2], r"found no Keras network, or one cut short"),
        "text.keras": (b"hello", r"found no Keras network"),
        "named.h5": (whole, r"allowed is a whole \.keras file"),
    }
    for name, (content, sentence) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TrackingError, match=sentence):
            load(str(tmp_path / name), CLASSES, None)
    with pytest.raises(TrackingError, match=r"gives \(None, 10\); allowed is .* to \(None, 3\), one output for each of the classes a, b, c"):
        load(str(network_file), "abc", None)
    inputs = keras.Input((4,))
    other = tmp_path / "other.keras"
    keras.Model(inputs, keras.layers.Dense(10)(inputs)).save(other)
    with pytest.raises(TrackingError, match=r"takes \(None, 4\)"):
        load(str(other), CLASSES, None)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_a_network_that_was_never_built_is_refused(tmp_path):
    import keras

    keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)]).save(tmp_path / "unbuilt.keras")
    with pytest.raises(TrackingError, match=r"unbuilt\.keras: cannot be loaded in Keras' safe mode: "):
        load(str(tmp_path / "unbuilt.keras"), CLASSES, None)


def test_a_network_that_carries_code_is_not_run(tmp_path):
    import keras

    inputs = keras.Input((28, 28))
    flat = keras.layers.Flatten()(inputs)
    hostile = keras.layers.Lambda(lambda x: x[:, :10] + (print("pwned") or 0))(flat)
    file = tmp_path / "hostile.keras"
    keras.Model(inputs, hostile).save(file)
    with pytest.raises(TrackingError, match=r"cannot be loaded in Keras' safe mode"):
        load(str(file), CLASSES, None)
