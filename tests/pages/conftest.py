# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of logs of real runs (tests/logs), in the real programs that show them."""

import functools
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
import viztracer
from selenium import webdriver

REPO = pathlib.Path(__file__).parents[2]
LOG = REPO / "tests/logs/threads-2.13.jsonl"
DEADLINE = 120

sys.path.insert(0, str(REPO / "tests/e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))


def gradwatch(*arguments):
    binary = os.environ.get("GRADWATCH_BINARY") or REPO / "build/gradwatch"
    result = subprocess.run(
        [binary, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE
    )
    assert result.returncode == 0, result.stderr
    return result


def wait_for(what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def records():
    return [json.loads(line) for line in LOG.read_text().splitlines()]


@pytest.fixture(scope="session")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(DEADLINE)
    yield driver
    driver.quit()


@pytest.fixture
def look(browser):
    """Sets how large the window is and which colours the user likes."""

    def set_to(width, height, colours):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": colours}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    set_to(1280, 1000, "light")
    return set_to


@pytest.fixture
def open_page(browser, look):
    """Opens a page, and returns after how many ms it could be used."""

    def opened(path):
        browser.get_log("browser")
        browser.get(f"file://{path}")
        ready = "return document.documentElement.dataset.ready"
        return int(wait_for(lambda: browser.execute_script(ready)))

    return opened


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Perfetto's real page on loopback; files of the folder are beside it."""
    folder = tmp_path_factory.mktemp("web")
    dist = pathlib.Path(viztracer.__file__).parent / "web_dist"
    for path in dist.iterdir():
        (folder / path.name).symlink_to(path)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
