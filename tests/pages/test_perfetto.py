# SPDX-License-Identifier: GPL-2.0-or-later
"""The trace in Perfetto's real page: it is asked by SQL what it has read."""

import json

from conftest import LOG, gradwatch, wait_for

QUERY = """
const [sql, columns, done] = arguments;
self.app.trace.engine.query(sql).then((result) => {
    const spec = Object.fromEntries(columns.map((name) => [name, 'str_null']));
    const rows = [];
    for (const it = result.iter(spec); it.valid(); it.next())
        rows.push(columns.map((name) => it[name]));
    done(rows);
}, (error) => done(String(error)));
"""


def ask(browser, columns, rest):
    """Rows of strings: columns is NAME=EXPRESSION, ..."""
    pairs = [column.split("=", 1) for column in columns]
    sql = ", ".join(f"cast({expression} as text) as {name}" for name, expression in pairs)
    rows = browser.execute_async_script(QUERY, f"select {sql} {rest}", [name for name, _ in pairs])
    assert isinstance(rows, list), rows
    return rows


def show(browser, server, name):
    url = server[1]
    browser.get(f"{url}/index.html#!/?url={url}/{name}")
    browser.refresh()
    wait_for(lambda: browser.execute_script("return Boolean(self.app && self.app.trace)"))


def test_perfetto(browser, look, server, records):
    gradwatch("report", "--perfetto", server[0] / "trace.json", LOG)
    look(1280, 1000, "light")
    show(browser, server, "trace.json")
    ends = [record for record in records if record["type"] == "trace_end"]
    rows = ask(browser, ["name=name", "dur=dur"], "from slice where category = 'trace' order by ts")
    ends.sort(key=lambda record: record["first_push_ns"])
    assert rows == [
        [f"{r['kind']} trace {r['trace']}", str(r["last_pop_ns"] - r["first_push_ns"])]
        for r in ends
    ]
    # Each time with grad off is within its trace.
    changes = [r for r in records if r["type"] == "change" and not r["to"]]
    rows = ask(
        browser,
        ["outer=p.name"],
        "from slice s join slice p on s.parent_id = p.id where s.name = 'grad off'",
    )
    assert sorted(rows) == sorted([f"{r['kind']} trace {r['trace']}"] for r in changes)
    rows = ask(
        browser,
        [
            "at=extract_arg(arg_set_id, 'args.at')",
            "top=extract_arg(arg_set_id, 'args.stack.frame 00')",
        ],
        "from slice where category = 'finding' and extract_arg(arg_set_id, 'args.again') = 0",
    )
    findings = [r for r in records if r["type"] == "finding"]
    place = "{file}:{line} in {function}".format
    assert len(rows) == len(findings) == 3
    assert sorted(rows) == sorted([place(**r["user"]), place(**r["stack"][0])] for r in findings)
    rows = ask(browser, ["name=name"], "from process where name like 'gradwatch: %'")
    assert len(rows) == 1
    rows = ask(browser, ["value=value"], "from stats where severity = 'error' and value > 0")
    assert rows == []


def test_beside_a_trace_of_torch_profiler(browser, look, server):
    """Both in one file: the tracks do not mix, and the times are of one clock."""
    gradwatch("report", "--perfetto", server[0] / "alone.json", LOG)
    ours = json.loads((server[0] / "alone.json").read_text())
    first = min(e["ts"] for e in ours["traceEvents"] if e["ph"] == "X")
    # As torch.profiler 2.13 writes it for the process of the log.
    theirs = [
        {"ph": "X", "cat": "user_annotation", "name": "export", "pid": 17111, "tid": 17111}
        | {"ts": first - 5, "dur": 10.5}
    ]
    both = {"traceEvents": theirs + ours["traceEvents"]}
    (server[0] / "both.json").write_text(json.dumps(both))
    show(browser, server, "both.json")
    rows = ask(browser, ["name=name"], "from slice order by ts, dur limit 2")
    assert rows[0] == ["export"] and rows[1][0].startswith("make_fx trace")
    rows = ask(
        browser,
        ["count=count(distinct upid)"],
        "from thread_track join thread using (utid) join slice on slice.track_id = thread_track.id",
    )
    assert rows == [["2"]]
    rows = ask(
        browser, ["apart=max(ts) - min(ts)"], "from (select ts from slice order by ts limit 2)"
    )
    assert rows == [["5000"]]
