"""The page in a real browser: what a reader sees, in light and dark, on a desk and on a phone."""

import os
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from synthetic import make, measure
from tuneworth.errors import WriteError
from tuneworth.report import Report, build, render_html, write_html
from tuneworth.report.palette import COLOURS, DARK_PAGE, LIGHT_PAGE, SHAPES, colours, shapes
from tuneworth.results.rows import rows
from tuneworth.spec import TrialResult, TrialSpec

EVIL = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
DRAWN = "[...document.querySelectorAll('.chart')].every(e => e.dataset.drawn === THEME)"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--no-first-run"]  # fmt: skip


def state(trial: TrialSpec) -> str | TrialResult:
    if trial.method == "lora" and trial.seed == 1:
        return f"Diverged: {EVIL}"
    if trial.task == EVIL:
        return measure(trial, notes=[EVIL], environment={"device": EVIL, "torch": "2.13.0"})
    return "done"


@pytest.fixture(scope="module")
def report() -> Report:
    methods = ["head", "full", "bitfit", "houlsby", "lora", EVIL]
    study = make(state, {"bitfit": (1e-3, 2e-3)}, methods=methods, method={EVIL: {"kind": "pfeiffer"}},
                 tasks=["glue/mrpc", EVIL], fractions=[0.3, 1.0], budgets=["2epochs", "20s"], seeds=3)  # fmt: skip
    return build(rows(study, "first"), study.spec)


@pytest.fixture(scope="module")
def page_file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_html(report, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on the PATH: the report was NOT looked at in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: the report was NOT looked at")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, page_file: Path) -> Iterator[Any]:
    """Opens the page; whatever the browser complains about, or asks the network for, fails the test."""
    pages, complaints = [], []

    def open_page(width: int = 1280, theme: str = "light", file: Path = page_file) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if outside(request.url) else None)
        page.goto(file.as_uri())
        page.wait_for_function(DRAWN.replace("THEME", repr(theme)))
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def outside(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


@pytest.mark.parametrize("width", [1280, 390])
def test_every_chart_is_drawn_and_nothing_sticks_out(opened: Any, report: Report, width: int) -> None:
    page = opened(width)
    drawn = page.eval_on_selector_all(".chart", "all => all.map(e => e.querySelectorAll('svg path').length)")
    assert len(drawn) == 6 * 2
    assert min(drawn) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.eval_on_selector_all(".chart svg", "all => all.map(e => [e.getBoundingClientRect().width, "
                                      "e.closest('figure').clientWidth])")  # fmt: skip
    assert all(frame * 0.7 < svg <= frame for svg, frame in boxes)
    assert page.evaluate("window.hacked") is None
    assert page.inner_text("h1") == report.study
    said = page.inner_text("#advice")
    assert all(f"{plain.act} {plain.why}".strip() in said and plain.meaning in said for plain in report.plain)


def test_legends_are_whole_also_after_the_window_changed(opened: Any, tmp_path: Path) -> None:
    study = make(tasks=["reviews"], seeds=2)
    page = opened(1280, file=write_html(build(rows(study, "first"), study.spec), tmp_path / "legends.html"))
    cut = """() => [...document.querySelectorAll('.chart svg')].filter(svg =>
        [...svg.querySelectorAll('.role-legend-label text')].some(label =>
            label.getBoundingClientRect().bottom > svg.getBoundingClientRect().bottom ||
            label.getBoundingClientRect().right > svg.getBoundingClientRect().right)).length"""
    for width in (1280, 390, 700, 320):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        assert page.locator(".role-legend-label text").count() == 4 * 4
        assert page.evaluate(cut) == 0, width


def test_marks_are_trials(opened: Any, report: Report) -> None:
    page = opened()
    first = page.locator(".chart[data-chart=data][data-panel='0']")
    marks = first.locator(".mark-symbol.role-mark path").count()
    budget = report.featured[0].budget
    shown = [row for row in report.trials if row["task"] == "glue/mrpc" and row["budget"] == budget]
    means = {(row["method"], row["fraction"]) for row in shown}
    assert marks == len(shown) + len(means)


def test_choosing_a_budget_redraws_the_charts(opened: Any) -> None:
    page = opened()
    place = ".chart[data-chart=progress][data-panel='0'] svg"
    before = page.locator(place).inner_html()
    page.select_option("select[name=budget]", "2epochs")
    page.wait_for_function(f'before => document.querySelector("{place}").innerHTML !== before', arg=before)


def test_a_choice_without_trials_says_so(opened: Any, tmp_path: Path) -> None:
    """An unfinished study: the second task has no trial under the longer budget yet."""

    def unfinished(trial: TrialSpec) -> str:
        return "pending" if trial.task == "reviews" and str(trial.budget) == "20s" else "done"

    study = make(unfinished, tasks=["glue/mrpc", "reviews"], budgets=["2epochs", "20s"], seeds=3)
    page = opened(file=write_html(build(rows(study, "first"), study.spec), tmp_path / "unfinished.html"))
    for budget, empty in (("2epochs", set()), ("20s", {"reviews"})):
        page.select_option("select[name=budget]", budget)
        page.wait_for_timeout(500)
        for number, task in enumerate(("glue/mrpc", "reviews")):
            place = f".chart[data-chart=data][data-panel='{number}']"
            said = page.evaluate("place => getComputedStyle(document.querySelector(place), '::after').content", place)
            assert ("No trial of this yet" in said) == (task in empty), (budget, task)


def test_a_saved_chart_is_svg_on_its_own(opened: Any) -> None:
    page = opened()
    with page.expect_download() as download:
        page.locator("a.save").first.click()
    assert download.value.suggested_filename == "first-overview-glue-mrpc.svg"
    svg = Path(download.value.path()).read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg
    assert "glue/mrpc" in svg
    assert "houlsby" in svg
    with page.expect_download() as again:
        page.locator("a.save").first.click()
    assert Path(again.value.path()).read_text(encoding="utf-8").startswith("<svg")


def test_dark_differs_and_charts_follow_a_change(opened: Any) -> None:
    look = "() => [getComputedStyle(document.body).backgroundColor, document.querySelector('.chart svg').outerHTML]"
    page = opened(theme="light")
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(DRAWN.replace("THEME", "'dark'"))
    dark = page.evaluate(look)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(21, 24, 29)"
    assert light[1] != dark[1]
    with page.expect_download() as download:
        page.locator("a.save").first.click()
    assert f'fill="{DARK_PAGE}"' in Path(download.value.path()).read_text(encoding="utf-8"), "readable on its own"


def test_the_first_screen_is_the_advice_in_everyday_words(opened: Any, report: Report) -> None:
    page = opened()
    assert page.locator("#advice .act").first.bounding_box()["y"] < 300
    visible = page.inner_text("#advice")
    assert not re.search(r"CI|bootstrap|p-value|confidence|interval|paired", visible), "jargon stays in the details"
    assert page.locator("#advice .grade .badge").all_inner_texts() == [
        f"{'No' if plain.grade == 'none' else plain.grade.capitalize()} evidence" for plain in report.plain
    ]  # fmt: skip
    page.locator("#advice .words summary").click()
    assert "95% CI" in page.inner_text("#advice .words")


def test_the_reader_chooses_the_cost(opened: Any) -> None:
    page = opened()
    first = page.locator("#cost .chart").first
    assert "Training time" in first.inner_text()
    page.locator("select[name=cost]").select_option(label="Delta size")
    page.wait_for_function("document.querySelector('#cost .chart').textContent.includes('Delta size')")
    assert "Training time" not in first.inner_text()


def test_claims_show_their_words_their_verdict_and_their_cells(opened: Any, tmp_path: Path) -> None:
    claim = {"says": f"BitFit {EVIL}", "test": "equivalent", "method": "bitfit", "against": "full", "margin": 9.0}
    study = make(seeds=4, methods=["full", "bitfit"], claim={"match": claim})
    spec = study.spec.model_copy(update={"stated": {"match": 3}})
    page = opened(390, file=write_html(build(rows(study, "first"), spec), tmp_path / "claims.html"))
    shown = page.locator("#claims details")
    assert shown.locator("summary").inner_text().split("\n")[0] == "Supported"
    assert "stated after 3 trials had finished" in shown.inner_text()
    assert "inconsistent gain" not in page.inner_text("#claims")
    assert not page.locator("#claims table").is_visible()
    shown.locator("summary").click()
    assert page.locator("#claims tbody tr").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("window.hacked") is None


def test_the_study_file_can_be_saved(opened: Any, report: Report) -> None:
    page = opened()
    with page.expect_download() as download:
        page.locator("a[download='first.toml']").click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == report.study_file


@pytest.mark.parametrize("what", ["pending", "lost", "one trial"])
def test_poor_studies_make_clean_pages_too(opened: Any, tmp_path: Path, what: str) -> None:
    study = make("done" if what == "one trial" else what, methods=["full"], seeds=1)
    report = build(rows(study, "first"), study.spec)
    page = opened(390, file=write_html(report, tmp_path / "poor.html"))
    assert page.locator(".chart svg.marks").count() == (4 if what == "one trial" else 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_headings_form_a_tree_and_tables_name_their_cells(opened: Any) -> None:
    page = opened()
    levels = page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator(".chart:not([aria-label]), select:not(label select)").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(opened: Any, width: int, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: accessibility NOT checked")
    page = opened(width, theme)
    found = axe.Axe().run(page).response["violations"]
    serious = [(one["id"], [node["target"] for node in one["nodes"]][:5]) for one in found
               if one["impact"] in ("serious", "critical")]  # fmt: skip
    assert serious == []


def test_a_chart_is_one_sentence_and_its_marks_are_no_noise(opened: Any, report: Report) -> None:
    page = opened()
    says = page.eval_on_selector_all(
        ".chart", "all => all.map(e => [e.getAttribute('role'), e.getAttribute('aria-label')])"
    )
    assert {role for role, _ in says} == {"img"}
    best = report.advice[0].candidates[0]
    assert f"{best.method} {best.score:.1f}" in says[0][1]
    assert page.locator(".chart svg:not([aria-hidden=true]), .chart [tabindex]").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0


def test_the_keyboard_picks_methods_in_all_charts(opened: Any) -> None:
    page = opened()
    faint = """() => document.querySelectorAll('.chart[data-chart=data] .mark-symbol.role-mark path[opacity="0.08"]').length"""
    assert page.evaluate(faint) == 0
    page.locator(".methods button").first.focus()
    page.keyboard.press("Space")
    page.wait_for_function(f"({faint})() > 10")
    assert page.locator(".methods button[aria-pressed=true]").count() == 1
    page.keyboard.press("Space")
    page.wait_for_function(f"({faint})() === 0")


def test_on_a_phone_no_table_runs_sideways_and_headings_stay_in_sight(opened: Any) -> None:
    page = opened(390)
    wide = "all => all.filter(e => e.querySelector('table') && e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)"
    assert page.eval_on_selector_all(".scroll", wide) == []
    assert page.locator("table.sortable tbody tr").count() > 0
    assert page.locator("td:visible[data-label='Difference']").count() > 0
    wide_page = opened(1280)
    for target in ("stability", "cost", "time"):
        wide_page.evaluate(
            "target => { document.documentElement.style.scrollBehavior = 'auto'; location.hash = target }", target
        )
        wide_page.wait_for_timeout(100)
        bar = wide_page.locator("form.choices").bounding_box()
        assert wide_page.locator(f"#{target} h2").bounding_box()["y"] >= bar["y"] + bar["height"], target


def test_the_whole_grid_is_one_table_that_sorts(opened: Any) -> None:
    page = opened()
    table = page.locator("table.sortable").first
    assert table.locator("thead th").count() == 1 + 2 * 2
    table.locator("thead button").last.click()
    shown = [
        float(value)
        for value in table.locator("tbody td:last-child").evaluate_all("all => all.map(e => e.dataset.value)")
    ]
    assert shown == sorted(shown, reverse=True)
    assert table.locator("thead th").last.get_attribute("aria-sort") == "descending"
    assert table.locator("tbody td:last-child b").count() == 1


def test_commands_break_between_words_alone(opened: Any) -> None:
    heights = "all => all.map(e => e.getClientRects().length)"
    assert set(opened(390).eval_on_selector_all(".next code span", heights)) == {1}


def test_data_is_never_markup(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "<img src=x" not in text
    assert text.count("</script>") == 4


def test_the_page_needs_nothing_from_elsewhere_and_is_small(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    markup = re.sub(r"(?s)<script>.*?</script>", "", text)
    assert re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(?!data:)", markup) == []
    assert "default-src 'none'" in text
    assert page_file.stat().st_size < 2_000_000


def test_the_same_report_makes_the_same_page(report: Report) -> None:
    assert render_html(report) == render_html(report)


def test_writing_replaces_a_report_and_leaves_nothing_beside(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_html(report, path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o444 == 0o666 & ~_umask() & 0o444


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_path_that_cannot_be_written_is_the_users_mistake(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, problem in (
        (tmp_path / "missing" / "report.html", "there is no directory"),
        (tmp_path, "is a directory"),
        (tmp_path / "file" / "report.html", "there is no directory"),
        (tmp_path / ("long" * 100), "cannot write"),
    ):
        with pytest.raises(WriteError, match=problem) as caught:
            write_html(report, path)
        assert caught.value.remedy


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("page_colour", [LIGHT_PAGE, DARK_PAGE])
@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_stands_out_from_both_pages(colour: str, page_colour: str) -> None:
    low, high = sorted((luminance(colour), luminance(page_colour)))
    assert (high + 0.05) / (low + 0.05) >= 3, "WCAG 1.4.11, contrast of graphics"


def test_methods_look_unlike_one_another() -> None:
    names = [str(number) for number in range(len(COLOURS) * len(SHAPES))]
    assert len(set(zip(colours(names), shapes(names), strict=True))) == len(names)
