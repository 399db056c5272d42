/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format of logs and of `--json`: the names that the writer writes and the reader knows, in one
 * place. A record is one line: an object that begins with "v" and "type".
 *
 * In a log a record has "seq", its number in the run from 0 on without gaps, and as its last key
 * "crc": eight lower-case hexadecimal digits of the CRC32C of the line from its first byte up to
 * and without the comma before "crc". So a line of a log is these bytes and LOG_TAIL.
 */
#ifndef GRADWATCH_LOG_FORMAT_H
#define GRADWATCH_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

/* Adding a key does not change it; removing one or changing its meaning does. */
#define LOG_SCHEMA 2

/* What each line begins with. */
#define LOG_HEAD_OF(schema) "{\"v\":" #schema ",\"type\":\""
#define LOG_HEAD_AS(schema) LOG_HEAD_OF(schema)
#define LOG_HEAD            LOG_HEAD_AS(LOG_SCHEMA)

#define LOG_TAIL_BEFORE     ",\"crc\":\""
#define LOG_TAIL_AFTER      "\"}"
#define LOG_TAIL            LOG_TAIL_BEFORE "%08x" LOG_TAIL_AFTER "\n"
#define LOG_TAIL_SIZE       19 /* bytes, with the newline */

/*
 * The longest line that is read; writers stay below a quarter of it: GW_MAX_FRAMES with two names
 * of GW_NAME_BYTES each. To parse one takes up to 16 times its length.
 */
#define LOG_LINE_MAX      (2u << 20)
#define LOG_LINE_MAX_TEXT "2 MiB"

#define LOG_TYPES(X)                                                                               \
	X(HEADER, "header") /* the first record of a segment: where, what, when */                 \
	X(CLOSE, "close")   /* its last record: how many of which type, and totals */              \
	X(GAP, "gap")       /* records before this one could not be written */                     \
	X(TOTALS, "totals") /* the counts of the run so far */                                     \
	X(START, "start")                                                                          \
	X(ATTACHED, "attached")                                                                    \
	X(SKIPPED, "skipped")                                                                      \
	X(CHANGE, "change")                                                                        \
	X(FINDING, "finding")                                                                      \
	X(AGAIN, "again") /* a finding has occurred again: each time */                            \
	X(REPEATED, "repeated")                                                                    \
	X(TRACE_BEGIN, "trace_begin")                                                              \
	X(TRACE_END, "trace_end")                                                                  \
	X(ACTION, "action")                                                                        \
	X(LOST, "lost")                                                                            \
	X(LOST_OUTPUT, "lost_output")                                                              \
	X(INPUT, "input") /* what the model was given, of --log-level all */                       \
	X(END, "end")

#define LOG_FIELDS(X)                                                                              \
	X(V, "v")                                                                                  \
	X(TYPE, "type")                                                                            \
	X(TIME, "time")                                                                            \
	X(MONO_NS, "mono_ns")                                                                      \
	X(HOST, "host")                                                                            \
	X(SEQ, "seq")                                                                              \
	X(CRC, "crc")                                                                              \
	X(TORCH, "torch")                                                                          \
	X(FILE, "file")                                                                            \
	X(VERSION, "version")                                                                      \
	X(PID, "pid")                                                                              \
	X(TID, "tid")                                                                              \
	X(NS_PID, "ns_pid")                                                                        \
	X(NS_TID, "ns_tid")                                                                        \
	X(START_NS, "start_ns")                                                                    \
	X(COMM, "comm")                                                                            \
	X(UID, "uid")                                                                              \
	X(EXE, "exe")                                                                              \
	X(CGROUP, "cgroup")                                                                        \
	X(UNIT, "unit")                                                                            \
	X(CONTAINER, "container")                                                                  \
	X(ID, "id")                                                                                \
	X(RUNTIME, "runtime")                                                                      \
	X(POD_UID, "pod_uid")                                                                      \
	X(SITES, "sites")                                                                          \
	X(CERTAIN, "certain")                                                                      \
	X(DOUBT, "doubt")                                                                          \
	X(ARMED_AFTER_NS, "armed_after_ns")                                                        \
	X(TOO_LATE, "too_late")                                                                    \
	X(FUNCTION, "function")                                                                    \
	X(LINE, "line")                                                                            \
	X(CUT, "cut")                                                                              \
	X(STACK_STATUS, "stack_status")                                                            \
	X(USER, "user")                                                                            \
	X(TRACE, "trace")                                                                          \
	X(KIND, "kind")                                                                            \
	X(DEPTH, "depth")                                                                          \
	X(SEEN_FROM_START, "seen_from_start")                                                      \
	X(FIRST_PUSH, "first_push")                                                                \
	X(FIRST_PUSH_NS, "first_push_ns")                                                          \
	X(LAST_PUSH_NS, "last_push_ns")                                                            \
	X(LAST_POP, "last_pop")                                                                    \
	X(LAST_POP_NS, "last_pop_ns")                                                              \
	X(PUSHES, "pushes")                                                                        \
	X(POPS, "pops")                                                                            \
	X(OPERATORS, "operators")                                                                  \
	X(VIOLATIONS, "violations")                                                                \
	X(CHANGES, "changes")                                                                      \
	X(BEGAN, "began")                                                                          \
	X(GRAD, "grad")                                                                            \
	X(INFERENCE, "inference")                                                                  \
	X(FROM, "from")                                                                            \
	X(TO, "to")                                                                                \
	X(INFO, "info")                                                                            \
	X(RESTORED, "restored")                                                                    \
	X(FINDING, "finding")                                                                      \
	X(COUNT, "count")                                                                          \
	X(CATEGORY, "category")                                                                    \
	X(SEVERITY, "severity")                                                                    \
	X(DURATION_NS, "duration_ns")                                                              \
	X(EMPTY, "empty")                                                                          \
	X(BEFORE_ATTACH, "before_attach")                                                          \
	X(MANAGER, "manager")                                                                      \
	X(ADVICE, "advice")                                                                        \
	X(WHOSE, "whose")                                                                          \
	X(DECORATOR, "decorator")                                                                  \
	X(DECORATED, "decorated")                                                                  \
	X(CALLER, "caller")                                                                        \
	X(SUPPRESSED_BY, "suppressed_by")                                                          \
	X(ACTION, "action")                                                                        \
	X(OUTCOME, "outcome")                                                                      \
	X(FALLBACK, "fallback")                                                                    \
	X(SIGNAL, "signal")                                                                        \
	X(BY_BPF, "by_bpf")                                                                        \
	X(AFTER_CHANGE, "after_change")                                                            \
	X(DETAIL, "detail")                                                                        \
	X(ACTIONS, "actions")                                                                      \
	X(STACKS, "stacks")                                                                        \
	X(SUPPRESSIONS, "suppressions")                                                            \
	X(PROCESSES, "processes")                                                                  \
	X(TRACES, "traces")                                                                        \
	X(INFOS, "infos")                                                                          \
	X(FINDINGS, "findings")                                                                    \
	X(NOTES, "notes")                                                                          \
	X(SUPPRESSED, "suppressed")                                                                \
	X(FINDINGS_FORGOTTEN, "findings_forgotten")                                                \
	X(DRIFTS, "drifts")                                                                        \
	X(LOST, "lost")                                                                            \
	X(LOST_OUTPUT, "lost_output")                                                              \
	X(LEDGER, "ledger")                                                                        \
	X(COUNTERS, "counters")                                                                    \
	X(REASON, "reason")                                                                        \
	X(THROTTLED, "throttled")                                                                  \
	X(TOTAL, "total")                                                                          \
	X(STACK, "stack")                                                                          \
	X(UNUSED_SUPPRESSIONS, "unused_suppressions")                                              \
	X(FINGERPRINT, "fingerprint")                                                              \
	X(SEGMENT, "segment")                                                                      \
	X(BOOT_ID, "boot_id")                                                                      \
	X(RUN_ID, "run_id")                                                                        \
	X(KERNEL, "kernel")                                                                        \
	X(GRADWATCH, "gradwatch")                                                                  \
	X(MACHINE, "machine")                                                                      \
	X(LEVEL, "level")                                                                          \
	X(CLOCK, "clock")                                                                          \
	X(REALTIME_NS, "realtime_ns")                                                              \
	X(BOOTTIME_NS, "boottime_ns")                                                              \
	X(RECORDS, "records")                                                                      \
	X(TYPES, "types")                                                                          \
	X(TOTALS, "totals")                                                                        \
	X(FIRST_SEQ, "first_seq")                                                                  \
	X(LAST_SEQ, "last_seq")                                                                    \
	X(REMOVED, "removed")                                                                      \
	X(COVERAGE, "coverage")                                                                    \
	X(PROBED, "probed")                                                                        \
	X(MISSED, "missed")                                                                        \
	X(MAPPINGS_LOST, "mappings_lost")                                                          \
	X(REFUSED, "refused")                                                                      \
	X(FILES_REFUSED, "files_refused")                                                          \
	X(UNARMED, "unarmed")                                                                      \
	X(BAD_RECORDS, "bad_records")                                                              \
	X(ABI, "abi")                                                                              \
	X(FORMAT, "format")                                                                        \
	X(FIRST, "first")                                                                          \
	X(DATA, "data")

enum log_type {
#define X(name, text) LOG_TYPE_##name,
	LOG_TYPES(X)
#undef X
		LOG_TYPE_MAX, /* a type that this version does not know */
};

enum log_field {
#define X(name, text) FIELD_##name,
	LOG_FIELDS(X)
#undef X
		FIELD_MAX,
};

#ifdef __cplusplus
extern "C" {
#endif

extern const char *const log_types[LOG_TYPE_MAX];
extern const char *const log_fields[FIELD_MAX];

/* Whether a line, without its newline, ends in the checksum of what is before, as LOG_TAIL writes
 * it. */
bool log_has_checksum(const char *line, size_t length);

#ifdef __cplusplus
}
#endif

#endif
