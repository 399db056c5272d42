# SPDX-License-Identifier: GPL-2.0-or-later
"""What the views need of a record (README, "JSON schema"), in each engine's words."""

LINE_MAX = 2 << 20  # user/log/format.h

RECORD = {
    "type": str,
    "time": str,
    "host": str,
    "boot_id": str,
    "run_id": str,
    "seq": int,
    "pid": int,
    "start_ns": int,
    "uid": int,
    "cgroup": str,
    "unit": str,
    "container": {"id": str, "runtime": str, "pod_uid": str},
    "torch": {"version": str},
    "trace": int,
    "kind": str,
    "finding": int,
    "count": int,
    "fingerprint": str,
    "category": str,
    "severity": str,
    "restored": bool,
    "suppressed_by": str,
    "user": {"file": str, "function": str, "line": int},
    "reason": str,
    "lost": int,
    "lost_output": int,
    "ledger": {"throttled": int},
    "coverage": {
        "missed": int,
        "mappings_lost": int,
        "refused": int,
        "files_refused": int,
        "unarmed": int,
        "bad_records": int,
    },
}

# For each engine: the scalar types, and how an object is written.
DUCKDB = ({str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}, "STRUCT({})", "{} {}")
SPARK = ({str: "STRING", int: "BIGINT", bool: "BOOLEAN"}, "STRUCT<{}>", "{}: {}")
CLICKHOUSE = (
    {str: "Nullable(String)", int: "Nullable(Int64)", bool: "Nullable(Bool)"},
    "Tuple({})",
    "{} {}",
)


def quote(name, engine):
    return f"`{name}`" if engine is SPARK else f'"{name}"'


def type_of(kind, engine):
    scalars, an_object, member = engine
    if not isinstance(kind, dict):
        return scalars[kind]
    members = (member.format(quote(key, engine), type_of(of, engine)) for key, of in kind.items())
    return an_object.format(", ".join(members))


def render(engine):
    """The type of each key of a record."""
    return {key: type_of(kind, engine) for key, kind in RECORD.items()}
