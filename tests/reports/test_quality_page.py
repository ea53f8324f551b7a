"""The quality page: self-contained, escaped, reproducible, and it shows what was found."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from dcdp.data import memory_store
from dcdp.data.declaration import inertial_signal
from dcdp.data.quality import judge, measure_store
from dcdp.records import LabelSet, Note, Recording, Segment, Signal, SignalSpec, Track
from dcdp.reports.quality import render_quality, write_quality
from dcdp.reports.quality_plots import draw_quality, presence

ACC = inertial_signal("wrist", "acc", 50.0)
HR = Signal("chest_hr", "hr", "chest", 1.0, ("chest_hr",), "bpm")
ODD = "<script>alert(1)</script> & “walk”"


def make_store(change=lambda _i, _acc: None, labels=("sit", ODD), n=5, notes=(), hr_of=range(5)):
    recordings = []
    for i in range(n):
        draw = np.random.default_rng(i)
        acc = (draw.normal(size=(2000, 3)) * 0.5 + [0, 0, 9.8]).astype(np.float32)
        change(i, acc)
        tracks = [Track(ACC, acc)]
        if i in hr_of:
            tracks.append(Track(HR, draw.normal(90, 9, (40, 1)).astype(np.float32)))
        segments = tuple(Segment(20.0 * k, 20.0 * k + 18, label) for k, label in enumerate(labels))
        recordings.append(Recording(f"<b>r{i}", f"s<{i}>", "1", tuple(tracks), segments, notes))
    return memory_store(SignalSpec((ACC, HR)), LabelSet(("sit", ODD), "null"), recordings)


def page_of(store, name="own & <set>"):
    quality = measure_store(store)
    return render_quality(name, quality, judge(quality))


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.links = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("href", "src") and value]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def lossy():
    def change(i, acc):
        if i == 1:
            acc[500:900] = np.nan
        if i == 2:
            acc[100:400, 0] = 3.0
        if i == 3:
            acc[:] = np.clip(acc * 3, -2, 2)

    note = Note("rate_jitter", "wrist_acc", 0.004, "s", "steps <spread> by 4 ms")
    silent = Note("clock", "", float("nan"), "s", "local time")
    return measure_store(make_store(change, notes=(note, silent), hr_of=(0, 1, 2, 3)))


def test_it_needs_nothing_from_outside_and_runs_nothing(lossy):
    found = Reader(render_quality("own", lossy, judge(lossy)))
    assert "script" not in found.tags
    assert all(link.startswith(("#", "data:")) for link in found.links)
    page = render_quality("own", lossy, judge(lossy))
    assert "url(http" not in page
    assert "@import" not in page


def test_names_from_files_are_escaped(lossy):
    page = render_quality("own & <set>", lossy, judge(lossy))
    assert "<script>alert" not in page
    assert "<b>r1" not in page
    assert "&lt;b&gt;r1" in page
    assert "<h1>own &amp; &lt;set&gt;</h1>" in page


def test_every_figure_is_drawn_where_there_is_something_to_show(lossy):
    drawings = draw_quality(lossy)
    assert list(drawings) == ["coverage", "balance", "presence", "timeline", "values", "gravity"]
    for drawing in drawings.values():
        ElementTree.fromstring(drawing.svg)
    whole = draw_quality(measure_store(make_store()))
    assert list(whole) == ["coverage", "balance", "values", "gravity"]
    assert "No gap beyond those that were bridged" in page_of(make_store())


def test_the_page_tells_verdict_findings_and_notes(lossy):
    text = " ".join(" ".join(Reader(render_quality("own", lossy, judge(lossy))).text).split())
    assert "fit with care" in text
    assert "every subject should wear every sensor chest_hr never on s<4>" in text
    assert "rate jitter wrist_acc 5 0.004 s" in text
    assert "a sensor should not hold one value for long wrist_acc_x up to 6.0 s ('<b>r2')" in text
    assert "clock all 5 \N{EN DASH}" in text
    assert "None" not in text
    assert not re.search(r"\bnan\b", text)


def test_copies_are_listed():
    seen = []

    def change(i, acc):
        if i == 0:
            seen.append(acc.copy())
        if i == 4:
            acc[:] = seen[0]

    text = " ".join(Reader(page_of(make_store(change))).text)
    assert "<b>r0, <b>r4" in " ".join(text.split())
    assert "40 s, all of it" in text


def test_presence_counts_gaps_and_absent_sensors(lossy):
    share = presence(lossy)
    assert share[0] == pytest.approx([1, 1])
    assert share[1] == pytest.approx([1 - 390 / 2000, 1])  # the first 0.2 s are held
    assert share[4] == pytest.approx([1, 0])


def test_a_set_without_labels_or_windows_still_has_a_page():
    page = page_of(make_store(labels=()))
    assert "not fit" in page
    assert 'id="figure-balance"' not in page


def test_the_same_figures_give_the_same_bytes(lossy, tmp_path):
    one, two = (write_quality(tmp_path / name, "own", lossy, judge(lossy)) for name in ("one.html", "two.html"))
    assert one.read_bytes() == two.read_bytes()
