// SPDX-License-Identifier: GPL-2.0-or-later
/* What a gradwatch that runs here says of itself, as text or as its JSON. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "cli/commands.h"
#include "log/format.h"
#include "output/common.h"
#include "serve/status_socket.h"

#define KEY(name) log_fields[FIELD_##name]

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* "" where it is null. */
static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void print_text(const json_t *object, const char *key, int width)
{
	const char *text = text_of(object, key);

	printf("%-*s  ", width, *text ? text : "-");
}

static void print_head(const json_t *status)
{
	const json_t *cost = json_object_get(status, "cost");
	uint64_t uptime = number_of(status, "uptime_ns");
	uint64_t cpu = number_of(cost, "cpu_ns");

	printf("gradwatch %s on ", text_of(status, KEY(GRADWATCH)));
	output_escaped(stdout, text_of(status, KEY(HOST)), OUTPUT_NAME_BYTES);
	printf(", process %" PRIu64 "%s, for ", number_of(status, KEY(PID)),
	       json_is_true(json_object_get(status, "ready")) ? "" : ", starting");
	output_duration(stdout, uptime);
	printf("\ncost: %.2f %% of a processor, %.1f MB, %" PRIu64 " of %" PRIu64
	       " descriptors, %" PRIu64 " files, %" PRIu64 " of them probed\n",
	       uptime ? 100.0 * (double)cpu / (double)uptime : 0,
	       (double)number_of(cost, "rss_bytes") / 1e6, number_of(cost, "descriptors"),
	       number_of(cost, "max_descriptors"), number_of(cost, "files"),
	       number_of(cost, "probed_files"));
}

/* All that is not zero of an object of numbers: "lost 3, throttled 4". */
static void print_numbers(const char *title, const json_t *object)
{
	const char *separator = title, *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		if (!json_integer_value(value))
			continue;
		printf("%s%s %lld", separator, key, (long long)json_integer_value(value));
		separator = ", ";
	}
	if (separator != title)
		putchar('\n');
}

static void print_totals(const json_t *status)
{
	const json_t *totals = json_object_get(status, KEY(TOTALS));

	printf("totals: %" PRIu64 " processes, %" PRIu64 " traces, %" PRIu64 " violations, %" PRIu64
	       " lost, %" PRIu64 " findings, %" PRIu64 " notes\n",
	       number_of(totals, KEY(PROCESSES)), number_of(totals, KEY(TRACES)),
	       number_of(totals, KEY(VIOLATIONS)), number_of(totals, KEY(LOST)),
	       number_of(totals, KEY(FINDINGS)), number_of(totals, KEY(NOTES)));
	print_numbers("ledger: ", json_object_get(totals, KEY(LEDGER)));
	print_numbers("losses: ", json_object_get(totals, KEY(COUNTERS)));
	print_numbers("actions: ", json_object_get(totals, KEY(ACTIONS)));
	print_numbers("processes: ", json_object_get(status, "covered"));
}

static void print_container(const json_t *process)
{
	const json_t *container = json_object_get(process, KEY(CONTAINER));
	const struct event_cgroup cgroup = {
		.container = text_of(container, KEY(ID)),
		.runtime = text_of(container, KEY(RUNTIME)),
	};

	if (!container || json_is_null(container))
		return;
	fputs(" in container ", stdout);
	output_container(stdout, &cgroup);
}

static void print_process(const json_t *process)
{
	const char *reason = text_of(process, KEY(REASON));

	printf("%-11s  %-8" PRIu64 "  ", text_of(process, "coverage"),
	       number_of(process, KEY(PID)));
	print_text(json_object_get(process, KEY(TORCH)), KEY(VERSION), 10);
	print_text(process, "python", 6);
	printf("%-7" PRIu64 " %-8" PRIu64 "  ", number_of(process, KEY(TRACES)),
	       number_of(process, KEY(FINDINGS)));
	printf("%-8.8s  ",
	       *text_of(process, "last_event") ? text_of(process, "last_event") + 11 : "-");
	output_escaped(stdout, text_of(process, KEY(COMM)), OUTPUT_NAME_BYTES);
	print_container(process);
	putchar('\n');
	if (*reason) {
		fputs("             ", stdout);
		output_escaped(stdout, reason, OUTPUT_NAME_BYTES);
		putchar('\n');
	}
}

static void print_table(const json_t *status)
{
	const json_t *table = json_object_get(status, "table");

	if (!json_array_size(table)) {
		puts("no process here has PyTorch");
		return;
	}
	printf("\n%-11s  %-8s  %-10s  %-6s  %-7s %-8s  %-8s  %s\n", "COVERAGE", "PID", "TORCH",
	       "PYTHON", "TRACES", "FINDINGS", "LAST", "PROCESS");
	for (size_t i = 0; i < json_array_size(table); i++)
		print_process(json_array_get(table, i));
}

static int print_status(const char *text)
{
	json_t *status = json_loads(text, 0, NULL);

	if (!json_is_object(status)) {
		json_decref(status);
		log_error("the answer is no status of gradwatch");
		return EXIT_BAD_USE;
	}
	print_head(status);
	print_totals(status);
	print_table(status);
	json_decref(status);
	return EXIT_OK;
}

int command_status(const struct options *options)
{
	const char *path = options->serve.socket ? options->serve.socket : STATUS_SOCKET_DEFAULT;
	struct err err;
	size_t length;
	char *text = status_socket_ask(path, &length, &err);
	int status = EXIT_OK;

	if (!text) {
		log_error("%s", err.text);
		return EXIT_BAD_USE;
	}
	if (options->json)
		fwrite(text, 1, length, stdout);
	else
		status = print_status(text);
	free(text);
	if (fflush(stdout)) {
		log_error("cannot write to standard output");
		return EXIT_BAD_USE;
	}
	return status;
}
