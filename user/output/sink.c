// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "output/common.h"

/* Before the next line: how many are missing here. */
static void put_notice(struct sink *sink, uint64_t time)
{
	struct event event = {.type = EVENT_LOST_OUTPUT, .time = time};
	struct writer_status status;
	char *text = NULL;
	size_t length = 0;

	writer_status(sink->writer, &status);
	status.lost -= status.failed;
	if (status.lost == status.notified || status.notice || status.gone)
		return;
	event.lost.count = status.lost - status.notified;
	event.lost.total = status.lost;
	if (!sink->ops->format(sink, &event, &text, &length) && text)
		writer_notice(sink->writer, text, length, status.lost);
	free(text);
}

void sink_event(struct sink *sink, const struct event *event)
{
	char *text = NULL;
	size_t length = 0;

	if (!sink)
		return;
	put_notice(sink, event->time); /* first, so that it has the lower number */
	if (sink->ops->format(sink, event, &text, &length)) {
		writer_lose(sink->writer);
		return;
	}
	if (!text)
		return;
	writer_put(sink->writer, text, length);
	free(text);
}

void sink_renew(struct sink *sink)
{
	if (sink && sink->ops->renew)
		sink->ops->renew(sink);
}

int sink_free(struct sink *sink, const char **what)
{
	return sink ? sink->ops->free(sink, what) : 0;
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
		[SEVERITY_NOTE] = "note",
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
		[OWNER_CPP] = "cpp",
	};

	return owner < OWNER_MAX ? name[owner] : "unknown";
}

const char *output_a_trace(enum trace_kind kind)
{
	return kind == TRACE_KIND_COMPILE ? "compiled code" : "a trace";
}

const char *output_the_trace(enum trace_kind kind)
{
	return kind == TRACE_KIND_COMPILE ? "the compiled code" : "the trace";
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

/* Where the last `parts` components of a path begin; the whole path where it has no more. */
static const char *last_components(const char *path, int parts)
{
	const char *at = path + strlen(path);

	while (at > path) {
		if (at[-1] == '/' && !--parts)
			return at;
		at--;
	}
	return path;
}

void output_place(FILE *stream, const struct event_frame *frame)
{
	output_escaped(stream, last_components(frame->file, OUTPUT_PATH_PARTS), OUTPUT_NAME_BYTES);
	if (frame->line)
		fprintf(stream, ":%d", frame->line);
	fputs(" in ", stream);
	output_escaped(stream, frame->function, OUTPUT_NAME_BYTES);
}

#define CONTAINER_ID_SHOWN 12

void output_container(FILE *stream, const struct event_cgroup *cgroup)
{
	bool is_name = cgroup->runtime && (!strcmp(cgroup->runtime, "systemd-nspawn") ||
					   !strcmp(cgroup->runtime, "lxc"));

	if (cgroup->runtime && *cgroup->runtime) {
		output_escaped(stream, cgroup->runtime, OUTPUT_NAME_BYTES);
		fputc(' ', stream);
	}
	output_escaped(stream, cgroup->container, is_name ? OUTPUT_NAME_BYTES : CONTAINER_ID_SHOWN);
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
