// SPDX-License-Identifier: GPL-2.0-or-later
/* The metrics of a snapshot, as Prometheus' text format wants them. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/metrics.h"

static struct snapshot_findings findings;

static char *written(const struct snapshot *snapshot)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	metrics_write(stream, snapshot);
	fclose(stream);
	return text;
}

static void has(const char *text, const char *line)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole))
		fail_msg("no line '%s' in\n%s", line, text);
}

static void test_values(void **state)
{
	struct snapshot snapshot = {.findings = &findings, .load = {.files = 7, .armed = true}};
	char *text;

	(void)state;
	snapshot.cost = (struct snapshot_cost){.cpu_ns = 1234567890, .rss_bytes = 4096};
	snapshot.covered[COVERAGE_PARTIAL] = 3;
	snapshot.totals.counter[GW_THROTTLED] = 5;
	snapshot.totals.counter[GW_OUTSIDE] = UINT64_MAX;
	snapshot.totals.counter[GW_FORKS_LOST] = 6;
	snapshot.totals.coverage.refused = 8;
	findings.count[TRACE_KIND_EXPORT][SEVERITY_NOTE] = 9;
	text = written(&snapshot);
	has(text, "process_cpu_seconds_total 1.234568");
	has(text, "process_resident_memory_bytes 4096");
	has(text, "gradwatch_ready 1");
	has(text, "gradwatch_processes{coverage=\"partial\"} 3");
	has(text, "gradwatch_files 7");
	has(text, "gradwatch_setter_calls_total{outcome=\"throttled\"} 5");
	has(text, "gradwatch_setter_calls_total{outcome=\"outside_trace\"} 18446744073709551615");
	has(text, "gradwatch_lost_total{stage=\"forks_lost\"} 6");
	has(text, "gradwatch_not_covered_total{cause=\"process_refused\"} 8");
	has(text, "gradwatch_findings_total{kind=\"export\",severity=\"note\"} 9");
	has(text, "gradwatch_findings_total{kind=\"make_fx\",severity=\"violation\"} 0");
	free(text);
}

/* The name of a line's metric. */
static void name_of(const char *line, char *name, size_t size)
{
	snprintf(name, size, "%.*s", (int)strcspn(line, "{ "), line);
}

/* HELP, then TYPE, then the values of a family, once each; counters and only they end with _total.
 */
static void test_form(void **state)
{
	struct snapshot snapshot = {.findings = &findings};
	char *text = written(&snapshot), *rest = text, *line;
	char family[128] = "", name[160], type[16], seen[8192] = " ";

	(void)state;
	assert_int_equal(text[strlen(text) - 1], '\n');
	while ((line = strsep(&rest, "\n")) && *line) {
		if (sscanf(line, "# HELP %127s", family) == 1) {
			snprintf(name, sizeof(name), " %s ", family);
			assert_null(strstr(seen, name));
			strcat(seen, name);
			assert_int_equal(line[strlen(line) - 1], '.');
			line = strsep(&rest, "\n");
			assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, type), 2);
			assert_string_equal(name, family);
			assert_int_equal(!strcmp(type, "counter"),
					 strlen(family) > 6 &&
						 !strcmp(family + strlen(family) - 6, "_total"));
			continue;
		}
		name_of(line, name, sizeof(name));
		assert_string_equal(name, family);
		assert_true(isdigit((unsigned char)line[strlen(line) - 1]));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
