"""Every figure: all panels, all units, nothing overlaps; the .nc holds what is drawn."""

from __future__ import annotations

import itertools
import re

import figure_samples as samples
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D
from matplotlib.text import Text

from nbnmbt.plotting import style

PANELS = {2: "abcdefghijkl", 3: "ab", 4: "abcd", 5: "abcd", 6: "abcde", 7: "abc"}
SCHEMATIC = {2: "aei", 5: "a", 6: "a", 7: "a"}


@pytest.fixture(scope="module", params=sorted(PANELS))
def drawn_figure(request):
    figure, drawn = samples.draw(request.param)
    with style.context():
        figure.canvas.draw()
    return request.param, figure, drawn


def named_artists(figure):
    """Artists that carry the name of a drawn variable, and axes."""
    for axes in figure.axes:
        for artist in axes.get_children():
            gid = artist.get_gid()
            if gid and isinstance(artist, Line2D | QuadMesh):
                yield axes, artist, gid.partition(":")[0]


def visible_texts(figure):
    """Text that appears on the page, with its box in pixels."""
    renderer = figure.canvas.get_renderer()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-6 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                outside = not low - slack <= tick.get_loc() <= high + slack
                for label in (tick.label1, tick.label2):
                    if outside or not label.get_visible() or not axes.axison:
                        hidden.add(label)
            if not axes.axison:
                hidden |= {axis.label, axis.get_offset_text()}
    for text in figure.findobj(Text):
        if text in hidden or not text.get_visible() or not text.get_text().strip():
            continue
        yield text, text.get_window_extent(renderer)


def test_panels_are_lettered_as_in_the_paper(drawn_figure):
    number, figure, _ = drawn_figure
    letters = [t.get_text() for t in figure.texts if t.get_fontweight() == "bold"]
    assert sorted(letters) == list(PANELS[number])


def test_every_panel_is_drawn_and_kept(drawn_figure):
    number, _, drawn = drawn_figure
    kept = {str(name).split("_")[0] for name in drawn.variables}
    assert kept == set(PANELS[number]) - set(SCHEMATIC.get(number, ""))


def test_file_holds_exactly_what_is_drawn(drawn_figure):
    _, figure, drawn = drawn_figure
    seen = set()
    for _, artist, name in named_artists(figure):
        base = re.sub(r"^([a-z])_minus_Ic", r"\1_Ic", name)
        base = re.sub(r"^([a-z])_R_(up|down)$", r"\1_R", base)
        assert base in drawn.variables, f"{name} is drawn and not kept"
        values = drawn[base].values
        if isinstance(artist, QuadMesh):
            np.testing.assert_array_equal(
                np.asarray(artist.get_array()).reshape(values.shape), values
            )
        else:
            heights = np.asarray(artist.get_ydata(), float)
            across = np.asarray(artist.get_xdata(), float)
            rows = values.reshape(-1, values.shape[-1])
            # ridges are drawn with the current to the right, everything else upwards
            found = any(
                np.array_equal(candidate, row, equal_nan=True)
                for row in rows
                for candidate in (heights, across)
                if len(row) == len(candidate)
            )
            positive = np.where(rows > 0, rows, np.nan)
            found = found or any(np.array_equal(heights, r, equal_nan=True) for r in positive)
            assert found, f"the line of {name} differs from the kept variable"
        seen.add(base)
    names = {str(n) for n in drawn.data_vars}
    supporting = {n for n in names if re.search(r"(offset|factor|reference|_err|guide_I)$", n)}
    assert names - supporting <= seen, "kept but not drawn"


def test_kept_variables_have_units(drawn_figure):
    _, _, drawn = drawn_figure
    for name in drawn.variables:
        if name.endswith(("_channel", "_branch")):
            continue
        assert drawn[name].attrs.get("units"), name
        assert drawn[name].attrs.get("long_name"), name


def test_every_axis_has_a_unit(drawn_figure):
    number, figure, _ = drawn_figure
    for axes in figure.axes:
        letter = axes.get_label()
        if letter in SCHEMATIC.get(number, ()) or letter == "<colorbar>":
            continue
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [t.label1 for t in axis.get_major_ticks()]
            if not any(t.get_visible() and t.get_text() for t in ticks):
                continue
            label = axis.get_label_text()
            assert re.search(r"\(.+\)", label), f"panel {letter}: no unit in {label!r}"


def test_smallest_type_can_be_read(drawn_figure):
    _, figure, _ = drawn_figure
    sizes = {t.get_text(): t.get_fontsize() for t, _ in visible_texts(figure)}
    small = {text: size for text, size in sizes.items() if size < 6.0}
    assert not small


def test_no_text_overlaps_other_text(drawn_figure):
    _, figure, _ = drawn_figure
    boxes = list(visible_texts(figure))
    clashes = []
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        # boxes of neighbouring lines may share the empty edge of a line
        if width > 1.0 and height > 0.25 * min(a.height, b.height):
            clashes.append((one.get_text(), two.get_text()))
    assert not clashes


def test_text_stays_on_the_page(drawn_figure):
    _, figure, _ = drawn_figure
    page = figure.bbox
    for text, box in visible_texts(figure):
        assert box.x0 >= page.x0 - 1, text.get_text()
        assert box.x1 <= page.x1 + 1, text.get_text()
        assert box.y0 >= page.y0 - 1, text.get_text()
        assert box.y1 <= page.y1 + 1, text.get_text()


def test_width_is_that_of_a_journal_page(drawn_figure):
    _, figure, _ = drawn_figure
    width, height = figure.get_size_inches() * 25.4
    assert width == pytest.approx(180)
    assert height < 240


def test_stand_in_is_visible_on_synthetic_samples_only(drawn_figure):
    _, figure, _ = drawn_figure
    (mark,) = [t for t in figure.texts if "stand-in" in t.get_text()]
    assert mark.get_visible()
    assert mark.get_fontsize() >= 6


def test_measured_sample_carries_no_mark(monkeypatch):
    monkeypatch.setitem(samples.ATTRS, "provenance", "measured")
    figure, drawn = samples.draw(3)
    assert not [t for t in figure.texts if "stand-in" in t.get_text()]
    assert drawn.attrs["provenance"] == "measured"


@pytest.mark.parametrize("number", sorted(PANELS))
def test_missing_measurement_says_so_on_its_panels(number):
    figure, drawn = samples.draw_absent(number)
    panels = set(PANELS[number]) - set(SCHEMATIC.get(number, ""))
    for letter in panels:
        assert drawn.attrs[f"{letter}_not_drawn"].startswith("not measured")
        (axes, *_) = [a for a in figure.axes if a.get_label() == letter]
        assert any("not measured" in t.get_text() for t in axes.texts)
    assert not drawn.data_vars


def test_panels_of_one_missing_configuration_leave_the_others():
    from nbnmbt.plotting import fig2

    spectra = samples.spectra() | {"NbN": samples.absent("iv_nbn")}
    _, drawn = fig2.draw(
        samples.resistance(), samples.magnetoresistance(), spectra, samples.ESTIMATES
    )
    assert "l_not_drawn" in drawn.attrs
    assert "d_dVdI" in drawn
    assert "l_dVdI" not in drawn


def test_undetermined_estimates_are_not_drawn():
    from nbnmbt.plotting import fig5

    estimates = {k: samples.estimate(None, None) for k in samples.ESTIMATES}
    figure, _ = fig5.draw(
        samples.iv_temperature(),
        samples.iv_field("out-of-plane"),
        samples.iv_field("in-plane"),
        estimates=estimates,
    )
    assert not [t for t in figure.findobj(Text) if t.get_text() == "kink"]


def test_two_samples_in_one_figure_are_refused():
    from nbnmbt.plotting import fig4

    other = samples.iv_field("in-plane").assign_attrs(sample="smoke")
    with pytest.raises(ValueError, match="one sample, found smoke, surrogate"):
        fig4.draw(samples.iv_field("out-of-plane"), other)


def test_unknown_provenance_is_refused():
    from nbnmbt.plotting import fig3

    data = samples.iv_temperature().assign_attrs(provenance="unsure")
    with pytest.raises(ValueError, match="found 'unsure'"):
        fig3.draw(data)
