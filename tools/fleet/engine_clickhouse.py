# SPDX-License-Identifier: GPL-2.0-or-later
"""The segments of a fleet, or an OpenTelemetry Collector's table, for ClickHouse: relation `line`.

In process, by chdb: the same engine without a server.
"""

import json

import schema
from chdb import session

SETTINGS = {"use_hive_partitioning": 0, "join_use_nulls": 1}

# Lines as they are; one that is no JSON gives nulls. Folders named host=x say nothing of records.
FILES = "select line as text from file({glob}, 'LineAsString', 'line String')"
COUNT = "select count(distinct _path) from ({files})"
FILE = "select _path from file({glob}, 'One')"
IN_FOLDER = "/**/*.{jsonl,jsonl.zst,jsonl.gz}"

# Where the collector has put them: the whole line is the log record's body (filelog's default).
OTEL_LOGS = "select Body as text from {table} where ServiceName = 'gradwatch'"


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def glob_of(path):
    for char in str(path):
        if char in "*?{}[],":
            raise ValueError(f"{path}: ClickHouse would take '{char}' as a pattern")
    return quoted(str(path.resolve()) + (IN_FOLDER if path.is_dir() else ""))


def line_view(texts):
    """The select that makes records of texts."""
    kinds = schema.render(schema.CLICKHOUSE)
    members = ", ".join(f'"{key}" {kind}' for key, kind in kinds.items())
    columns = ", ".join(f'tupleElement(r, {quoted(key)}) as "{key}"' for key in kinds)
    records = f"select JSONExtract(text, {quoted(f'Tuple({members})')}) as r from ({texts})"
    return f"select {columns} from ({records} where text != '')"


class Engine:
    name = "ClickHouse"
    quoted = staticmethod(quoted)

    def __init__(self, paths=(), files=()):
        """Reads the segments, which are files, of paths; without them see read_otel_logs()."""
        self.session = session.Session()
        for key, value in SETTINGS.items():
            self.session.query(f"set {key} = {value}")
        if paths:
            globs = [glob_of(path) for path in paths]
            self.check(globs, len(files))
            texts = " union all ".join(FILES.format(glob=glob) for glob in globs)
            self.define("line", line_view(texts), False)

    def read_otel_logs(self, table):
        self.define("line", line_view(OTEL_LOGS.format(table=table)), False)

    def check(self, globs, expected):
        """A pattern that fits nothing is no error to ClickHouse."""
        files = " union all ".join(FILE.format(glob=glob) for glob in globs)
        (found,) = self.answer(COUNT.format(files=files))[1]
        if found[0] != expected:
            raise ValueError(f"ClickHouse finds {found[0]} of {expected} segments")

    def define(self, name, select, keep):
        """A view, or a table if it is used often."""
        if keep:
            self.session.query(
                f"create table {name} engine = MergeTree order by tuple() as {select}"
            )
        else:
            self.session.query(f"create view {name} as {select}")

    def answer(self, select):
        select += " settings output_format_json_quote_64bit_integers = 0"
        result = json.loads(str(self.session.query(select, "JSONCompact")))
        return [column["name"] for column in result["meta"]], result["data"]

    def close(self):
        self.session.close()
