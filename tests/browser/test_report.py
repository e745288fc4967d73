"""The report in a real browser, opened from disk: sort, filter, open, zoom, hover, read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import report_sample
from browsing import by, visit, wait, window

LIGHT, DARK = "light", "dark"


def see(driver, report: Path, page: str, *, width=1400, height=1000, theme=LIGHT) -> None:
    window(driver, width, height)
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    file, place, name = page.partition("#")
    visit(driver, (report / file).as_uri() + place + name)


def shown_claims(driver) -> list[str]:
    return [body.get_attribute("id") for body in by(driver, "table.claims tbody:not([hidden])")]


def press(driver, element) -> None:
    """Press as from the keyboard: what a mouse can do must be reachable without one."""
    from selenium.webdriver.common.keys import Keys

    driver.execute_script("arguments[0].focus()", element)
    assert driver.switch_to.active_element == element, "cannot be focused"
    element.send_keys(Keys.ENTER)


def test_says_first_that_the_sample_is_a_stand_in(driver, report):
    see(driver, report, "index.html")
    assert "synthetic stand-in, not measured data" in by(driver, ".announcement")[0].text
    note = by(driver, ".stand-in")[0]
    assert note.text.startswith("Synthetic stand-in.")
    assert "No one measured this sample" in note.text
    assert "A test's own <sample> & its description" in note.text


def test_claims_are_sorted_by_their_columns(driver, report):
    see(driver, report, "index.html")
    as_written = shown_claims(driver)
    assert as_written == sorted(as_written)
    assert len(as_written) == 35
    heads = {head.get_attribute("data-sort"): head for head in by(driver, ".claims th[data-sort]")}
    press(driver, by(driver, ".claims th[data-sort=verdict] button")[0])
    assert heads["verdict"].get_attribute("aria-sort") == "ascending"
    orders = [int(b.get_attribute("data-order")) for b in by(driver, ".claims tbody")]
    assert orders == sorted(orders)
    assert len(set(orders)) == 4
    press(driver, by(driver, ".claims th[data-sort=published] button")[0])
    press(driver, by(driver, ".claims th[data-sort=published] button")[0])
    assert heads["published"].get_attribute("aria-sort") == "descending"
    assert heads["verdict"].get_attribute("aria-sort") is None
    values = [b.get_attribute("data-published") for b in by(driver, ".claims tbody")]
    numbers = [float(v) for v in values if v]
    assert numbers == sorted(numbers, reverse=True)
    # what has no value comes last, whichever way round
    assert all(values[: len(numbers)])
    assert not any(values[len(numbers) :])


def test_claims_are_filtered_by_verdict_and_word(driver, report):
    see(driver, report, "index.html")
    button = by(driver, ".filters [data-filter='not supported']")[0]
    press(driver, button)
    shown = by(driver, ".claims tbody:not([hidden])")
    assert {b.get_attribute("data-verdict") for b in shown} == {"not supported"}
    assert str(len(shown)) in button.text
    assert button.get_attribute("aria-pressed") == "true"
    assert by(driver, "#claim-count")[0].text == f"{len(shown)} of 35 claims"
    press(driver, by(driver, ".filters [data-filter='']")[0])
    by(driver, "#claim-search")[0].send_keys("zebra")
    assert shown_claims(driver) == [report_sample.SEARCHED]
    # the tally at the top filters too
    by(driver, "#claim-search")[0].clear()
    by(driver, "#claim-search")[0].send_keys(" ")
    driver.execute_script(
        "arguments[0].click()", by(driver, ".tally a[data-verdict=inconclusive]")[0]
    )
    shown = by(driver, ".claims tbody:not([hidden])")
    assert {b.get_attribute("data-verdict") for b in shown} == {"inconclusive"}


def test_a_claim_opens_and_tells_everything(driver, report):
    see(driver, report, "index.html")
    body = by(driver, "#C01")[0]
    more = by(driver, "#C01-more")[0]
    assert not more.is_displayed()
    opener = by(driver, "#C01 .opener")[0]
    press(driver, opener)
    assert more.is_displayed()
    assert opener.get_attribute("aria-expanded") == "true"
    words = [term.text for term in by(driver, "#C01-more dt")]
    assert {"Quote", "Published", "Found", "Verdict", "Definition", "Sensitivity"} <= set(words)
    assert "holds in 57 of 64 variants; fails when window < 2 K" in more.text
    assert re.search(r"10\.8\d+\(\d+\) K", more.text)
    assert by(driver, "#C01-more a.thumb")[0].get_attribute("href").endswith("fig2.html")
    # a click on the row closes it again
    by(driver, "#C01 .c-statement")[0].click()
    assert "open" not in body.get_attribute("class")


def test_a_link_to_a_claim_opens_it(driver, report):
    see(driver, report, "index.html#C20")
    assert by(driver, "#C20-more")[0].is_displayed()
    assert not by(driver, "#C19-more")[0].is_displayed()


def test_without_script_everything_is_there(report):
    text = (report / "index.html").read_text(encoding="utf-8")
    assert 'class="filters" role="group" aria-label="Show claims by verdict" hidden' in text
    css = (report / "_static" / "report.css").read_text(encoding="utf-8")
    rules = [line for line in css.splitlines() if "tr.more" in line and "display: none" in line]
    assert rules
    assert all(line.startswith(".js ") for line in rules)


def test_figure_zooms_from_the_keyboard(driver, report):
    from selenium.webdriver.common.keys import Keys

    see(driver, report, "fig5.html")
    press(driver, by(driver, "button.zoom")[0])
    picture = by(driver, "dialog.zoomed img")[0]
    wait(driver, lambda: picture.size["height"] > 100)
    before = picture.size["width"]
    driver.switch_to.active_element.send_keys("+")
    assert picture.size["width"] == pytest.approx(1.5 * before, rel=0.05)
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait(driver, lambda: not by(driver, "dialog.zoomed"))
    assert driver.switch_to.active_element == by(driver, "button.zoom")[0]


def cut_of(driver) -> list[float]:
    """The line cut of the page's only map."""
    return driver.execute_script(
        "return [...Bokeh.documents[0].get_model_by_name('cut').data.dvdi]"
    )


def test_moving_over_a_map_draws_the_cut(driver, report):
    from selenium.webdriver.common.action_chains import ActionChains

    see(driver, report, "fig3.html")
    place = by(driver, "[data-map=fig3a]")[0]
    driver.execute_script("arguments[0].scrollIntoView({block: 'start'})", place)
    slider = by(driver, "#row-fig3a")[0]
    assert slider.is_enabled(), "the tab key would pass it by"
    wait(driver, lambda: "drawn" in place.get_attribute("class"))
    readout = by(driver, "#readout-fig3a")[0]
    first, cut = readout.text, cut_of(driver)
    measured = report_sample.figure_samples.iv_temperature()["dVdI"].squeeze()
    np.testing.assert_allclose(cut, measured.sel(T=2.0), rtol=1e-3)
    assert first.startswith("T = 2 K: Ic0 = ")
    wait(driver, lambda: place.size["height"] > 500)
    top = -place.size["height"] // 2

    def hovered() -> bool:
        # a map that is still being laid out does not feel the cursor yet: move until it does
        for step in (0, 2):
            moves = ActionChains(driver, duration=50)
            moves.move_to_element_with_offset(place, step, top + 150 + step).perform()
        return readout.text != first

    wait(driver, hovered)
    kelvin = float(re.match(r"T = ([\d.]+) K", readout.text)[1])
    assert 5 < kelvin < 12, "the cut is not where the cursor is"
    nearest = measured.sel(T=kelvin, method="nearest")
    np.testing.assert_allclose(cut_of(driver), nearest, rtol=1e-3)
    # hovering says I, T and dV/dI
    tooltip = wait(driver, lambda: tooltip_text(driver))
    assert re.search(r"I:?\s*-?\d", tooltip)
    assert re.search(rf"T:?\s*{kelvin:g}", tooltip)
    assert re.search(r"dV/dI:?\s*\d+\.\d+ Ω", tooltip)
    # the slider does the same from the keyboard
    from selenium.webdriver.common.keys import Keys

    slider.send_keys(Keys.HOME)
    assert readout.text == first
    assert cut_of(driver) == cut


def tooltip_text(driver) -> str:
    """Text of Bokeh's tooltip, which lives in shadow trees."""
    return driver.execute_script(
        """const found = [];
        const walk = (root) => root.querySelectorAll('*').forEach((e) => {
          if (e.shadowRoot) walk(e.shadowRoot);
          if (e.matches('.bk-tooltip-row-value, .bk-tooltip-row-label'))
            found.push(e.textContent.trim());
        });
        walk(document);
        return found.join(' ');"""
    )


def test_every_map_is_drawn_or_says_that_it_was_not_measured(driver, report):
    for page, drawn, missing in (("fig4.html", 1, 1), ("fig6.html", 4, 0)):
        see(driver, report, page)
        places = by(driver, "[data-map]")
        assert len(places) == drawn
        for place in places:
            driver.execute_script("arguments[0].scrollIntoView()", place)
            wait(driver, lambda place=place: "drawn" in place.get_attribute("class"))
        absent = [s for s in by(driver, "section.map") if "Not measured" in s.text]
        assert len(absent) == missing
        errors = [e for e in driver.get_log("browser") if e["level"] == "SEVERE"]
        assert not errors


def test_a_notebook_page_is_reached_from_its_figure(driver, report):
    see(driver, report, "fig3.html")
    links = by(driver, "article a[href='notebooks/fig3_temperature_spectra.html']")
    press(driver, links[0])
    wait(driver, lambda: "Step 1" in driver.page_source)
    assert by(driver, "article div.highlight"), "no code"
    pictures = by(driver, "article .cell_output img")
    assert pictures
    for picture in pictures:
        assert driver.execute_script("return arguments[0].naturalWidth", picture) > 100
        assert len(picture.get_attribute("alt")) > 40
    formulas = by(driver, "article math")
    assert formulas
    assert "$" not in by(driver, "article blockquote")[0].text


PAGES = ("index", "fig2", "fig3", "inconsistencies", "studies", "quality", "workflow", "software")


@pytest.mark.parametrize(
    ("theme", "pages", "rules"),
    [
        # colours are all that a dark theme changes
        # fig3 has all that fig2 has, and a map
        (LIGHT, (*(p for p in PAGES if p != "fig2"), "notebooks/fig2_transport_properties"), None),
        (
            DARK,
            ("index", "fig3", "inconsistencies", "workflow", "notebooks/fig2_transport_properties"),
            "contrast",
        ),
    ],
    ids=[LIGHT, DARK],
)
def test_accessibility_linter_finds_nothing_serious(driver, report, theme, pages, rules):
    axe = pytest.importorskip("selenium_axe_python", reason="selenium-axe-python is not installed")
    options = {"resultTypes": ["violations"]}
    if rules == "contrast":
        options["runOnly"] = {"type": "rule", "values": ["color-contrast"]}
    found = {}
    for page in pages:
        see(driver, report, f"{page}.html", theme=theme)
        if page == "fig3":
            driver.execute_script("document.querySelector('[data-map]').scrollIntoView()")
            wait(driver, lambda: by(driver, ".plot.drawn"))
        if page == "index":
            driver.execute_script(
                "for (const n of [0, 3, 5, 7]) document.querySelectorAll('.opener')[n].click()"
            )
        checker = axe.Axe(driver)
        checker.inject()
        result = checker.run(options=options)
        assert result["testEngine"]["name"] == "axe-core"
        for violation in result["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [node["html"][:160] for node in violation["nodes"][:3]]
                found[page, violation["id"]] = (violation["help"], nodes)
    assert not found


# a phone, a tablet, either side of where the theme changes its layout, a laptop, a large screen
@pytest.mark.parametrize("wide", [375, 800, 1080, 1280, 1330, 1920])
def test_no_page_needs_sideways_scrolling(driver, report, wide):
    for page in (*PAGES, "fig6", "notebooks/fig2_transport_properties"):
        see(driver, report, f"{page}.html", width=wide, height=844)
        width = driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= wide, f"{page} is {width} pixels wide"


def test_on_a_laptop_no_column_of_a_table_is_cut_off(driver, report):
    for page in ("index", "fig2", "fig6", "quality", "workflow"):
        see(driver, report, f"{page}.html", width=1280, height=800)
        for box in by(driver, ".scroll"):
            cut = "return arguments[0].scrollWidth - arguments[0].clientWidth"
            assert driver.execute_script(cut, box) <= 0, (page, box.text[:60])


def test_on_a_phone_a_number_is_read_without_scrolling(driver, report):
    see(driver, report, "fig2.html", width=375, height=780)
    box = by(driver, ".scroll:has(.numbers)")[0]
    assert driver.execute_script("return arguments[0].scrollWidth", box) <= 375
    cell = by(driver, ".numbers td")[0]
    shown = "return getComputedStyle(arguments[0], '::before').content"
    assert "This sample" in cell.get_attribute("data-name")
    assert "none" not in driver.execute_script(shown, cell)


def test_printed_page_opens_all_claims_and_hides_controls(driver, report):
    see(driver, report, "index.html")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    try:
        assert by(driver, "#C35-more")[0].is_displayed()
        assert not by(driver, ".filters")[0].is_displayed()
        assert not by(driver, ".sidebar-drawer")[0].is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_first_view_comes_at_once(driver, report):
    see(driver, report, "index.html")
    paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    assert wait(driver, lambda: driver.execute_script(paint), seconds=5) < 2000


def test_report_of_the_default_sample(driver, surrogate):
    report = surrogate / "report"
    total = sum(path.stat().st_size for path in report.rglob("*") if path.is_file())
    assert total < 15e6
    see(driver, report, "index.html")
    paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    assert wait(driver, lambda: driver.execute_script(paint), seconds=5) < 2000
    verdicts = [b.get_attribute("data-verdict") for b in by(driver, ".claims tbody")]
    assert len(verdicts) == 35
    see(driver, report, "fig6.html")
    driver.execute_script("document.getElementById('map-fig6e').scrollIntoView()")
    wait(driver, lambda: by(driver, "#map-fig6e .plot.drawn"))
    assert re.match(r"θ = 0°: Ic0 = 0\.\d+\(\d+\) mA", by(driver, "#readout-fig6e")[0].text)
    assert not [e for e in driver.get_log("browser") if e["level"] == "SEVERE"]
