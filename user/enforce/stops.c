// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/stops.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>

#include "enforce/target.h"
#include "target/procfs.h"

#define TRIES 3

bool stops_get(const struct stops *stops, pid_t pid, struct gw_held *held, struct gw_answer *answer)
{
	uint32_t key = (uint32_t)pid;

	*answer = (struct gw_answer){0};
	if (bpf_map_lookup_elem(stops->held_fd, &key, held))
		return false;
	bpf_map_lookup_elem(stops->answers_fd, &key, answer);
	return true;
}

static void set_answer(const struct stops *stops, pid_t pid, const struct gw_answer *answer)
{
	uint32_t key = (uint32_t)pid;

	bpf_map_update_elem(stops->answers_fd, &key, answer, BPF_ANY);
}

static int send(pid_t pid, int signal)
{
	int code = -EAGAIN;

	for (int i = 0; i < TRIES && code && code != -ESRCH; i++)
		code = kill(pid, signal) ? -errno : 0;
	return code;
}

int stops_continue(const struct stops *stops, pid_t pid, uint64_t start_time)
{
	struct gw_answer answer;
	struct gw_held held;
	int code, stop;

	if (!stops_get(stops, pid, &held, &answer) ||
	    !procfs_same_start(held.start_time, start_time))
		return -ESRCH;
	stop = target_pending_stop(pid);
	code = send(pid, SIGCONT);
	if (code)
		return code;
	set_answer(stops, pid, &(struct gw_answer){.gone_on = held.stopped});
	return stop ? send(pid, stop) : 0;
}

void stops_hold(const struct stops *stops, pid_t pid, uint64_t until)
{
	struct gw_answer answer;
	struct gw_held held;

	if (!stops_get(stops, pid, &held, &answer))
		return;
	answer.until = until;
	set_answer(stops, pid, &answer);
}

void stops_note_continued(const struct stops *stops, pid_t pid, uint64_t stopped)
{
	struct gw_answer answer;
	struct gw_held held;

	if (stops_get(stops, pid, &held, &answer))
		set_answer(stops, pid, &(struct gw_answer){.gone_on = stopped});
}

void stops_each(const struct stops *stops,
		void (*visit)(void *context, pid_t pid, const struct gw_held *held,
			      const struct gw_answer *answer),
		void *context)
{
	struct gw_answer answer;
	struct gw_held held;
	uint32_t pid, next;
	bool more = !bpf_map_get_next_key(stops->held_fd, NULL, &pid);

	/* Bounded, as an entry that is deleted meanwhile starts the walk anew. */
	for (int n = 0; more && n < 2 * GW_MAX_HELD; n++) {
		more = !bpf_map_get_next_key(stops->held_fd, &pid, &next);
		if (stops_get(stops, (pid_t)pid, &held, &answer) && held.stopped > answer.gone_on)
			visit(context, (pid_t)pid, &held, &answer);
		pid = next;
	}
}
