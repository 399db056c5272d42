# SPDX-License-Identifier: GPL-2.0-or-later
"""The page in Chromium."""

import os
import pathlib

import logs
import pytest
from conftest import LOG, gradwatch, wait_for
from enlarge import enlarge

HOSTILE = (
    "</script><img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
)


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    gradwatch("report", "--html", path, LOG)
    return path


def texts(browser, selector):
    script = "return [...document.querySelectorAll(arguments[0])].map((n) => n.textContent)"
    return browser.execute_script(script, selector)


def search(browser, text):
    """Returns what is found, and the ms until it was drawn."""
    return browser.execute_async_script(
        """
        const [text, done] = arguments, input = document.getElementById('search');
        const from = performance.now();
        input.value = text;
        input.dispatchEvent(new Event('input'));
        const found = performance.now() - from;
        requestAnimationFrame(() => setTimeout(() => done(
            [document.getElementById('search-result').textContent, found,
             performance.now() - from])));
        """,
        text,
    )


def errors(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def keep(browser, name):
    """A picture for people, if they want it."""
    if folder := os.environ.get("SCREENSHOTS"):
        browser.save_screenshot(str(pathlib.Path(folder) / f"{name}.png"))


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_findings_are_shown(browser, look, open_page, page, width, colours):
    look(width, 1200, colours)
    open_page(page)
    assert texts(browser, ".large") == ["Violations at 2 places, 1 note"]
    assert texts(browser, ".card .title") == ["VIOLATION", "VIOLATION", "NOTE"]
    assert texts(browser, ".card .count") == ["6 times", "1 time", "1 time"]
    assert texts(browser, ".card .place")[0] == (
        "/home/user/model/encoder.py:13 in Encoder.forward"
    )
    assert "trace with pre_dispatch=True" in texts(browser, ".card .advice")[0]
    # Nothing is wider than the window, and the ground is what was asked for.
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    red = int(ground[4:].split(",")[0])
    assert red < 60 if colours == "dark" else red > 200
    keep(browser, f"page-{width}-{colours}")
    browser.execute_script("document.getElementById('theme').click()")
    other = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert other != ground
    assert not errors(browser)


def test_stack_is_folded(browser, open_page, page, records):
    open_page(page)
    assert texts(browser, ".card .stack li") == []
    browser.execute_script("document.querySelector('.card details').open = true")
    stack = wait_for(lambda: texts(browser, ".card .stack li"))
    finding = next(r for r in records if r["type"] == "finding" and r["user"]["line"] == 13)
    assert stack == [f"{f['file']}:{f['line']} in {f['function']}" for f in finding["stack"]]
    users = texts(browser, ".card .stack li.user")
    assert users and all("/home/user/" in text for text in users)


def coloured(browser):
    """How many pixels of the time line have which colour."""
    return browser.execute_async_script(
        """
        const done = arguments[0], canvas = document.getElementById('canvas');
        requestAnimationFrame(() => requestAnimationFrame(() => {
            const pen = canvas.getContext('2d');
            const bytes = pen.getImageData(0, 0, canvas.width, canvas.height).data;
            const style = getComputedStyle(document.documentElement), found = {};
            for (const name of ['trace', 'off', 'violation', 'select']) {
                const hex = style.getPropertyValue(`--${name}`).trim();
                const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
                found[name] = 0;
                for (let i = 0; i < bytes.length; i += 4)
                    found[name] += bytes[i] === r && bytes[i + 1] === g && bytes[i + 2] === b;
            }
            done(found);
        }));
        """
    )


def test_time_line(browser, open_page, page):
    open_page(page)
    pixels = coloured(browser)
    assert pixels["trace"] > 50 and pixels["violation"] > 50 and pixels["select"] == 0
    browser.execute_script("document.querySelector('.card .foot button').click()")
    pixels = coloured(browser)
    assert pixels["off"] > 50 and pixels["select"] > 50
    (title,) = texts(browser, "#detail h3")
    assert title.startswith("VIOLATION: grad mode on -> off inside a trace")
    assert any("encoder.py:13 in Encoder.forward" in text for text in texts(browser, "#detail li"))
    keep(browser, "time-line")
    # A click on the trace beside the mark selects the trace.
    browser.execute_script("document.querySelector('[data-do=next]').click()")
    coloured(browser)
    browser.execute_script(
        """
        const box = document.getElementById('canvas').getBoundingClientRect();
        const thread = document.getElementById('scroller');
        for (let y = 26; y < box.height; y += 4)
            for (const x of [0.13, 0.85]) {
                thread.dispatchEvent(new MouseEvent('click', {
                    clientX: box.left + box.width * x, clientY: box.top + y, bubbles: true }));
                if (/^trace /.test(document.querySelector('#detail h3')?.textContent)) return;
            }
        """
    )
    (title,) = texts(browser, "#detail h3")
    assert title.startswith("trace ") and "make_fx" in title
    assert not errors(browser)


def test_search(browser, open_page, page):
    open_page(page)
    found, _, _ = search(browser, "encoder.py TOGGLES")
    assert found.startswith("1 finding, ")
    assert texts(browser, ".card .place") == ["/home/user/model/encoder.py:19 in toggles"]
    found, _, _ = search(browser, "no such words")
    assert found.startswith("0 findings, 0 events") and texts(browser, ".card") == []
    search(browser, "")
    assert len(texts(browser, ".card")) == 3


def test_hostile_names_are_text(browser, open_page, records, tmp_path):
    events = [logs.hostile(record, HOSTILE) for record in logs.events_of(records)]
    logs.write_events(tmp_path / "events", events)
    gradwatch("report", "--html", tmp_path / "page.html", tmp_path / "events")
    open_page(tmp_path / "page.html")
    assert HOSTILE in texts(browser, ".card .place")[0]
    browser.execute_script("document.querySelector('.card .foot button').click()")
    browser.execute_script(
        "for (const fold of document.querySelectorAll('details')) fold.open = true"
    )
    assert wait_for(lambda: [t for t in texts(browser, ".stack li") if HOSTILE in t])
    search(browser, "onerror")
    assert texts(browser, "img") == [] and len(texts(browser, "script")) == 1
    assert "owned" not in browser.title.split(" - ")[-1] and browser.title.endswith("report")
    assert not errors(browser)


def test_nothing_was_seen(browser, open_page, tmp_path, records):
    """A log without a trace, and one of findings alone."""
    few = [r for r in records if r["type"] in ("start", "attached")]
    findings = few + [r for r in records if r["type"] == "finding"]
    for kept, title in ((few, "No finding is shown"), (findings, "Violations at 2 places, 1 note")):
        logs.write_events(tmp_path / "events", logs.events_of(kept))
        gradwatch("report", "--html", tmp_path / "page.html", tmp_path / "events")
        open_page(tmp_path / "page.html")
        assert texts(browser, ".large") == [title]
        browser.execute_script("document.querySelector('[data-do=next]').click()")
        coloured(browser)
        assert len(texts(browser, "#detail h3")) == (kept is findings)
        assert any("no trace was seen" in text for text in texts(browser, ".warning")) == (
            kept is few
        )
        assert not errors(browser)


def test_100000_events(browser, open_page, records, tmp_path):
    """Sizes are what is promised; times are told (they are of this machine, just now)."""
    lines = enlarge(records, 100_000)
    (tmp_path / "events").write_text("\n".join(lines) + "\n")
    gradwatch("report", "--html", tmp_path / "page.html", tmp_path / "events")
    size = (tmp_path / "page.html").stat().st_size
    assert size <= 2_000_000
    ready = open_page(tmp_path / "page.html")
    counts = "return document.querySelectorAll('.card').length"
    assert browser.execute_script(counts) == 3
    assert not any("Left out" in text for text in texts(browser, ".warning"))
    times = []
    for words in ("encoder.py forward", "proxy_tensor", "no_grad __enter__", "toggles 107", "none"):
        found, searched, drawn = search(browser, words)
        times.append(f"'{words}' {searched:.1f} ms, drawn after {drawn:.0f} ms ({found})")
        assert found.startswith("0 findings, 0 events") == (words == "none")
    print(f"\n100,000 events: page {size} bytes, usable after {ready} ms; search: ", end="")
    print("; ".join(times))
    keep(browser, "page-100000")
    assert not errors(browser)


def test_larger_log_says_what_is_left_out(browser, open_page, records, tmp_path):
    (tmp_path / "events").write_text("\n".join(enlarge(records, 130_000)) + "\n")
    gradwatch("report", "--html", tmp_path / "page.html", tmp_path / "events")
    assert (tmp_path / "page.html").stat().st_size <= 2_000_000
    open_page(tmp_path / "page.html")
    (warning,) = [text for text in texts(browser, ".warning") if text.startswith("Left out")]
    assert "changes" in warning and "counts above are of the whole log" in warning
