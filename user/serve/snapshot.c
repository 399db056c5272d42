// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/snapshot.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "output/common.h"
#include "target/procfs.h"

static uint64_t processor_time(void)
{
	struct timespec time = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

/* The second number of statm: pages of resident memory (proc(5)). */
static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (!folder)
		return 0;
	for (const struct dirent *entry; (entry = readdir(folder));)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count - 1; /* the folder's own */
}

static uint64_t realtime(uint64_t since_boot)
{
	struct timespec boot = {0}, real = {0};

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &real);
	return (uint64_t)(real.tv_sec - boot.tv_sec) * 1000000000ull + (uint64_t)real.tv_nsec -
	       (uint64_t)boot.tv_nsec + since_boot;
}

static void read_cost(struct snapshot_cost *cost)
{
	struct rlimit limit = {0};
	uint64_t start = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	*cost = (struct snapshot_cost){
		.cpu_ns = processor_time(),
		.rss_bytes = resident_bytes(),
		.descriptors = open_descriptors(),
		.max_descriptors = limit.rlim_cur,
	};
	if (!procfs_start_time(getpid(), &start))
		cost->start_ns = realtime(start);
}

static void count_covered(void *context, const struct coverage_process *process)
{
	struct snapshot *snapshot = context;

	snapshot->covered[process->coverage]++;
}

void snapshot_take(struct snapshot *snapshot, const struct sink_context *context,
		   const struct watch *watch, const struct snapshot_findings *findings)
{
	*snapshot = (struct snapshot){
		.context = context, .watch = watch, .findings = findings, .now = clock_monotonic()};
	watch_totals(watch, &snapshot->totals);
	watch_load(watch, &snapshot->load);
	watch_processes(watch, count_covered, snapshot);
	read_cost(&snapshot->cost);
}
