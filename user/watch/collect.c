// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/collect.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/actor.h"
#include "target/procfs.h"

/* A mode is popped and pushed within microseconds: younger pops need no look at the process. */
#define POPPED_FOR_NS 50000000ull

/* How long a sweep and the taking of records go on at most, about, in a turn of the loop. */
#define SWEEP_MAX_NS 20000000ull
#define TAKE_MAX_NS  20000000ull

#define MAX_ENDINGS  256

/* A trace that was taken out of its map, and whose end is reported when it is its turn. */
struct ending {
	struct gw_trace trace;
	enum model_mode_state mode;
	unsigned long after; /* the position in the ring behind its last record */
	uint64_t time;       /* when it was taken out */
};

struct collect {
	struct ring_buffer *ring;
	const unsigned long *consumer; /* the ring's positions, in pages of their own */
	const unsigned long *producer;
	unsigned long until; /* collect_records() takes the records before this position */
	uint64_t deadline;   /* but none after this time */
	unsigned int warned; /* bit n: of the n-th table in warn_full() */
	uint64_t swept;      /* the trace after which the next sweep goes on, 0: the first */
	struct programs *programs;
	struct model *model;
	const struct watch_actor *actor;
	struct collect_processes processes;
	/* Read at counted_at (ns, 0: reported); reported when the ring is read up to counted_until.
	 */
	uint64_t counter[GW_COUNTER_MAX];
	uint64_t counted_at;
	unsigned long counted_until;
	uint64_t forks_lost;               /* so many were reported */
	struct ending ending[MAX_ENDINGS]; /* a ring, ordered by position */
	unsigned int first_ending, endings;
	uint64_t removed;               /* traces that sweeps have taken out of the map */
	struct model_decision decision; /* of the last record */
	struct gw_trace last;           /* the trace of the last record: records come in bursts */
};

static struct ending *ending_at(struct collect *collect, unsigned int n)
{
	return &collect->ending[(collect->first_ending + n) % MAX_ENDINGS];
}

/* The trace of this id; false: there is none any more. */
static bool find_trace(struct collect *collect, uint64_t id, struct gw_trace *trace)
{
	if (programs_trace(collect->programs, id, trace))
		return true;
	for (unsigned int n = 0; n < collect->endings; n++) {
		if (ending_at(collect, n)->trace.id != id)
			continue;
		*trace = ending_at(collect, n)->trace;
		return true;
	}
	return false;
}

static const struct gw_trace *trace_of(struct collect *collect, const void *data, size_t size)
{
	const struct gw_event_record *violation = data;

	if (size < sizeof(*violation) || violation->header.type == GW_RECORD_CODE ||
	    !violation->trace)
		return NULL;
	if (violation->trace != collect->last.id &&
	    !find_trace(collect, violation->trace, &collect->last)) {
		collect->last.id = 0;
		return NULL;
	}
	return &collect->last;
}

/* Whether it is not known yet if the trace's last change was made. */
static bool is_undecided(const struct collect *collect, const struct gw_trace *trace)
{
	const struct watch_actor *actor = collect->actor;

	return actor && actor->is_undecided(actor->context, trace->pid);
}

/* The model's word on a trace; an actor need not remember a trace that is over. */
static bool report_trace(struct collect *collect, const struct gw_trace *trace,
			 enum model_mode_state mode, uint64_t now)
{
	const struct watch_actor *actor = collect->actor;
	bool over = model_trace(collect->model, trace, mode, now);

	if (over && actor)
		actor->trace_ended(actor->context, trace->id);
	return over;
}

/* Whether it is a record of this type, of which `wanted` bytes are read. */
static bool is_record(const void *data, size_t size, enum gw_record_type type, size_t wanted)
{
	struct gw_record_header header;

	if (size < wanted)
		return false;
	memcpy(&header, data, sizeof(header));
	return header.type == type && header.version == GW_ABI_VERSION;
}

/*
 * Takes a trace whose thread has ended out of the map: no record of it follows this one. Returns
 * false for other records.
 */
static bool take_end(struct collect *collect, const void *data, size_t size)
{
	struct gw_end_record record;
	struct gw_trace trace;

	if (!is_record(data, size, GW_RECORD_END, sizeof(record)))
		return false;
	memcpy(&record, data, sizeof(record));
	if (!programs_trace(collect->programs, record.trace, &trace) ||
	    is_undecided(collect, &trace))
		return true;
	programs_forget_trace(collect->programs, record.trace);
	collect->last.id = 0;
	report_trace(collect, &trace, MODEL_MODE_UNKNOWN, record.header.time);
	return true;
}

/* Tells of the life of a process. Returns false for other records. */
static bool take_process(const struct collect *collect, const void *data, size_t size)
{
	const struct collect_processes *handler = &collect->processes;
	struct gw_process_record gone;
	struct gw_fork_record fork;

	if (is_record(data, size, GW_RECORD_PROCESS, sizeof(gone))) {
		memcpy(&gone, data, sizeof(gone));
		handler->gone(handler->context, &gone);
		return true;
	}
	if (is_record(data, size, GW_RECORD_FORK, sizeof(fork))) {
		memcpy(&fork, data, sizeof(fork));
		handler->forked(handler->context, &fork);
		return true;
	}
	return false;
}

static unsigned long consumed(const struct collect *collect)
{
	return __atomic_load_n(collect->consumer, __ATOMIC_ACQUIRE);
}

/*
 * The position after the record that is being taken: libbpf moves the consumer's position when the
 * callback has returned.
 */
static unsigned long end_of_record(const struct collect *collect, size_t size)
{
	return consumed(collect) + ((BPF_RINGBUF_HDR_SZ + size + 7) & ~7ul);
}

/* Tells of the traces whose records end before a position in the ring. */
static void report_endings(struct collect *collect, unsigned long position)
{
	while (collect->endings && ending_at(collect, 0)->after <= position) {
		const struct ending *ending = ending_at(collect, 0);

		report_trace(collect, &ending->trace, ending->mode, ending->time);
		collect->first_ending = (collect->first_ending + 1) % MAX_ENDINGS;
		collect->endings--;
	}
}

/* The record's events first, then what is done about it. */
static void report_record(struct collect *collect, const void *data, size_t size)
{
	const struct watch_actor *actor = collect->actor;

	model_record(collect->model, data, size, trace_of(collect, data, size),
		     actor ? &collect->decision : NULL);
	if (actor && collect->decision.subject != MODEL_SUBJECT_NONE)
		actor->decide(actor->context, &collect->decision);
}

/*
 * A negative result ends the reading; libbpf has then taken this record as well. A bad record is
 * counted by the model.
 */
static int on_record(void *context, void *data, size_t size)
{
	struct collect *collect = context;
	bool last = end_of_record(collect, size) >= collect->until ||
		    clock_monotonic() >= collect->deadline;

	report_endings(collect, consumed(collect));
	if (!take_end(collect, data, size) && !take_process(collect, data, size))
		report_record(collect, data, size);
	return last ? -ECANCELED : 0;
}

static const unsigned long *map_position(int fd, long page)
{
	long size = sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, page * size);

	return at == MAP_FAILED ? NULL : at;
}

static void unmap_position(const unsigned long *position)
{
	if (position)
		munmap((void *)position, (size_t)sysconf(_SC_PAGESIZE));
}

int collect_open(struct collect **out, struct programs *programs, struct model *model,
		 const struct watch_actor *actor, struct err *err)
{
	struct collect *collect = calloc(1, sizeof(*collect));

	if (!collect)
		return err_set(err, -ENOMEM, "out of memory");
	collect->programs = programs;
	collect->model = model;
	collect->actor = actor;
	collect->ring = ring_buffer__new(programs_ring_fd(programs), on_record, collect, NULL);
	if (collect->ring) {
		collect->consumer = map_position(programs_ring_fd(programs), 0);
		collect->producer = map_position(programs_ring_fd(programs), 1);
	}
	if (!collect->consumer || !collect->producer) {
		int code = -errno;

		collect_close(collect);
		return err_set(err, code, "cannot map the ring buffer: %s", strerror(-code));
	}
	*out = collect;
	return 0;
}

void collect_on_process(struct collect *collect, const struct collect_processes *handler)
{
	collect->processes = *handler;
}

void collect_close(struct collect *collect)
{
	if (!collect)
		return;
	ring_buffer__free(collect->ring);
	unmap_position(collect->consumer);
	unmap_position(collect->producer);
	free(collect);
}

int collect_fd(const struct collect *collect)
{
	return ring_buffer__epoll_fd(collect->ring);
}

unsigned long collect_position(const struct collect *collect)
{
	return consumed(collect);
}

bool collect_records(struct collect *collect, bool all)
{
	unsigned long before = consumed(collect);

	collect->deadline = all ? UINT64_MAX : clock_monotonic() + TAKE_MAX_NS;
	if (all || before >= collect->until)
		collect->until = __atomic_load_n(collect->producer, __ATOMIC_ACQUIRE);
	ring_buffer__consume(collect->ring);
	report_endings(collect, consumed(collect));
	return consumed(collect) >= collect->until || clock_monotonic() < collect->deadline;
}

/*
 * Whether the trace's mode object still exists, as the process's memory shows: a freed object
 * has reference count 0 until its memory is used again, and then hardly the same type in the same
 * place. Read without stopping the process, so only asked while the mode is popped.
 */
static enum model_mode_state mode_state(const struct gw_trace *trace, uint64_t now)
{
	uint64_t head[2];
	int code;

	if (trace->mode == GW_MODE_PRE_DISPATCH || trace->last_pop <= trace->last_push ||
	    now < trace->last_pop + POPPED_FOR_NS)
		return MODEL_MODE_UNKNOWN;
	code = procfs_read_memory((pid_t)trace->pid, trace->mode, head, sizeof(head));
	if (code == -ESRCH || code == -EFAULT)
		return MODEL_MODE_GONE;
	if (code)
		return MODEL_MODE_UNKNOWN;
	return (uint32_t)head[0] && head[1] == trace->mode_type ? MODEL_MODE_ALIVE
								: MODEL_MODE_GONE;
}

/*
 * A trace that is over is taken out of the map first: what comes after that is another trace's,
 * and what came before is reported before its end. False: too many are waiting for that.
 */
static bool end_trace(struct collect *collect, const struct gw_trace *trace,
		      enum model_mode_state mode, uint64_t now)
{
	struct ending *ending = ending_at(collect, collect->endings);

	if (collect->endings == MAX_ENDINGS)
		return false;
	programs_forget_trace(collect->programs, trace->id);
	*ending = (struct ending){*trace, mode,
				  __atomic_load_n(collect->producer, __ATOMIC_ACQUIRE), now};
	collect->endings++;
	report_endings(collect, consumed(collect));
	return true;
}

/* Tells of a trace. False: that has to wait until more records have been taken. */
static bool sweep_trace(struct collect *collect, uint64_t id, uint64_t now, bool last)
{
	enum model_mode_state mode = MODEL_MODE_UNKNOWN;
	struct gw_trace trace;

	if (!programs_trace(collect->programs, id, &trace) ||
	    (!last && is_undecided(collect, &trace)))
		return true;
	if (!trace.end_reason)
		mode = mode_state(&trace, now);
	if (model_trace_is_over(collect->model, &trace, mode, now))
		return end_trace(collect, &trace, mode, now);
	if (!report_trace(collect, &trace, mode, now) && last)
		model_trace_detach(collect->model, &trace, now);
	return true;
}

/*
 * Goes on where the sweep before it has stopped. The key after the present one is read before the
 * present one may be removed; a trace that is not found any more makes the map start anew.
 */
static enum sweep sweep_traces(struct collect *collect, bool last)
{
	uint64_t began = clock_monotonic(), now = began, next;
	uint64_t id = 0, before = last ? 0 : collect->swept;
	bool more = programs_next_trace(collect->programs, before, &id);
	const bool any = more || before || collect->endings;

	collect->swept = 0;
	for (int n = 0; more && n < 2 * GW_MAX_TRACES; n++) {
		bool stop = !last && clock_between(began, now) > SWEEP_MAX_NS;
		uint64_t removed = collect->removed;

		more = programs_next_trace(collect->programs, id, &next);
		if (last && collect->endings == MAX_ENDINGS)
			collect_records(collect, true);
		if (stop || !sweep_trace(collect, id, now, last)) {
			collect->swept = before;
			return SWEEP_STOPPED;
		}
		now = clock_monotonic();
		if (collect->removed == removed)
			before = id;
		id = next;
	}
	if (last) {
		collect_records(collect, true);
		report_endings(collect, ULONG_MAX);
	}
	return any ? SWEEP_DONE : SWEEP_EMPTY;
}

/* That something did not fit into one of the kernel's maps is logged once. */
static void warn_full(struct collect *collect, const uint64_t *counter)
{
	static const struct {
		enum gw_counter counter;
		const char *table;
		unsigned int limit;
	} tables[] = {
		{GW_INTERPRETERS_FULL, "interpreters", GW_MAX_PROCESSES},
		{GW_ENFORCED_FULL, "enforced processes", GW_MAX_PROCESSES},
		{GW_DECISIONS_FULL, "decisions", GW_MAX_TRACES},
	};

	for (unsigned int i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (!counter[tables[i].counter] || collect->warned & 1u << i)
			continue;
		collect->warned |= 1u << i;
		log_warn("the kernel's map of %s is full (at most %u); what does not fit is "
			 "counted",
			 tables[i].table, tables[i].limit);
	}
}

/* Reads the counters, and how far the ring has to be read before what they say may be reported. */
static void read_counters(struct collect *collect)
{
	if (programs_counters(collect->programs, collect->counter))
		return;
	collect->counted_until = __atomic_load_n(collect->producer, __ATOMIC_ACQUIRE);
	collect->counted_at = clock_monotonic();
}

static void report_counters(struct collect *collect)
{
	const uint64_t *counter = collect->counter;

	warn_full(collect, counter);
	model_counters(collect->model, counter, collect->counted_at);
	collect->counted_at = 0;
	if (counter[GW_FORKS_LOST] == collect->forks_lost)
		return;
	collect->forks_lost = counter[GW_FORKS_LOST];
	collect->processes.forks_lost(collect->processes.context);
}

enum sweep collect_sweep(struct collect *collect, bool last)
{
	enum sweep swept = sweep_traces(collect, last);

	if (last || !collect->counted_at)
		read_counters(collect);
	/* A loss is reported where it is in the stream: not before the records that precede it. */
	if (collect->counted_at && (last || consumed(collect) >= collect->counted_until))
		report_counters(collect);
	return swept == SWEEP_EMPTY && collect->counted_at ? SWEEP_DONE : swept;
}
