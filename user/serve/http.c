// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "serve/metrics.h"

#define CONNECTIONS       16 /* at one time; more wait in the kernel's queue, or are refused */
#define PATIENCE_S        5u /* for a peer that sends or takes nothing */
#define CONNECTION_MEMORY ((size_t)8 << 10) /* request line and headers */
#define NS_PER_MS         1000000ull
#define LOOPBACK          "127.0.0.1"

struct http {
	struct loop *loop;
	struct loop_source *source;
	struct MHD_Daemon *daemon;
	http_answer answer;
	void *context;
};

struct text {
	unsigned int status;
	const char *body;
};

static enum MHD_Result send_text(struct MHD_Connection *connection, const struct text *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text->body), (void *)text->body, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = response ? MHD_queue_response(connection, text->status, response)
					  : MHD_NO;

	if (response)
		MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_metrics(struct http *http, struct MHD_Connection *connection)
{
	static const struct text failed = {MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n"};
	struct MHD_Response *response = NULL;
	enum MHD_Result result;
	size_t length = 0;
	char *body = http->answer(http->context, &length);

	if (body)
		response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(body);
		return send_text(connection, &failed);
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, METRICS_CONTENT_TYPE);
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

/* An MHD_AccessHandlerCallback: with the first call the headers are there, the second answers. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
				  const char *path, const char *method, const char *version,
				  const char *upload, size_t *upload_size, void **request)
{
	static const struct text no_method = {MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n"};
	static const struct text not_found = {MHD_HTTP_NOT_FOUND, "see /metrics\n"};
	static char begun;

	(void)version;
	(void)upload;
	if (!*request) {
		*request = &begun;
		return MHD_YES;
	}
	*upload_size = 0;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_text(connection, &no_method);
	if (strcmp(path, "/metrics") != 0)
		return send_text(connection, &not_found);
	return send_metrics(context, connection);
}

static void on_message(void *context, const char *format, va_list arguments)
{
	char text[256];

	(void)context;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("metrics: %s", text);
}

/* Also when a connection has waited too long. */
static void wake(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	if (MHD_get_timeout(http->daemon, &ms) == MHD_YES)
		loop_wake_at(http->source, clock_monotonic() + ms * NS_PER_MS + 1);
}

static bool serve_http(void *context)
{
	struct http *http = context;

	MHD_run(http->daemon);
	wake(http);
	return false;
}

/* Splits it at the last colon. */
static int parse_address(const char *where, char *host, size_t size, const char **port,
			 struct err *err)
{
	const char *colon = strrchr(where, ':'), *begin = where;
	size_t length = colon ? (size_t)(colon - where) : 0;
	uint64_t number;

	*port = colon ? colon + 1 : where;
	if (length >= 2 && where[0] == '[' && where[length - 1] == ']') {
		begin++;
		length -= 2;
	}
	if (length >= size || str_to_u64(*port, 1, UINT16_MAX, &number))
		return err_set(err, -EINVAL,
			       "--metrics wants ADDRESS:PORT, as 127.0.0.1:9465 or [::1]:9465, not "
			       "'%s'",
			       where);
	str_format(host, size, "%.*s", (int)length, begin);
	if (!length)
		str_format(host, size, LOOPBACK);
	return 0;
}

static int resolve(const char *where, struct addrinfo **found, struct err *err)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				       .ai_socktype = SOCK_STREAM};
	char host[64];
	const char *port;
	int code = parse_address(where, host, sizeof(host), &port, err);

	if (code)
		return code;
	code = getaddrinfo(host, port, &hints, found);
	if (code)
		return err_set(err, -EINVAL, "--metrics: '%s' is no address of this machine: %s",
			       where, gai_strerror(code));
	return 0;
}

static int start(struct http *http, const struct addrinfo *address, const char *where,
		 struct err *err)
{
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG;

	if (address->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	http->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_message,
		NULL, MHD_OPTION_SOCK_ADDR, address->ai_addr, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
	if (!http->daemon)
		return err_set(err, errno ? -errno : -EIO,
			       "cannot listen at '%s' for metrics: %s: give another ADDRESS:PORT",
			       where, strerror(errno ? errno : EIO));
	return 0;
}

static int add_to_loop(struct http *http, int order, struct err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon,
							       MHD_DAEMON_INFO_EPOLL_FD);

	if (!info)
		return err_set(err, -ENOTSUP, "this libmicrohttpd cannot wait by epoll");
	http->source = loop_add(http->loop, info->epoll_fd, order, serve_http, http);
	return http->source ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int http_open(struct http **out, const char *where, struct loop *loop, int order,
	      http_answer answer, void *context, struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));
	struct addrinfo *address = NULL;
	int code;

	if (!http)
		return err_set(err, -ENOMEM, "out of memory");
	*http = (struct http){.loop = loop, .answer = answer, .context = context};
	code = resolve(where, &address, err);
	if (!code)
		code = start(http, address, where, err);
	if (!code)
		code = add_to_loop(http, order, err);
	if (address)
		freeaddrinfo(address);
	if (code)
		http_close(http);
	else
		*out = http;
	return code;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	loop_remove(http->loop, http->source);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	free(http);
}
