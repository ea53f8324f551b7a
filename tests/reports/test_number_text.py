"""Numbers as pages show them: a true minus sign, no minus zero, no column that mixes two styles."""

import pytest

from dcdp.reports.number_text import percent, plain, plain_p, signed, signed_range
from dcdp.reports.sections import Page, Section, Table, render_sections

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (plain(-0.8216), f"{MINUS}0.822"),
        (plain(-0.0004), "0.000"),
        (plain(1e-9), "0.000"),
        (signed(-0.0139), f"{MINUS}0.014"),
        (signed(0.0004), "0.000"),
        (signed_range((-0.0229, 0.0047)), f"{MINUS}0.023 to +0.005"),
        (percent(-0.067), f"{MINUS}7 %"),
        (percent(-0.001), "0 %"),
        (percent(0.1), "+10 %"),
        (plain_p(0.0009), "< .001"),
        (plain_p(0.001), "0.001"),
        *((write(None), "\N{EN DASH}") for write in (plain, signed, signed_range, percent, plain_p)),
    ],
)
def test_a_number_is_written_in_one_way(shown, expected):
    assert shown == expected


def test_text_that_is_a_number_stands_at_the_right():
    table = Table("t", ["part", "step", "about"], [["a", percent(0.14), "x"], ["b", -0.00001, "y"]], numeric=("step",))
    page = render_sections(Page("k", "t", [], [Section("s", "", [table])]))
    assert '<th class="n">step</th><th>about</th>' in page
    assert '<td class="n">+14 %</td>' in page
    assert '<td class="n">0.000</td>' in page
