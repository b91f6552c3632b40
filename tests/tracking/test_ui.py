"""MLflow's pages in a real browser: what a person who types `digitexp ui` sees and can click."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
SWEEP = ["+sweep=dense_neurons", "data.limit=150", "training.epochs=2", "search.repeats=2"]
UNITS = "model.layer_2.units"
WAIT = 30  # seconds; the machine is shared

pytestmark = pytest.mark.slow


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "digitexp", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def digitexp(folder, *words):
    process = start(folder, *words)
    output, errors = process.communicate(timeout=600)
    return process.returncode, output, errors


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder in which a small sweep was run."""
    folder = tmp_path_factory.mktemp("recorded")
    code, _, errors = digitexp(folder, *SWEEP)
    assert (code, errors) == (0, "")
    return folder


@pytest.fixture(scope="module")
def server(recorded):
    """`digitexp ui` on that sweep: the process and the page that it names."""
    process = start(recorded, "ui", "ui.port=0")
    page = re.search(r"http\S+", process.stdout.readline())
    yield process, page.group()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT)


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM} (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    """The page that `ui` names, seen for the first time, with every host that it asked."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_default_timeout(WAIT * 1000)
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    page.goto(server[1])
    page.locator(".ag-row a").first.wait_for()
    yield page
    assert hosts <= {"127.0.0.1", ""}  # data: and blob: have none
    if folder := os.environ.get("DIGITEXP_SCREENSHOTS"):  # to look at them
        page.screenshot(path=Path(folder, f"{len(list(Path(folder).iterdir())):02}.png"))
    page.close()


def names(page):
    return page.locator(".ag-row a").all_inner_texts()


def open_best(page):
    page.locator(".ag-row a").first.click()
    page.get_by_text("About this run").wait_for()


def test_it_opens_on_the_training_runs_of_the_sweep_best_first(page):
    assert "/runs?" in page.url
    expect(page.get_by_text("11 matching runs")).to_be_visible()
    expect(page.get_by_text("Evaluation runs")).to_have_count(0)  # the side for language models
    expect(page.get_by_text("Ask a question")).to_have_count(0)  # its chat
    listed = names(page)
    assert listed[-1] == "dense_neurons"  # the parent, which has no score
    assert sorted(listed[:-1]) == sorted(
        f"{UNITS}={units} seed={seed}" for units in (10, 25, 50, 75, 100) for seed in (1, 2)
    )
    cells = page.locator(".ag-row [col-id='metrics.`val/accuracy`']").all_inner_texts()
    scores = [float(cell) for cell in cells if cell.strip() not in ("", "-")]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)


def test_columns_are_the_varied_setting_and_the_scores_whole_and_in_order(page):
    first = [f"params.`{UNITS}`", "params.`seed`", "metrics.`val/accuracy`", "metrics.`test/accuracy`"]
    # From left to right, once the grid has put them in the order of the view: the rows may be there before.
    page.wait_for_function(
        """first => {
            const left = cell => cell.getBoundingClientRect().left
            const cells = [...document.querySelectorAll(".ag-header-cell")].sort((a, b) => left(a) - left(b))
            const names = cells.map(cell => cell.getAttribute("col-id")).filter(name => /^(params|metrics)/.test(name))
            return names.slice(0, first.length).join() === first.join()
        }""",
        arg=first,
    )
    cut = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.innerText)"
    assert page.locator(".ag-row a").evaluate_all(cut) == []


def test_the_second_view_groups_by_the_setting_and_shows_means_over_seeds(page):
    page.get_by_role("button", name="runs", exact=True).click()
    page.get_by_text("means-over-seeds").click()
    page.get_by_text("Group: 100").wait_for()
    assert page.get_by_text(re.compile(r"^Group: ")).count() == 5
    expect(page.get_by_text("Evaluation runs")).to_have_count(0)


def test_group_by_a_parameter_by_hand(page):
    page.get_by_role("button", name="Group by").click()
    page.get_by_placeholder("Search", exact=True).last.fill(UNITS)
    page.get_by_role("menuitemcheckbox", name=UNITS).click()
    page.get_by_text("Group: 100").wait_for()
    for units in (10, 25, 50, 75, 100):
        expect(page.get_by_text(f"Group: {units}", exact=True)).to_be_visible()


def test_a_run_shows_its_settings_under_their_dotted_names(page):
    open_best(page)
    page.get_by_placeholder("Search parameters").fill("layer_2")
    expect(page.get_by_text(f"{UNITS}", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="dense_neurons").first).to_be_visible()  # its parent


def test_a_run_shows_its_curves(page):
    open_best(page)
    page.get_by_role("tab", name="Model metrics").click()
    for section in ("test", "train", "val"):  # what is before the slash of a metric's name
        expect(page.get_by_text(section, exact=True)).to_be_attached()
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()


@pytest.mark.parametrize("path", [["val", "confusion.png"], ["curves.png"]], ids="/".join)
def test_a_run_shows_its_pictures(page, path):
    open_best(page)
    page.get_by_role("tab", name="Artifacts").click()
    for name in path:
        page.get_by_text(name, exact=True).last.click()
    page.wait_for_function("[...document.images].some(image => image.naturalWidth > 400)")


def test_runs_are_compared(page):
    for row in (0, 1):
        page.locator(f".ag-row[row-index='{row}'] .ag-selection-checkbox input").first.click()
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    expect(page.get_by_text(UNITS).first).to_be_visible()


def test_ctrl_c_ends_it_with_exit_code_0_and_leaves_no_process(recorded):
    process = start(recorded, "ui", "ui.port=0", "search.name=dense_neurons")
    address = re.search(r"http://127\.0\.0\.1:(\d+)/#/experiments/1/runs", process.stdout.readline())
    started = psutil.Process(process.pid)
    assert started.children(recursive=True) == []
    assert started.memory_info().rss < 450e6
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT)
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(address[1]))):
        pass


def test_ctrl_c_while_it_starts(recorded):
    process = start(recorded, "ui", "ui.port=0")
    time.sleep(2)  # into the imports
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT)
    # Where a library was running a string (dataclasses do), Python ends by the signal itself, whoever caught the interrupt.
    assert process.returncode in (0, 130, -signal.SIGINT), errors
    assert "Traceback" not in errors


def test_what_it_refuses(recorded, server, tmp_path):
    port = re.search(r":(\d+)/", server[1])[1]
    refused = {
        f"ui.port={port}": rf"TrackingError: ui.port={port}: something else listens there; type ui.port=\d+, or ui.port=0 .*\.",
        "ui.port=70000": r"TrackingError: ui.port=70000: .*; type ui.port=5000, or .*\.",
        "search.name=nothing": r"TrackingError: ui: no sweep nothing is recorded yet; type .*\.",
    }
    for word, sentence in refused.items():
        words = [word] if word.startswith("ui.port") else [word, "ui.port=0"]
        code, output, errors = digitexp(recorded, "ui", *words)
        assert (code, output) == (2, "")
        assert re.fullmatch(sentence, errors.strip()), errors
    assert digitexp(tmp_path, "ui")[0] == 2
