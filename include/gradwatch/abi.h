/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ABI between bpf/ and user/: plans go down, records, traces and the ledger come up.
 *
 * Both sides are built from this one file, but a log or a core file may outlive a build, so every
 * structure has fixed-width fields, explicit padding and asserted sizes, and records carry
 * GW_ABI_VERSION. Times are CLOCK_MONOTONIC nanoseconds. Pids are those of the initial namespace
 * (kernel tgid = "pid", kernel pid = "tid"), unless a field says otherwise.
 */
#ifndef GRADWATCH_ABI_H
#define GRADWATCH_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define GW_ABI_VERSION 6

/*
 * Limits. A map that is full is counted (enum gw_counter), never silently ignored. Some maps are
 * smaller on old kernels: user/probe/map_sizes.c.
 */
#define GW_MAX_PROCESSES   16384 /* watched process ids */
#define GW_MAX_THREADS     32768 /* threads that have called a probed function */
#define GW_MAX_NESTS       8192  /* of these, threads that have been in a trace */
#define GW_MAX_TRACES      65536 /* traces not yet collected by user space */
#define GW_MAX_DECISIONS   16384 /* of these, in which one acts */
#define GW_MAX_NESTING     4     /* traces in progress on one thread */
#define GW_MAX_STACK_MODES 16    /* entries of a dispatch-mode stack that are looked at */
#define GW_SPAN_MAX        304   /* bytes of thread-local storage read in one go */
#define GW_MAX_FRAMES      128   /* of a Python stack, innermost first */
#define GW_MAX_WALKS       128   /* stacks being walked at one time */
#define GW_CODE_CACHES     32    /* of these, so many keep code objects for the next stack */
#define GW_CACHED_CODES    128   /* code objects that one of them keeps */
#define GW_MAX_CODES       12288 /* code objects that were sent to user space */
#define GW_CODES_AGAIN     32768 /* after so many others, one that is used is sent again */
#define GW_NAME_BYTES      256   /* of a file name or qualified name, as stored by CPython */
#define GW_LINES_SMALL     448   /* bytes of a line table, in the two sizes of its record */
#define GW_LINES_LARGE     4000
#define GW_COMM_LEN        16        /* TASK_COMM_LEN */
#define GW_RING_BYTES      (2 << 20) /* ring buffer */
#define GW_MAX_FILES       1024      /* files that are mapped at one time, of all roles */
#define GW_MAX_HELD        4096      /* processes that are stopped at one time */
#define GW_MAX_SIGNALS     32        /* the standard ones, by number */

/*
 * A TLS descriptor's argument is a distance from the thread pointer, or an address: below this it
 * is the first, as programs are not linked to lower addresses.
 */
#define GW_STATIC_TLS_END 0x400000

/* An offset that a build does not have. */
#define GW_NO_OFFSET 0xffffffffu

/* The places of libtorch that are probed. One uprobe each, at most. */
enum gw_site {
	GW_SITE_SET_ENABLED, /* c10::GradMode::set_enabled(bool) */
	GW_SITE_SET_MODE,    /* TorchDispatchModeTLS::set_mode(mode, key) */
	GW_SITE_UNSET_MODE,  /* TorchDispatchModeTLS::unset_mode(key) */
	GW_SITE_POP_INFRA,   /* TorchDispatchModeTLS::pop_highest_infra_mode() */
	GW_SITE_PUSH_STACK,  /* TorchDispatchModeTLS::push_onto_stack(mode), builds without keys */
	GW_SITE_POP_STACK,   /* TorchDispatchModeTLS::pop_stack() */
	GW_SITE_MAX,
};

/* How a build keeps its dispatch modes. */
enum gw_mode_api {
	GW_MODES_NONE,  /* not found: no traces can be seen */
	GW_MODES_KEYED, /* infra slots by key; PROXY has its own (2.2 and later) */
	GW_MODES_STACK, /* one vector of modes, known by Python class (1.13 - 2.1) */
};

/* TorchDispatchModeKey, c10/core/impl/TorchDispatchModeTLS.h (PyTorch 2.2 - 2.14). */
#define GW_MODE_KEY_PROXY 1

/*
 * Stands for the mode of a pre-dispatch trace, which Python keeps on a stack of its own: no address
 * of an object.
 */
#define GW_MODE_PRE_DISPATCH 1

/*
 * What the probes of an ELF file need to know, in their read-only data. All copies of a build have
 * the same plan and share their programs. All "tls_" fields are offsets from the start of the
 * library's TLS block, GW_NO_OFFSET where the build has none.
 */
struct gw_plan {
	__u64 site_address[GW_SITE_MAX]; /* link-time address of the probed instruction, 0: none */
	__u64 tls_pair; /* link-time address of a GOT pair: {TLS module, offset}, or a descriptor */
	__u32 mode_api; /* enum gw_mode_api */
	__u32 tls_grad; /* byte with the grad mode */
	__u32 tls_grad_guard;      /* byte: non-zero once the byte above is initialised */
	__u32 tls_mode_guard;      /* the same for the dispatch-mode state */
	__u32 tls_proxy_flag;      /* KEYED: "engaged" byte of the PROXY slot */
	__u32 tls_proxy_slot;      /* KEYED: the slot's shared_ptr (pointer first) */
	__u32 tls_functional_flag; /* KEYED: "engaged" byte of the slot above PROXY */
	__u32 tls_stack;           /* vector of shared_ptr: begin, end */
	__u32 tls_span;            /* start of the one read that holds all of the above */
	__u32 tls_span_size;       /* its size; wider than GW_SPAN_MAX: a doubt */
	__u32 tls_included;        /* set of included dispatch keys; absent: none is looked for */
	__u8 grad_mask;            /* bit of the grad byte */
	__u8 grad_default;         /* grad mode while the guard is 0 or the block is not there */
	__u8 certain;          /* 1: thread-local state can be read; 0: only tracked by probes */
	__u8 pre_dispatch_bit; /* of that set, while a pre-dispatch trace is in progress */
	__u32 tls_variable; /* block offset of the variable that is described, absent: no descriptor
			     */
	__u32 hands_on_in_python; /* STACK: 1: Python code pops and pushes a mode for an operator */
	__u32 setter_frame; /* x86: bytes from the stack pointer to the setter's return address */
	__u8 mode_register; /* where set_mode's, push_onto_stack's first argument is at its probe */
	__u8 pad[3];
};
_Static_assert(sizeof(struct gw_plan) == 8 * GW_SITE_MAX + 8 + 16 * 4, "plan layout");

/* A uprobe's cookie: the file's number, and enum gw_site above this bit. */
#define GW_COOKIE_SITE_SHIFT 32

/* Counters of the ledger and of what else can go wrong, one slot each in a per-CPU array. */
enum gw_counter {
	GW_HITS,           /* set_enabled was called; the sum of the next six */
	GW_REPORTED,       /* change in a trace, delivered to the ring buffer */
	GW_REDUNDANT,      /* in a trace, but the mode did not change */
	GW_OUTSIDE,        /* no trace on this thread */
	GW_FILTERED,       /* not a watched process */
	GW_LOST,           /* change in a trace, but the ring buffer was full */
	GW_THROTTLED,      /* change in a trace, counted but not sent: the thread makes too many */
	GW_DRIFTS,         /* grad or inference mode changed by other ways than the setter */
	GW_UNREADABLE,     /* thread-local state could not be read: verdict from tracking */
	GW_THREADS_FULL,   /* thread map full: verdict right, trace unknown */
	GW_TRACES_FULL,    /* trace map full: verdict right, trace unknown */
	GW_NESTING_FULL,   /* more than GW_MAX_NESTING traces on one thread */
	GW_PROCESSES_FULL, /* child of a watched process could not be added */
	GW_CODES_LOST,     /* definition of a code object found the ring buffer full */
	GW_TRACES_LOST,    /* first stack of a trace found the ring buffer full: kind unknown */
	GW_DRIFTS_LOST,    /* of these, not sent: the ring buffer was full, or too many */
	GW_NAMES_LOST,     /* stack of the first operator after a change, not sent */
	GW_ASKS_LOST,      /* action not taken, as the ring buffer was full */
	GW_INTERPRETERS_FULL, /* a process's Python was not noted: no stacks, kinds unknown */
	GW_ENFORCED_FULL,     /* a process was not noted in which one should act */
	GW_DECISIONS_FULL,    /* of a trace: each change in it is asked about */
	GW_FORKS_LOST,        /* fork of a watched process, not sent: the ring buffer was full */
	GW_COUNTER_MAX,
};

/* When a signal was last sent to a process, and by which one. */
struct gw_sent {
	__u64 time;
	__u32 sender;
	__u32 pad;
};
_Static_assert(sizeof(struct gw_sent) == 16, "sent layout");

/* What was sent to gradwatch and to its command, but not by gradwatch. 0: no such process. */
struct gw_signals {
	__u32 own_pid, command_pid;
	struct gw_sent own[GW_MAX_SIGNALS];
	struct gw_sent command[GW_MAX_SIGNALS];
};
_Static_assert(sizeof(struct gw_signals) == 8 + 2 * GW_MAX_SIGNALS * 16, "signals layout");

/*
 * How a CPython keeps its stacks: offsets in bytes, GW_NO_FIELD where it has none. Filled by
 * user/inspect/python.c, which says where each comes from.
 */
#define GW_NO_FIELD 0xffff

enum gw_position {
	GW_POSITION_BYTES,   /* f_lasti, byte offset of the instruction (3.9) */
	GW_POSITION_UNITS,   /* f_lasti, in units of two bytes (3.10) */
	GW_POSITION_POINTER, /* address of the instruction (3.11 and later) */
};

struct gw_python {
	__u16 version;     /* major << 8 | minor */
	__u16 key_created; /* _PyRuntime: autoTSSkey */
	__u16 key;
	__u16 tstate_thread;  /* PyThreadState: thread_id */
	__u16 tstate_frame;   /* the current frame, or the cframe that holds it */
	__u16 cframe_frame;   /* _PyCFrame: current_frame (3.11, 3.12) */
	__u16 frame_previous; /* the frame object or _PyInterpreterFrame */
	__u16 frame_code;
	__u16 frame_position;
	__u16 frame_owner;   /* 3 and above: not a Python frame */
	__u16 code_filename; /* PyCodeObject */
	__u16 code_name;     /* co_qualname, before 3.11 co_name */
	__u16 code_firstlineno;
	__u16 code_lines;    /* co_linetable, before 3.10 co_lnotab */
	__u16 code_bytecode; /* GW_POSITION_POINTER: start of the instructions */
	__u16 string_ascii;  /* str: data of an ASCII one, and of another compact one */
	__u16 string_compact;
	__u16 position; /* enum gw_position */
};
_Static_assert(sizeof(struct gw_python) == 36, "python layout");

/* The code of a function in a process. */
struct gw_range {
	__u64 start, end; /* 0, 0: not known */
};

/* Value of the map of processes that have mapped libtorch, keyed by pid. */
struct gw_interpreter {
	__u64 runtime;     /* address of _PyRuntime */
	__u64 true_object; /* and of the objects True and False, 0: not known */
	__u64 false_object;
	struct gw_range binding; /* torch._C._set_grad_enabled */
	struct gw_range apply;   /* torch._C._FunctionBase.apply */
	struct gw_python python;
	__u16 has_python; /* 0: all of the above is 0 */
	__u16 other_libc; /* the process's C library is not glibc: its threads are not read */
};
_Static_assert(sizeof(struct gw_interpreter) == 96, "interpreter layout");

/* What is done about a violation. */
enum gw_action {
	GW_ACTION_REPORT,
	GW_ACTION_HOLD,   /* the process is stopped before the change, until somebody lets it go */
	GW_ACTION_RAISE,  /* the call raises an exception instead */
	GW_ACTION_SIGNAL, /* the process is sent a signal before the change */
	GW_ACTION_KILL,   /* that signal is SIGKILL */
	GW_ACTION_MAX,
};

/* Which function has called the setter, by the address that the setter returns to. */
enum gw_caller {
	GW_CALLER_UNKNOWN,
	GW_CALLER_BINDING, /* torch._C._set_grad_enabled: Python code */
	GW_CALLER_APPLY,   /* torch._C._FunctionBase.apply: autograd, by itself */
	GW_CALLER_OTHER,   /* other C++ code */
	GW_CALLER_MAX,
};

/* What the user wants, in the probes' read-only data. */
struct gw_policy {
	__u32 action;   /* enum gw_action */
	__u32 fallback; /* enum gw_action, for what cannot be raised */
	__u32 signal;   /* GW_ACTION_SIGNAL, GW_ACTION_KILL: its number */
	__u8 dry_run;
	__u8 ask_always; /* some findings are accepted: only user space knows which */
	__u8 registers;  /* this kernel lets a uprobe's program write registers */
	__u8 pad;
};
_Static_assert(sizeof(struct gw_policy) == 16, "policy layout");

/* Value of the map of processes in which one acts, keyed by pid. */
struct gw_enforced {
	__u64 torch_base; /* load address of the file with the setter */
	/* What the binding is made to do instead: err_format(exception, message[to], trace). */
	__u64 err_format; /* 0: not ready, so user space is to do it */
	__u64 exception;
	__u64 message[2];
	__u8 method_o; /* its Python binding takes one argument, not a tuple */
	__u8 pad[7];
};
_Static_assert(sizeof(struct gw_enforced) == 48, "enforced layout");

/* Value of the map of decisions, keyed by trace: written by user space once it knows the kind. */
enum gw_decision { GW_DECISION_LET_BE = 1, GW_DECISION_ACT };

/* Value of the map of processes that were stopped and not yet let go, keyed by pid. */
struct gw_held {
	__u64 start_time; /* of the process, ns since boot */
	__u64 stopped;    /* ns, when a thread last stopped it */
};
_Static_assert(sizeof(struct gw_held) == 16, "held layout");

/*
 * Value of the map of what user space did about these, keyed by pid. A process stands still because
 * of gradwatch while gw_held.stopped is later than `gone_on`; from `until` on, nobody needs it to.
 */
struct gw_answer {
	__u64 gone_on; /* ns: gw_held.stopped of the last stop that was ended, 0: none */
	__u64 until;   /* ns: end of a hold, 0: it is not held */
};
_Static_assert(sizeof(struct gw_answer) == 16, "answer layout");

/* What BPF did about a violation when it sent its record. */
enum gw_ask {
	GW_ASK_NONE,      /* nothing: not wanted for this one */
	GW_ASK_STOPPED,   /* SIGSTOP was sent: user space decides what is done */
	GW_ASK_SIGNALLED, /* the signal of the policy was sent */
	GW_ASK_RAISED,    /* the call raises: its registers were written */
	GW_ASK_DRY,       /* nothing, as this is a dry run */
	GW_ASK_MISSED,    /* to be raised, but it did not come by the Python binding */
	GW_ASK_MAX,
};

/* Why a stack is missing or ends early. */
enum gw_stack_status {
	GW_STACK_WHOLE,
	GW_STACK_CUT,         /* GW_MAX_FRAMES are there, outer ones are not */
	GW_STACK_NO_PYTHON,   /* no interpreter is known for the process */
	GW_STACK_UNSUPPORTED, /* a CPython whose layout is not known */
	GW_STACK_NO_THREAD,   /* the thread has no PyThreadState */
	GW_STACK_UNREADABLE,  /* a frame could not be read */
	GW_STACK_BUSY,        /* too many stacks at one time */
	GW_STACK_MAX,
};

struct gw_frame {
	__u64 code;     /* id of a code record, 0: its definition was lost */
	__s32 position; /* byte offset of the instruction */
	__u32 pad;
};
_Static_assert(sizeof(struct gw_frame) == 16, "frame layout");

/* What of a thread's state a trace does not record. */
#define GW_STATE_GRAD      1
#define GW_STATE_INFERENCE 2
#define GW_STATE_UNKNOWN   0x80

/* Records of the ring buffer. */
enum gw_record_type {
	GW_RECORD_CHANGE = 1, /* struct gw_event_record: a grad-mode change inside a trace */
	GW_RECORD_TRACE,      /* struct gw_event_record: a new trace, at its first push */
	GW_RECORD_CODE,       /* struct gw_code_record: before the first frame that refers to it */
	GW_RECORD_OPERATOR,   /* struct gw_event_record: the first operator traced after a change */
	/*
	 * struct gw_event_record: the state at an operator is not what the setter left; `from` is
	 * `to` when it is that of the operator before: the calls between have been undone.
	 */
	GW_RECORD_DRIFT,
	/* struct gw_event_record: the Python binding was called to make a violation, see gw_ask */
	GW_RECORD_ASK,
	GW_RECORD_END,     /* struct gw_end_record: a trace whose thread has ended */
	GW_RECORD_PROCESS, /* struct gw_process_record: a process's memory is gone */
	GW_RECORD_FORK,    /* struct gw_fork_record: a watched process has forked */
};

struct gw_record_header {
	__u16 type;    /* enum gw_record_type */
	__u16 version; /* GW_ABI_VERSION */
	__u32 size;    /* of the whole record */
	__u64 time;    /* ns */
	__u64 lost;    /* records lost so far, all CPUs: a step between two records is a gap */
};
_Static_assert(sizeof(struct gw_record_header) == 24, "record header layout");

/*
 * Something happened on a thread, with the Python stack at that moment: `frames` times struct
 * gw_frame follow, innermost first.
 */
struct gw_event_record {
	struct gw_record_header header;
	__u64 trace;      /* trace id, 0: unknown (a map was full) */
	__u64 mode;       /* address of the Python mode object, or GW_MODE_PRE_DISPATCH */
	__u64 start_time; /* of the process, ns since boot: identity together with pid */
	__u64 operators;  /* gw_trace.operators so far */
	__u64 changes;    /* gw_trace.changes so far, with this one: a step is a gap */
	__u32 pid;
	__u32 tid;
	__u32 ns_pid; /* in the innermost pid namespace of the process */
	__u32 ns_tid;
	__u32 uid;      /* initial user namespace */
	__u32 file_id;  /* of the cookie */
	__u8 from;      /* GW_STATE_ bits before */
	__u8 to;        /* and after; of a change only GW_STATE_GRAD */
	__u8 certain;   /* read from the thread itself, not tracked */
	__u8 stack;     /* enum gw_stack_status */
	__u32 frames;   /* how many follow this structure */
	__u32 ask;      /* enum gw_ask */
	__u8 inference; /* at a call of the setter: the inference mode is on */
	__u8 began;     /* gw_trace.began, GW_STATE_UNKNOWN where that was not seen */
	__u8 caller;    /* at a call of the setter: enum gw_caller */
	__u8 pad[1];
	__u64 asked; /* ns; names the question of a thread, for GW_RECORD_ASK */
	/* At the entry of the binding, for GW_RECORD_ASK; at that of the setter, for a change: two
	 * calls with one value have one native frame as their caller. */
	__u64 stack_pointer;
	char comm[GW_COMM_LEN];
};
_Static_assert(sizeof(struct gw_event_record) == 24 + 40 + 24 + 8 + 24 + GW_COMM_LEN,
	       "event layout");

/* The last record of a trace: user space takes it out of the map, which makes room for others. */
struct gw_end_record {
	struct gw_record_header header;
	__u64 trace; /* trace id */
};
_Static_assert(sizeof(struct gw_end_record) == 24 + 8, "end layout");

/*
 * A process that has an entry in the map of interpreters has ended, or has replaced its program.
 * The last record of its memory: of what it had mapped, nothing is left.
 */
struct gw_process_record {
	struct gw_record_header header;
	__u64 start_time; /* of the process, ns since boot */
	__u32 pid;
	__u32 reason; /* GW_END_EXIT or GW_END_EXEC */
};
_Static_assert(sizeof(struct gw_process_record) == 24 + 16, "process record layout");

/* Whether a forked child has its parent's entry in the map of interpreters. */
enum gw_inherited {
	GW_INHERITED_NONE, /* the parent has none */
	GW_INHERITED_ENTRY,
	GW_INHERITED_FULL, /* it has not: the map is full, which is counted */
};

/*
 * A watched process has forked a child that is watched, too. Before any record of the child, of its
 * children and of its end.
 */
struct gw_fork_record {
	struct gw_record_header header;
	__u64 start_time;  /* of the child, ns since boot */
	__u32 pid, ns_pid; /* of the child */
	__u32 parent;      /* its pid */
	__u32 interpreter; /* enum gw_inherited */
};
_Static_assert(sizeof(struct gw_fork_record) == 24 + 24, "fork record layout");

/* A code object. Strings are raw: `kind` bytes per character, as CPython stores them. */
struct gw_code_record {
	struct gw_record_header header;
	__u64 id;         /* no other code object's; the same when it is sent again */
	__u64 start_time; /* of the process, as in gw_event_record */
	__u32 pid;
	__u32 first_line;
	__u32 version;    /* gw_python.version */
	__u32 line_bytes; /* of lines[] that are filled */
	__u32 line_total; /* of the table: more than line_bytes when it was cut */
	__u16 file_bytes;
	__u16 name_bytes;
	__u8 file_kind; /* 1, 2 or 4; 0: unreadable */
	__u8 name_kind;
	__u8 file_cut; /* 1: there is more of it than fits */
	__u8 name_cut;
	__u8 pad[4];
	__u8 file[GW_NAME_BYTES];
	__u8 name[GW_NAME_BYTES];
	__u8 lines[];
};
_Static_assert(sizeof(struct gw_code_record) == 24 + 2 * 8 + 5 * 4 + 4 + 8 + 2 * GW_NAME_BYTES,
	       "code layout");

/* Why a trace is over; set by BPF where it knows, else found by user space. */
enum gw_end_reason {
	GW_END_NONE,     /* still open */
	GW_END_LEFT,     /* its mode was left: __exit__ */
	GW_END_GONE,     /* its mode object was freed */
	GW_END_REPLACED, /* another mode object took its place */
	GW_END_EXIT,     /* the thread or process ended */
	GW_END_EXEC,     /* the process replaced its program */
	GW_END_IDLE,     /* popped, and nothing since (user space) */
	GW_END_DETACHED, /* gradwatch stopped first (user space) */
	GW_END_MAX,
};

/*
 * A trace: one entry of one ProxyTorchDispatchMode on one thread. Value of the trace
 * map, keyed by its id; written by its own thread only, read and removed by user space.
 */
struct gw_trace {
	__u64 id;
	__u64 mode;       /* Python mode object, or GW_MODE_PRE_DISPATCH */
	__u64 holder;     /* SafePyObject that holds it in the current entry */
	__u64 mode_type;  /* its ob_type when first seen */
	__u64 start_time; /* of the process, ns since boot */
	__u64 first_push; /* ns; of the first sight, where seen_from_start is 0 */
	__u64 last_push;
	__u64 last_pop; /* 0: not popped yet */
	__u64 end;      /* when end_reason was set */
	__u64 pushes;
	__u64 pops;
	__u64 operators; /* re-pushes after an operator was handled */
	__u64 changes;   /* including those not sent */
	__u64 throttled; /* of these, not sent as there were too many */
	__u32 pid;
	__u32 tid;
	__u32 ns_pid;
	__u32 ns_tid;
	__u32 uid;
	__u32 file_id;
	__u8 seen_from_start; /* 0: first seen in mid-trace */
	__u8 end_reason;      /* enum gw_end_reason */
	__u8 depth;           /* traces already open on the thread when this one began */
	__u8 state_begin;     /* GW_STATE_ bits at the first push */
	__u8 state_end;       /* and when it was left, GW_STATE_UNKNOWN otherwise */
	__u8 dropping;        /* the last change was throttled, so its second part is as well */
	__u8 began; /* state_begin; for an export within PyTorch's own no_grad(): around it */
	__u8 pad[1];
	char comm[GW_COMM_LEN];
};
_Static_assert(sizeof(struct gw_trace) == 14 * 8 + 6 * 4 + 8 + GW_COMM_LEN, "trace layout");

/* An inode as the kernel has it: two files are the same if all of this is. */
struct gw_inode {
	__u64 address; /* of the kernel's object; that of an inode that is probed stays */
	__u64 number;
	__u32 generation;
	__u32 device; /* of its file system, the kernel's encoding */
};
_Static_assert(sizeof(struct gw_inode) == 24, "inode layout");

/* Value of the map of watched processes, keyed by pid. */
struct gw_process {
	__u8 follow; /* children are watched too */
	__u8 hit;    /* it has called a probed function */
	__u8 pad[6];
};
_Static_assert(sizeof(struct gw_process) == 8, "process layout");

#endif
