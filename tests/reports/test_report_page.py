import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from dcdp.errors import FormatError, MissingError
from dcdp.reports import write_report
from dcdp.reports.ink import COLOURS
from dcdp.reports.page import reproduce
from dcdp.reports.run_folder import read_run
from dcdp.reports.sensor_plots import draw_sensors

FIGURES = {"balance", "by_activity", "by_subject", "calibration", "embedding", "losses", "sensors", "validation"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    r"$\frac{$",
    "a & b",
    "走路 🚶",
    'bell\x07\nid="x"',
    "half \ud800 of a pair",
    "\u202ebackwards\u2066",
)


class Page(HTMLParser):
    """Collects tags, attributes and the text of titles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.titles, self._in_title = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._in_title = tag == "title"

    def handle_data(self, data):
        if self._in_title:
            self.titles.append(data)
            self._in_title = False

    def ids(self):
        return [value for name, value in self.attributes if name == "id"]


def change(run, edit):
    result = json.loads((run / "result.json").read_text())
    edit(result)
    (run / "result.json").write_text(json.dumps(result))
    return run


def figures(page):
    return set(re.findall(r'id="figure-(\w+)"', page))


@pytest.fixture
def small(made_up_run):
    return made_up_run(n_folds=2, n_subjects=6, n_epochs=3, steps_per_epoch=12, n_windows=20)


def test_page_and_figures_are_written(small):
    calls = []
    path = write_report(small, progress=lambda done, total: calls.append((done, total)))
    assert path == small / "report.html"
    assert figures(path.read_text()) == FIGURES
    assert {item.stem for item in (small / "plots").iterdir()} == FIGURES
    assert calls == [(place, len(FIGURES)) for place in range(1, len(FIGURES) + 1)]


def test_summary_shows_the_score_of_the_result(small):
    result = json.loads((small / "result.json").read_text())
    page = write_report(small).read_text()
    macro_f1 = result["test"]["macro_f1"]
    assert f'<div class="big">{macro_f1["mean"]:.3f}<small>± {macro_f1["std"]:.3f}</small>' in page
    assert "over 4 people, none of them seen in training" in page
    assert "Leak audit passed" in page


def test_same_files_give_the_same_bytes(small, tmp_path):
    copy = tmp_path / "copy" / small.name
    shutil.copytree(small, copy)
    assert write_report(small).read_bytes() == write_report(copy).read_bytes()
    for plot in (small / "plots").iterdir():
        assert plot.read_bytes() == (copy / "plots" / plot.name).read_bytes()


def test_second_report_replaces_the_first_with_the_same_bytes(small):
    first = write_report(small).read_bytes()
    assert write_report(small).read_bytes() == first


def test_drawing_leaves_the_global_settings_alone(small):
    before = dict(mpl.rcParams)
    write_report(small)
    assert dict(mpl.rcParams) == before


def test_user_settings_do_not_change_the_figures(small):
    first = write_report(small).read_bytes()
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9}):
        assert write_report(small).read_bytes() == first


def test_names_from_data_sets_cannot_become_markup(made_up_run):
    run = made_up_run(
        labels=HOSTILE,
        branches=HOSTILE[:3],
        peers=HOSTILE[:2],
        n_folds=1,
        n_subjects=6,
        n_epochs=2,
        steps_per_epoch=10,
        n_windows=30,
    )
    (run / "config.toml").write_text("# </pre><script>alert(2)</script>\n")
    evil = HOSTILE[0]
    change(
        run,
        lambda result: result.update(
            data=evil, method=evil, null_label=evil, versions={evil: evil}, machine={evil: evil}
        ),
    )
    change(run, lambda result: result["test"]["macro_f1"]["by_subject"].update({evil: 0.5}))
    change(run, lambda result: result["leak_audit"]["folds"].update({evil: {evil: evil}}))
    text = write_report(run).read_text()
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "embed", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert any(HOSTILE[0] in title and "windows" in title for title in page.titles)  # shown, as text
    assert r"$\frac{$" in text
    assert "half \ufffd of a pair" in text
    assert "\ufffdbackwards\ufffd" in text
    for plot in (run / "plots").iterdir():
        tags = {element.tag for element in ElementTree.parse(plot).iter()}
        assert not [tag for tag in tags if tag.endswith(("script", "img"))]


def test_page_refers_to_nothing_outside_itself(small):
    text = write_report(small).read_text()
    page = Page(text)
    references = [value for name, value in page.attributes if name in ("href", "src", "xlink:href", "srcset", "action")]
    assert references
    assert not [value for value in references if not value.startswith(("#", "data:"))]
    assert not [value for value in re.findall(r"url\(([^)]*)\)", text) if not value.startswith("#")]
    assert not re.findall(r"https?://|@import|<!DOCTYPE svg", text)
    assert "default-src 'none'" in text


def test_every_reference_inside_the_page_has_one_target(small):
    text = write_report(small).read_text()
    ids = Page(text).ids()
    wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    assert {first or second for first, second in wanted} <= set(ids)
    assert len(ids) == len(set(ids))


def test_figures_in_the_page_take_their_colours_from_the_scheme(small):
    text = write_report(small).read_text()
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert "var(--blue)" in drawn
    assert not [light for light, _ in COLOURS.values() if light in drawn]
    assert text.count("prefers-color-scheme: dark") == 1
    assert "var(" not in (small / "plots" / "by_subject.svg").read_text()  # a file of its own has plain colours


def test_confusion_cells_tell_their_counts(small):
    confusion = np.array(json.loads((small / "result.json").read_text())["test"]["confusion"])
    titles = Page(write_report(small).read_text()).titles
    count, total = confusion[0, 0], confusion[0].sum()
    assert f"walking taken for walking: {count} of {total} windows ({count / total:.1%})" in titles


def forest_only(run):
    def strip(result):
        keep = ("macro_f1", "accuracy", "weighted_f1", "balanced_accuracy", "per_class_f1", "confusion")
        result["test"] = {key: result["test"][key] for key in keep}
        result.update(method="forest", peers={}, branches=[], training={}, validation={})

    shutil.rmtree(run / "folds")
    (run / "config.toml").unlink()
    return change(run, strip)


def test_forest_alone_has_a_report(small):
    page = write_report(forest_only(small)).read_text()
    assert figures(page) == {"by_subject", "by_activity"}
    assert "forest on made-up" in page
    assert "From the weakest to the strongest person" in page
    assert "windows.window_s" in page  # the configuration, from the result


def test_least_result_has_a_report(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"format": 1, "test": {"macro_f1": {"mean": 0.5}}}))
    page = write_report(tmp_path).read_text()
    assert figures(page) == set()
    assert "0.500" in page
    assert "No leak audit is stored" in page


def test_figures_of_an_earlier_run_do_not_stay(small):
    write_report(small)
    write_report(forest_only(small))
    assert {item.stem for item in (small / "plots").iterdir()} == {"by_subject", "by_activity"}


def test_run_without_contrast_shows_no_contrast(small):
    for history in small.glob("folds/*/history.jsonl"):
        records = [json.loads(line) for line in history.read_text().splitlines()]
        for record in records:
            for key in [key for key in record.get("loss", {}) if key.startswith(("stage", "contrast"))]:
                record["loss"][key] = 0.0
        history.write_text("\n".join(map(json.dumps, records)))
    page = write_report(change(small, lambda result: result["test"].pop("alignment"))).read_text()
    losses = (small / "plots" / "losses.svg").read_text()
    assert "Loss and its parts" in losses
    assert "ontrast" not in losses
    assert "Alignment between branches" not in page


def test_half_written_history_is_drawn_and_told(small):
    history = next(small.glob("folds/*/history.jsonl"))
    history.write_bytes(history.read_bytes()[:-40])
    page = write_report(small).read_text()
    assert figures(page) == FIGURES
    assert "1 line of the history could not be read" in page


def test_failed_audit_is_not_hidden(small):
    page = write_report(change(small, lambda result: result["leak_audit"].update(passed=False))).read_text()
    assert "Leak audit failed" in page
    assert "none of them seen in training</p>" not in page
    assert "Leak audit passed" not in page


def test_a_split_by_session_claims_no_new_people(small):
    page = write_report(small).read_text()
    assert page.count(" on new people") == 4
    fold = next(iter(json.loads((small / "result.json").read_text())["leak_audit"]["folds"]))
    shared = lambda result: result["leak_audit"]["folds"][fold].update(shared_people=["s01"])  # noqa: E731
    page = write_report(change(small, shared)).read_text()
    assert " on new people" not in page
    for words in ("Macro-F1", "accuracy", "Alignment between branches", "Calibration"):
        assert f"{words} on known people, in new sessions" in page


def test_embedding_may_cover_some_windows_only(small):
    for path in small.glob("folds/*/predictions.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        arrays |= {"embedding": arrays["embedding"][:20], "embedding_index": np.arange(40)[::2]}
        np.savez(path, **arrays)
    assert "embedding" in figures(write_report(small).read_text())


def test_constant_embedding_is_drawn_without_warning(small):
    for path in small.glob("folds/*/predictions.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **arrays | {"embedding": np.ones_like(arrays["embedding"])})
    assert "embedding" in figures(write_report(small).read_text())


def test_ten_folds_stay_light(made_up_run):
    run = made_up_run(
        n_folds=10,
        n_subjects=10,
        branches=("a", "b", "c", "d", "e"),
        n_epochs=2,
        steps_per_epoch=60,
        n_windows=150,
        labels=tuple(f"activity number {place}" for place in range(19)),
    )
    assert write_report(run).stat().st_size < 2_500_000


def test_run_of_some_folds_says_so(made_up_run):
    note = "tested some folds of its split"
    assert note in write_report(forest_only(made_up_run("some", n_folds=2, n_subjects=6))).read_text()
    assert note not in write_report(forest_only(made_up_run("all", n_folds=3, n_subjects=6))).read_text()


def test_command_is_the_recorded_one_else_put_together(small):
    assert reproduce(read_run(small)) == (
        "dcdp train made-up --data DATA --split arena --seed 0 --peers forest --config run/config.toml --out run-again"
    )
    change(small, lambda result: result.update(command=["dcdp", "train", "my set"]))
    assert reproduce(read_run(small)) == "dcdp train 'my set'"


def test_run_without_result_is_refused(tmp_path):
    with pytest.raises(MissingError, match=r"a run must hold its result: got no file .*result\.json"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "must be JSON"),
        ("[]", "must have format 1"),
        ('{"format": 2}', "must have format 1"),
        ('{"format": 1, "test": {"macro_f1": {"mean": NaN}}}', r"must hold test\.macro_f1\.mean"),
    ],
)
def test_damaged_result_is_refused(tmp_path, text, rule):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(FormatError, match=rule):
        write_report(tmp_path)


def test_damaged_predictions_are_refused_and_nothing_is_written(small):
    path = next(small.glob("folds/*/predictions.npz"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FormatError, match=r"predictions must be readable: got .*predictions\.npz"):
        write_report(small)
    assert not (small / "report.html").exists()


def test_predictions_that_do_not_fit_each_other_are_refused(small):
    path = next(small.glob("folds/*/predictions.npz"))
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"probability": arrays["probability"][1:]})
    with pytest.raises(FormatError, match="a row per window and a column per class"):
        write_report(small)


def console_of(page, profile):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
    ]
    done = subprocess.run(
        [browser, *options, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    assert "</html>" in done.stdout
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_browser_has_nothing_to_complain_of(small, tmp_path):
    assert console_of(write_report(small), tmp_path / "profile") == []


def test_browser_complaints_would_be_seen(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<!doctype html><html><script>console.error('no')</script></html>")
    assert len(console_of(page, tmp_path / "profile")) == 1


def test_a_branch_that_was_also_trained_alone_gets_a_tick():
    heads = {"acc": 0.6, "gyr": 0.5}
    without = draw_sensors(["acc", "gyr"], heads, 0.8, {})
    one, other = (draw_sensors(["acc", "gyr"], heads, 0.8, {}, {"acc": alone}) for alone in (0.7, 0.9))
    assert len({without.svg, one.svg, other.svg}) == 3
