# SPDX-License-Identifier: GPL-2.0-or-later
"""The names that OpenTelemetry knows records by: the table, its configuration and README agree.

Sending real records through a real collector is make check-otel.
"""

import re

import yaml
from node import CONTRIB, REPO


def table():
    lines = (CONTRIB / "otelcol/attributes.tsv").read_text().splitlines()
    return [tuple(line.split("\t")) for line in lines if not line.startswith("#")]


def operator(key, of, attribute, kind):
    path = "attributes.gw." + key.replace(".", "?.")
    field = ("resource" if of == "resource" else "attributes") + f'["{attribute}"]'
    value = f"EXPR(int({path}))" if kind == "int" else f"EXPR({path})"
    return {"type": "add", "if": f"{path} != nil", "field": field, "value": value}


def test_configuration():
    config = yaml.safe_load((CONTRIB / "otelcol/config.yaml").read_text())
    operators = config["receivers"]["filelog"]["operators"]
    assert [each for each in operators if "if" in each] == [operator(*row) for row in table()]


def test_readme():
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| `([a-z0-9_.]+)` \|$", (REPO / "README.md").read_text(), re.M
    )
    assert rows == [(key, attribute) for key, _, attribute, _ in table()]
