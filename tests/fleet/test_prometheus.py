# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules and the dashboard that are shipped, on the real Prometheus and Alertmanager."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from mapping import MAP_FILES
from node import CONTRIB
from processes import Process
from services import Alertmanager, Prometheus, eventually, free_port, get

RULES = CONTRIB / "prometheus/rules.yml"
DASHBOARD = CONTRIB / "grafana/gradwatch.json"


def promtool(*arguments, **options):
    run = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, cwd=RULES.parent, **options
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_rules():
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES.name)
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "rules.test.yml")


def test_each_rule_has_a_case():
    """One in which it fires, and one in which it does not."""
    cases = (RULES.parent / "rules.test.yml").read_text().split("- alertname: ")[1:]
    fires = {case.split()[0] for case in cases if "exp_alerts" in case}
    not_yet = {case.split()[0] for case in cases if "exp_alerts" not in case}
    rules = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert rules == fires
    assert rules - not_yet <= {"GradwatchLoss"}  # that case has a series of its own for it


def config(port, alertmanager):
    """The one that is shipped, with the ports of the test, and faster."""
    text = (RULES.parent / "prometheus.yml").read_text()
    text = text.replace("127.0.0.1:9465", f"127.0.0.1:{port}")
    text = text.replace("127.0.0.1:9093", f"127.0.0.1:{alertmanager}")
    text = text.replace("scrape_interval: 15s", "scrape_interval: 1s")
    text = text.replace("- rules.yml", f"- {RULES}")
    return "global: {evaluation_interval: 1s}\n" + text


@pytest.fixture
def monitored(gradwatch, puppet, any_target, tmp_path):
    """gradwatch with a process of each coverage, and Prometheus, which has scraped it already."""
    (tmp_path / "libc10.so").write_bytes(any_target.libc10().read_bytes()[:65536])
    holder = Process([sys.executable, "-c", MAP_FILES, tmp_path / "libc10.so"])
    assert holder.line() == "up", holder.stderr
    program = puppet()
    port = free_port()
    monitor = gradwatch(
        *("--pid", program.pid, "--pid", holder.pid, "--metrics", f"127.0.0.1:{port}")
    ).armed()
    alertmanager = Alertmanager(tmp_path)
    prometheus = Prometheus(tmp_path, config(port, alertmanager.port))
    eventually(
        lambda: prometheus.query('count_over_time(gradwatch_ready{job="gradwatch"}[1m]) > 2')
    )
    return SimpleNamespace(**locals())


def test_violation_becomes_an_alert(monitored):
    """One real violation: it is scraped, the alert fires, and is at Alertmanager."""
    assert "GradwatchViolation" not in monitored.prometheus.firing()
    monitored.program.run("trace", "block no_grad", "operator", "end", "end")
    monitored.monitor.wait_for("finding")
    alert = eventually(lambda: monitored.alertmanager.alerts("GradwatchViolation"))[0]
    assert alert["labels"]["kind"] == "make_fx"
    assert alert["labels"]["instance"] == f"127.0.0.1:{monitored.port}"
    assert alert["status"]["state"] == "active"
    assert "gradwatch report" in alert["annotations"]["description"]
    assert monitored.prometheus.firing() == {"GradwatchViolation"}
    check_panels(monitored)
    promtool("check", "metrics", input=get(f"http://127.0.0.1:{monitored.port}/metrics"))
    monitored.monitor.stop()


def check_panels(monitored):
    """Each query of the dashboard has an answer, and the ones for the violation show it."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$instance", ".+")
            text = text.replace("$__range", "5m").replace("$__rate_interval", "1m")
            assert "$" not in text, text
            rows = monitored.prometheus.query(text)
            assert rows, (panel["title"], text)
            found.setdefault(panel["title"], rows)
    value = lambda title: float(found[title][0]["value"][1])  # noqa: E731
    assert value("Violations") > 0
    assert value("Processes not watched") == 1
    assert value("Nodes ready") == 1
    by_kind = {row["metric"]["kind"]: float(row["value"][1]) for row in found["Findings by kind"]}
    assert by_kind["make_fx"] > 0 and not any(
        by_kind[kind] for kind in by_kind if kind != "make_fx"
    )


def test_dashboard():
    """Panels have numbers of their own, lie beside each other, and name no data source of ours."""
    text = json.loads(DASHBOARD.read_text())
    panels = text["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 12
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, y in cells) < 24
    sources = {panel["datasource"]["uid"] for panel in panels}
    sources |= {target["datasource"]["uid"] for panel in panels for target in panel["targets"]}
    assert sources == {"${datasource}"}
    assert all(panel["description"] and panel["title"] for panel in panels)


def missing(one, other, path=""):
    """What of one is not in the other, by its place in JSON."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(value, other.get(key), f"{path}/{key}") for key, value in one.items()]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(*pair, f"{path}/{i}") for i, pair in enumerate(zip(one, other))]
    else:
        return [] if one == other else [path]
    return [place for pair in pairs for place in missing(*pair)]


def test_dashboard_is_grafanas():
    """Grafana's own types know every key: what they read and write again has lost nothing."""
    plugins.register_default_plugins()
    text = json.loads(DASHBOARD.read_text())
    again = JSONEncoder(sort_keys=True).encode(Dashboard.from_json(text))
    assert missing(text, json.loads(again)) == []
    text["panels"][0]["titel"] = "x"
    again = JSONEncoder(sort_keys=True).encode(Dashboard.from_json(text))
    assert missing(text, json.loads(again)) == ["/panels/0/titel"]
