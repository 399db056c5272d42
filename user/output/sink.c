// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

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
