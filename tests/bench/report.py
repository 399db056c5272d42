# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of the rounds in, a table out.

One number per contestant, case and round. A ratio is the median of the rounds' ratios, not the
ratio of the medians: what disturbs a round disturbs both sides of it.
"""

import statistics

BASES = ("unprobed", "empty", "gradwatch", "bpftrace")


def ratio(rounds, name, base):
    """Median of the paired ratios and half of the distance between their quartiles."""
    pairs = [one[name] / one[base] for one in rounds if name in one and base in one]
    if len(pairs) < 2 or name == base:
        return None
    low, middle, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return {"median": middle, "spread": (high - low) / 2}


def summarise(rounds):
    """rounds: {case: [{contestant: ns}]}. Returns {case: {contestant: {...}}}."""
    summary = {}
    for case, results in rounds.items():
        summary[case] = {}
        for name in sorted({name for one in results for name in one}, key=order):
            values = [one[name] for one in results if name in one]
            row = {"ns": statistics.median(values), "rounds": len(values)}
            for base in BASES:
                found = ratio(results, name, base)
                if found:
                    row[f"to_{base}"] = found
            summary[case][name] = row
    return summary


def order(name):
    names = ("unprobed", "empty", "gradwatch", "throttled", "armed", "raising", "bpftrace")
    return names.index(name) if name in names else len(names)


def time_text(ns):
    if ns < 10_000:
        return f"{ns:.0f} ns"
    return f"{ns / 1000:.1f} us" if ns < 1_000_000 else f"{ns / 1e6:.2f} ms"


def ratio_text(found):
    return f"{found['median']:.3f} ± {found['spread']:.3f}" if found else "-"


def setter_part(summary, case, calls):
    """What the probed setter adds to an iteration: less than can be measured in one."""
    setter = summary["setter"]
    added = calls * (setter["gradwatch"]["ns"] - setter["unprobed"]["ns"])
    share = added / summary[case]["unprobed"]["ns"]
    return f"{calls:.1f} calls, {time_text(added)}, {share:.2%}"


def table(summary, labels):
    lines = [
        "| case | with | time | x unprobed | x empty | x gradwatch | x bpftrace | rounds |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case, rows in summary.items():
        for name, row in rows.items():
            ratios = " | ".join(ratio_text(row.get(f"to_{base}")) for base in BASES)
            time = time_text(row["ns"])
            lines.append(f"| {labels[case]} | {name} | {time} | {ratios} | {row['rounds']} |")
    return "\n".join(lines)
