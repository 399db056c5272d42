# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads pages and traces for Perfetto, independently of the code that shows them."""

import base64
import gzip
import itertools
import json
import pathlib
import re


def data_of(path):
    """The data of a page, with its columns of differences as values."""
    page = pathlib.Path(path).read_text()
    (packed,) = re.findall(r'id="data">\n([A-Za-z0-9+/=]*)<', page)
    data = json.loads(gzip.decompress(base64.b64decode(packed)))
    data["traces"]["begin"] = list(itertools.accumulate(data["traces"]["begin"]))
    data["traces"]["id"] = list(itertools.accumulate(data["traces"]["id"]))
    data["marks"]["time"] = list(itertools.accumulate(data["marks"]["time"]))
    return data


def frames_of(data, stack):
    """file:line in function, innermost first."""
    found = []
    for frame in data["stacks"][stack]:
        file, function, line, _ = data["frames"][4 * frame : 4 * frame + 4]
        found.append(f"{data['names'][file]}:{line} in {data['names'][function]}")
    return found


def perfetto_of(path):
    trace = json.loads(pathlib.Path(path).read_text())
    return trace, {
        phase: [event for event in trace["traceEvents"] if event["ph"] == phase] for phase in "MXi"
    }
