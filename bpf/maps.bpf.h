/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maps, shared by all programs. process.bpf.c is loaded once and owns them; torch.bpf.c is
 * loaded once per distinct plan and is given the same maps.
 */
#ifndef GRADWATCH_MAPS_BPF_H
#define GRADWATCH_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "gradwatch/abi.h"

/* A trace in progress on a thread. */
struct gw_open_trace {
	__u64 id; /* id, 0: the trace map was full */
	__u64 mode;
	__u64 holder;
	__u64 entries; /* times it was entered and not left: decompositions enter it again */
	__u64 stash;   /* the holder that the C++ guard round an operator took away, 0: none */
};

/*
 * What is kept of one thread. Only the thread itself writes it (its probes, its exec and its exit
 * run on it), so nothing here needs a lock.
 *
 * `block` is the address of the library's thread-local block. It is looked up once (four reads)
 * and good until exec, where the entry is removed: that halves the cost of a hit.
 */
struct gw_thread {
	union {
		__u64 owner; /* `tid`, and above it who claims the slot: see threads.bpf.h */
		__u32 tid;   /* whose entry it is, 0: nobody's */
	};
	__u64 block;
	__u64 base;         /* load address of the file that `block` belongs to */
	__u64 next_record;  /* see throttle.bpf.h */
	__u64 pre_dispatch; /* id of the pre-dispatch trace in progress, 0: none */
	__u64 proxy_type;   /* see python_is_proxy_mode(), 0: not met yet */
	__u32 modes;        /* tracked, for builds whose state cannot be read: see tls.bpf.h */
	__u32 file_id;
	__u8 grad_known;    /* tracked */
	__u8 grad;          /* tracked */
	__u8 depth;         /* entries of gw_nest.trace in use */
	__u8 expected;      /* GW_STATE_ bits as last known in a trace: see trace.bpf.h */
	__u8 at_operator;   /* the same, at the operator before */
	__u8 tell_operator; /* the next operator's stack is wanted: it names the changed scope */
	__u8 around;        /* GW_STATE_ bits around an export, and AROUND_KNOWN: see trace.bpf.h */
	__u8 noted;         /* THREAD_ bits: what gw_nest has of it */
};
_Static_assert(sizeof(struct gw_thread) == 64, "a line of the cache, and GW_MAX_THREADS of them");

#define THREAD_ASKED 1
#define THREAD_ACTED 2

/* What is kept of a thread that is in a trace, or has been in one: few of the others are. */
struct gw_nest {
	struct gw_open_trace trace[GW_MAX_NESTING];
	__u64 asked; /* THREAD_ASKED: the question that this call of the binding has put */
	__u64 acted; /* THREAD_ACTED: the violation that the process was sent a signal for */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct gw_process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct gw_interpreter);
} interpreters SEC(".maps");

/* See threads.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GW_MAX_THREADS);
	__type(key, __u32);
	__type(value, struct gw_thread);
} threads SEC(".maps");

/* By thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_NESTS);
	__type(key, __u32);
	__type(value, struct gw_nest);
} nests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_TRACES);
	__type(key, __u64);
	__type(value, struct gw_trace);
} traces SEC(".maps");

struct gw_counters {
	__u64 count[GW_COUNTER_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gw_counters);
} counters SEC(".maps");

/* Numbers that have to be the same on all CPUs. */
struct gw_shared {
	__u64 last_trace;
	__u64 lost;
	__u32 codes; /* code objects that were sent, modulo 2^32 */
	__u32 pad;
	__u64 next_record; /* of all threads that have no entry: see throttle.bpf.h */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gw_shared);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, GW_RING_BYTES);
} ring SEC(".maps");

/* See enforce.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct gw_enforced);
} enforced SEC(".maps");

/* Whether one acts at all: user space ends that before it stops to answer. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} acting SEC(".maps");

/* Whether gradwatch ends: see probe.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} over SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_DECISIONS);
	__type(key, __u64);
	__type(value, __u8);
} decisions SEC(".maps");

/* The question of a thread that user space has answered by letting the call go on. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GW_MAX_HELD);
	__type(key, __u32);
	__type(value, __u64);
} let_go SEC(".maps");

/* The question of a thread that is at the entry of the binding, 0: it has gone on from there. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GW_MAX_HELD);
	__type(key, __u32);
	__type(value, __u64);
} asking SEC(".maps");

/* The violation of a thread that it has lived to see the end of, in spite of a signal. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GW_MAX_HELD);
	__type(key, __u32);
	__type(value, __u64);
} ran_on SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_HELD);
	__type(key, __u32);
	__type(value, struct gw_held);
} held SEC(".maps");

/* Of these, until when user space has dealt with them: it alone writes here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_HELD);
	__type(key, __u32);
	__type(value, struct gw_answer);
} answers SEC(".maps");

/* A code object that was sent: the same address may be another one later. */
struct code_key {
	__u64 address;
	__u32 pid;
	__u32 born; /* of the process's start time: an id is forgotten with its process */
};

struct code_known {
	__u64 id;
	__u64 file, name, lines;
	__u32 first_line;
	__u32 sent; /* gw_shared.codes when it was sent */
};

/* A walk over a thread's Python stack: see stack.bpf.h. */
#define FRAME_BYTES  112  /* of a frame: holds all fields that are looked at */
#define CODE_START   16   /* the same, of a code object: what lies from there */
#define CODE_BYTES   128  /* so far; more would be copied in a slower way */
#define STRING_BYTES 40   /* the same, of a str */
#define CHUNK_BYTES  1024 /* of a thread's stack of frames that are read at once */

struct gw_walk {
	__u64 number;      /* of the walks in this slot */
	__u64 frame;       /* next to look at, 0: none */
	__u64 chunk_start; /* what is in `chunk`: [chunk_low, chunk_start + CHUNK_BYTES) */
	__u64 chunk_low;
	__u64 start_time; /* of the process */
	__u32 codes;      /* gw_shared.codes when the walk began */
	__u32 pad;
	struct gw_interpreter interpreter;
	__u8 chunk[CHUNK_BYTES + 128]; /* the rest is for the verifier: see frame_read() */
	__u8 code[CODE_BYTES];
	struct code_key key;     /* here, as the programs' stack is small: of the code object */
	struct code_known known; /* and what `code` says of it */
	__u64 string[STRING_BYTES / 8];
	struct gw_event_record record;
	struct gw_frame frames[GW_MAX_FRAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GW_MAX_WALKS);
	__type(key, __u32);
	__type(value, struct gw_walk);
} walks SEC(".maps");

/* The slots of it that are in use, and by which thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GW_MAX_WALKS);
	__type(key, __u32);
	__type(value, __u32);
} walk_owners SEC(".maps");

/* What is in `codes` of the code objects that were met last in a slot: only its owner looks here,
 * so it needs no lock. The first slots have such a cache. */
struct code_cached {
	struct code_key key;
	struct code_known known;
	__u64 walk; /* number of the slot's walk that has last compared it with the code object */
};

struct code_cache {
	struct code_cached entry[GW_CACHED_CODES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GW_CODE_CACHES);
	__type(key, __u32);
	__type(value, struct code_cache);
} code_caches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GW_MAX_CODES);
	__type(key, struct code_key);
	__type(value, struct code_known);
} codes SEC(".maps");

/* Always empty: see probe.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} no_programs SEC(".maps");

/* This CPU's counters; a NULL can only be the verifier's. */
static __always_inline struct gw_counters *counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* A uprobe program can be preempted by another one on the same CPU: the add must be atomic. */
static __always_inline void counters_add(struct gw_counters *all, enum gw_counter counter)
{
	__sync_fetch_and_add(&all->count[counter], 1);
}

static __always_inline void count(enum gw_counter counter)
{
	struct gw_counters *all = counters_get();

	if (all)
		counters_add(all, counter);
}

#endif
