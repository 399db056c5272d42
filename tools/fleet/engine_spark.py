# SPDX-License-Identifier: GPL-2.0-or-later
"""The segments of a fleet for Spark SQL: relation `line`. tools/fleet/spark.sh starts a cluster."""

import schema
from pyspark.sql import SparkSession

SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # What Spark keeps of a file that is too small for a task of its own.
    "spark.sql.files.openCostInBytes": "65536",
}


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Engine:
    name = "Spark"
    quoted = staticmethod(quoted)

    def __init__(self, files, master="local[2]", settings=()):
        builder = SparkSession.builder.appName("gradwatch fleet").master(master)
        for key, value in {**SETTINGS, **dict(settings)}.items():
            builder = builder.config(key, value)
        self.spark = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("ERROR")
        kinds = schema.render(schema.SPARK)
        self.spark.read.schema(", ".join(f"`{key}` {kind}" for key, kind in kinds.items())).option(
            "recursiveFileLookup", "true"
        ).json(list(files)).createOrReplaceTempView("line")

    def define(self, name, select, keep):
        """A view, which the executors keep if it is used often."""
        self.spark.sql(f"create or replace temporary view {name} as {select}")
        if keep:
            self.spark.sql(f"cache lazy table {name}")

    def answer(self, select):
        frame = self.spark.sql(select)
        return frame.columns, [tuple(row) for row in frame.collect()]

    def close(self):
        self.spark.stop()
