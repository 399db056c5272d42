#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the logs of a fleet: fleet.py [OPTIONS] FILE|FOLDER...

The same SQL (sql/views, sql/queries) runs on DuckDB here, and on Spark and ClickHouse.
"""

import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
SQL = HERE / "sql"
KEPT = (
    "flat",
    "runs",
    "occurrences",
    "findings",
    "coverage",
    "nodes",
)  # used by more than one other view
FORMS = (".jsonl", ".jsonl.zst", ".jsonl.gz")
QUESTIONS = ("by-line", "by-container", "by-user", "by-torch", "nodes")
STANDS_ON = "stands-on"

# What is said only if there is any.
FACTS = (
    ("damaged", "line that is no whole record", "lines that are no whole record"),
    ("skipped", "library not watched", "libraries not watched"),
    ("lost", "change or line lost", "changes or lines lost"),
    ("unwritten", "record not written", "records not written"),
    ("throttled", "change throttled", "changes throttled"),
    ("unseen", "process or file not looked at", "processes or files not looked at"),
    ("undescribed", "finding without its record", "findings without their records"),
    ("open_runs", "run without an end", "runs without an end"),
)


class Trouble(Exception):
    """What the user can mend: one line."""


def segments(paths):
    found = []
    for path in paths:
        if path.is_dir():
            found += (file for file in path.rglob("*") if file.name.endswith(FORMS))
        elif path.exists():
            found.append(path)
        else:
            raise Trouble(f"{path}: there is no such file or folder")
    if not found:
        raise Trouble(f"{', '.join(map(str, paths))}: no segments in there (*.jsonl[.zst|.gz])")
    return sorted({str(file.resolve()) for file in found})


def sql_of(path):
    """The statement without the comments at its head: not every engine takes them in a view."""
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def prepare(engine, hosts, since):
    """Defines the views: which nodes are expected, from when on, and those of sql/views."""
    rows = ", ".join(f"({engine.quoted(host)})" for host in hosts or [""])
    expected = f"select host from (values {rows}) as expected(host) where host <> ''"
    engine.define("expected", expected, True)
    engine.define("asked", f"select {engine.quoted(since)} as since", False)
    for path in sorted((SQL / "views").glob("*.sql")):
        name = path.stem.split("-", 1)[1]
        engine.define(name, sql_of(path), name in KEPT)


def ask(engine, question):
    """Column names, and the rows as lists."""
    columns, rows = engine.answer(sql_of(SQL / "queries" / f"{question}.sql"))
    return columns, [list(row) for row in rows]


def ask_all(engine, questions=QUESTIONS):
    answer = {question: ask(engine, question) for question in questions}
    columns, rows = ask(engine, STANDS_ON)
    answer[STANDS_ON] = dict(zip(columns, rows[0]))
    return answer


def some(number, word):
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def stands_on(facts, expected):
    """The last line of each answer."""
    if expected:
        parts = [f"{facts['reported']:,} of {some(facts['expected'], 'node')}"]
        parts.append(f"{facts['silent']:,} silent")
    else:
        parts = [some(facts["strangers"], "node"), "not known how many there should be"]
    parts.append(some(facts["gaps"], "gap"))
    if facts["gaps"]:
        parts[-1] += f" ({some(facts['missing'], 'record')} on {some(facts['gap_nodes'], 'node')})"
    if expected and facts["strangers"]:
        parts.append(f"{facts['strangers']:,} not expected")
    for key, one, many in FACTS:
        if facts[key]:
            parts.append(f"{facts[key]:,} {one if facts[key] == 1 else many}")
    return "stands on: " + ", ".join(parts)


def cell(value):
    if value is None:
        return "-"
    return "".join(char if char.isprintable() else "?" for char in str(value))


def shown(column, value):
    if isinstance(value, int) and column not in ("uid", "line"):
        return f"{value:,}"
    value = cell(value)
    if column in ("first_seen", "last_seen"):
        return value[:19]
    if column == "file":
        return "/".join(value.split("/")[-3:])
    return value if len(value) <= 40 else value[:39] + "…"


def print_table(columns, rows, limit):
    table = [columns] + [[shown(*pair) for pair in zip(columns, row)] for row in rows[:limit]]
    widths = [max(map(len, column)) for column in zip(*table)]
    right = [all(isinstance(row[i], int) for row in rows) for i in range(len(columns))]
    for row in table:
        cells = (
            text.rjust(width) if numeric else text.ljust(width)
            for text, width, numeric in zip(row, widths, right)
        )
        print("  " + "  ".join(cells).rstrip())
    if len(rows) > limit:
        print(f"  and {len(rows) - limit:,} more")


def title(question):
    """The question that the comment at the head of its file begins with."""
    head = (SQL / "queries" / f"{question}.sql").read_text().replace("\n-- ", " ")
    return head[3 : head.index("?") + 1]


def print_answer(answer, limit, expected):
    last = stands_on(answer[STANDS_ON], expected)
    for question, found in answer.items():
        if question == STANDS_ON:
            continue
        columns, rows = found
        print(title(question))
        if rows:
            print_table(columns, rows, limit)
        else:
            print("  none")
        print(f"  {last}\n")


def as_json(answer):
    return {
        question: found if question == STANDS_ON else [dict(zip(found[0], row)) for row in found[1]]
        for question, found in answer.items()
    }


def hosts_of(path):
    lines = (line.strip() for line in path.read_text().splitlines())
    return sorted({line for line in lines if line and not line.startswith("#")})


def arguments_of(argv):
    parser = argparse.ArgumentParser(prog="fleet.py", description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+", type=pathlib.Path, metavar="FILE|FOLDER")
    parser.add_argument("--nodes", type=pathlib.Path, metavar="FILE", help="expected, one a line")
    parser.add_argument("--since", default="", metavar="TIME", help="2026-01-02[T03:04:05], UTC")
    parser.add_argument("--question", action="append", choices=QUESTIONS, help="may be repeated")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="rows of a table")
    parser.add_argument("--json", action="store_true", help="one object, all rows")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    return parser.parse_args(argv)


def main(argv=None):
    arguments = arguments_of(argv)
    try:
        import engine_duckdb
    except ImportError:
        raise Trouble("DuckDB is missing: pip install -r tools/fleet/requirements.txt") from None
    try:
        hosts = hosts_of(arguments.nodes) if arguments.nodes else []
    except OSError as error:
        raise Trouble(f"{arguments.nodes}: {error.strerror}") from None
    try:
        files = segments(arguments.paths)
        engine = engine_duckdb.Engine(files, arguments.threads)
        prepare(engine, hosts, arguments.since)
        answer = ask_all(engine, arguments.question or QUESTIONS)
    except engine_duckdb.Error as error:
        raise Trouble(f"DuckDB: {str(error).splitlines()[0]}") from None
    if not answer[STANDS_ON]["records"]:
        raise Trouble(f"no whole record in {some(len(files), 'segment')}: see gradwatch verify")
    if arguments.json:
        json.dump(as_json(answer), sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        print_answer(answer, arguments.limit, bool(hosts))


if __name__ == "__main__":
    try:
        main()
    except Trouble as trouble:
        sys.exit(f"fleet: error: {trouble}")
    except BrokenPipeError:
        sys.exit(0)
