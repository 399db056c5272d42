# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills a ClickHouse table as an OpenTelemetry Collector does: filelog with json_parser, then the
clickhouse exporter. The columns are those of the exporter's table `otel_logs`
(opentelemetry-collector-contrib, exporter/clickhouseexporter/internal/sqltemplates/logs_table.sql).
"""

import json

import oracle

TABLE = """
create table otel_logs (
    Timestamp DateTime64(9), TimestampTime DateTime default toDateTime(Timestamp),
    TraceId String, SpanId String, TraceFlags UInt8,
    SeverityText LowCardinality(String), SeverityNumber UInt8,
    ServiceName LowCardinality(String), Body String,
    ResourceSchemaUrl LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeSchemaUrl LowCardinality(String), ScopeName String,
    ScopeVersion LowCardinality(String), ScopeAttributes Map(LowCardinality(String), String),
    LogAttributes Map(LowCardinality(String), String)
) engine = MergeTree
partition by toDate(TimestampTime)
primary key (ServiceName, TimestampTime)
order by (ServiceName, TimestampTime, Timestamp)
settings index_granularity = 8192, ttl_only_drop_parts = 1
"""


def attributes(line):
    """What json_parser makes of a line: numbers are doubles, and text in the exporter's map."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}  # the line is sent on as it is (on_error: send)
    return {
        key: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for key, value in record.items()
        if value is not None
    }


def row(line, path):
    found = attributes(line)
    return {
        "Timestamp": found.get("time", "1970-01-01T00:00:00Z"),
        "SeverityText": found.get("severity", ""),
        "ServiceName": "gradwatch",
        "Body": line.decode(),
        "ResourceAttributes": {"service.name": "gradwatch", "host.name": found.get("host", "")},
        "LogAttributes": {"log.file.name": path.name, **found},
    }


def fill(session, folder, scratch):
    """Each line of each segment, and lines of another service beside them."""
    session.query(TABLE)
    with scratch.open("w") as out:
        for path in sorted(folder.rglob("*.jsonl*")):
            for line in oracle.lines_of(path):
                if line:
                    out.write(json.dumps(row(line, path)) + "\n")
        out.write(json.dumps({"ServiceName": "other", "Body": '{"v":2,"type":"end"}'}) + "\n")
    session.query(
        f"insert into otel_logs select * from file('{scratch}', 'JSONEachRow')"
        " settings date_time_input_format = 'best_effort', input_format_import_nested_json = 1"
    )
