// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "output/common.h"

int sink_event(struct sink *sink, const struct event *event)
{
	return sink ? sink->ops->event(sink, event) : 0;
}

int sink_reopen(struct sink *sink)
{
	return sink && sink->ops->reopen ? sink->ops->reopen(sink) : 0;
}

void sink_free(struct sink *sink)
{
	if (sink)
		sink->ops->free(sink);
}

const char *output_end_reason(enum gw_end_reason reason)
{
	switch (reason) {
	case GW_END_LEFT:
		return "left";
	case GW_END_GONE:
		return "gone";
	case GW_END_REPLACED:
		return "replaced";
	case GW_END_EXIT:
		return "exit";
	case GW_END_EXEC:
		return "exec";
	case GW_END_IDLE:
		return "idle";
	case GW_END_DETACHED:
		return "detached";
	case GW_END_NONE:
	case GW_END_MAX:
		break;
	}
	return "unknown";
}

const char *output_stack_status(enum gw_stack_status status)
{
	static const char *const name[GW_STACK_MAX] = {
		[GW_STACK_WHOLE] = "whole",         [GW_STACK_CUT] = "cut",
		[GW_STACK_NO_PYTHON] = "no_python", [GW_STACK_UNSUPPORTED] = "unsupported_python",
		[GW_STACK_NO_THREAD] = "no_thread", [GW_STACK_UNREADABLE] = "unreadable",
		[GW_STACK_BUSY] = "busy",
	};

	return status < GW_STACK_MAX ? name[status] : "unknown";
}

const char *output_category(enum finding_category category)
{
	static const char *const name[FINDING_CATEGORY_MAX] = {
		[FINDING_SCOPE] = "scope",
		[FINDING_DRIFT] = "drift",
		[FINDING_UNBALANCED] = "unbalanced",
	};

	return category < FINDING_CATEGORY_MAX ? name[category] : "unknown";
}

const char *output_outcome(enum action_outcome outcome)
{
	static const char *const name[ACTION_OUTCOME_MAX] = {
		[ACTION_PERFORMED] = "performed", [ACTION_TOO_LATE] = "too_late",
		[ACTION_REFUSED] = "refused",     [ACTION_DRY_RUN] = "dry_run",
		[ACTION_LET_GO] = "let_go",
	};

	return outcome < ACTION_OUTCOME_MAX ? name[outcome] : "unknown";
}

const char *output_severity(enum severity severity)
{
	static const char *const name[SEVERITY_MAX] = {
		[SEVERITY_VIOLATION] = "violation",
		[SEVERITY_LOW] = "low",
		[SEVERITY_INFO] = "info",
		[SEVERITY_SUPPRESSED] = "suppressed",
	};

	return severity < SEVERITY_MAX ? name[severity] : "unknown";
}

const char *output_owner(enum owner owner)
{
	static const char *const name[OWNER_MAX] = {
		[OWNER_USER] = "user",
		[OWNER_AUTOGRAD] = "autograd",
	};

	return owner < OWNER_MAX ? name[owner] : "unknown";
}

void output_escaped(FILE *stream, const char *string, size_t size)
{
	char escaped[4 * 4096 + 1];

	str_escape(escaped, sizeof(escaped), string, strnlen(string, size));
	fputs(escaped, stream);
}

void output_duration(FILE *stream, uint64_t ns)
{
	if (ns < 1000000)
		fprintf(stream, "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		fprintf(stream, "%.1f ms", (double)ns / 1e6);
	else
		fprintf(stream, "%.1f s", (double)ns / 1e9);
}

void output_place(FILE *stream, const struct event_frame *frame)
{
	const char *slash = strrchr(frame->file, '/');

	output_escaped(stream, slash ? slash + 1 : frame->file, OUTPUT_NAME_BYTES);
	if (frame->line)
		fprintf(stream, ":%d", frame->line);
	fputs(" in ", stream);
	output_escaped(stream, frame->function, OUTPUT_NAME_BYTES);
}

const char *output_plural(uint64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

uint64_t output_utc(const struct sink_context *context, uint64_t monotonic)
{
	/* Unsigned, so that times of a damaged record wrap round instead of being undefined. */
	return monotonic + (uint64_t)context->utc_offset;
}

int output_write(int fd, const char *data, size_t length, size_t *written)
{
	*written = 0;
	while (*written < length) {
		ssize_t count = write(fd, data + *written, length - *written);

		if (count >= 0) {
			*written += (size_t)count;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		/* Stdout may be shared with a program that made it non-blocking. Waiting here is
		 * safe: what the kernel cannot deliver meanwhile is counted as lost. */
		if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1) < 0 &&
		    errno != EINTR)
			return -errno;
	}
	return 0;
}
