# SPDX-License-Identifier: GPL-2.0-or-later
"""The segments of a fleet for DuckDB: relation `line`."""

import os

import duckdb
import schema

OPTIONS = (
    # A line that is cut off becomes a row of nulls; folders named host=x say nothing of records.
    "format = 'newline_delimited', records = true, ignore_errors = true, compression = '{form}', "
    "hive_partitioning = false, maximum_object_size = {longest}, columns = {columns}"
)
Error = duckdb.Error
FORMS = {".zst": "zstd", ".gz": "gzip"}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def read(files, form):
    columns = ", ".join(
        f"{quoted(key)}: {quoted(kind)}" for key, kind in schema.render(schema.DUCKDB).items()
    )
    options = OPTIONS.format(form=form, longest=schema.LINE_MAX, columns="{" + columns + "}")
    return f"select * from read_json([{', '.join(map(quoted, files))}], {options})"


class Engine:
    name = "DuckDB"
    quoted = staticmethod(quoted)

    def __init__(self, files, threads=0):
        self.database = duckdb.connect()
        self.database.execute("set enable_progress_bar = false")
        self.database.execute("set preserve_insertion_order = false")
        if threads:
            self.database.execute(f"set threads = {threads:d}")
        by_form = {}
        for file in files:
            by_form.setdefault(FORMS.get(os.path.splitext(file)[1], "none"), []).append(file)
        parts = [read(some, form) for form, some in by_form.items()]
        self.database.execute("create temp view line as " + " union all ".join(parts))

    def define(self, name, select, keep):
        """A view, or a table if it is used often."""
        what = "temp table" if keep else "temp view"
        self.database.execute(f"create {what} {name} as {select}")

    def answer(self, select):
        result = self.database.execute(select)
        return [column[0] for column in result.description], result.fetchall()
