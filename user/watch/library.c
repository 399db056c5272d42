// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "target/torch_version.h"
#include "watch/attacher.h"

/* What the kernel writes over an instruction that is probed (asm/uprobes.h). */
#if defined(__x86_64__)
static const uint8_t breakpoint[] = {0xcc}; /* int3 */
#else
static const uint8_t breakpoint[] = {0xa0, 0x00, 0x20, 0xd4}; /* brk #5: 0xd42000a0 */
#endif

struct libraries {
	struct files *files;
	struct inspections *inspections;
	struct plans *plans;
	struct attacher *attacher;
	void (*gone)(void *context, const struct library *library);
	void *gone_context;
};

static void forget(void *context, struct file *file)
{
	struct libraries *libraries = context;
	struct library *library = file->content;

	attacher_remove(libraries->attacher, library->probes);
	free(library->bound);
	free(library);
}

static void rewritten(void *context, struct file *file)
{
	struct libraries *libraries = context;
	struct library *library = file->content;

	library->again = false;
	if (library->state != LIBRARY_PROBED && library->state != LIBRARY_ARMING)
		return;
	attacher_remove(libraries->attacher, library->probes);
	library->probes = NULL;
	library->state = LIBRARY_SKIPPED;
	str_format(library->reason, sizeof(library->reason),
		   "the file was rewritten while it was probed");
	if (libraries->gone)
		libraries->gone(libraries->gone_context, library);
}

struct libraries *libraries_new(struct programs *programs, struct files *files,
				struct inspections *inspections)
{
	struct libraries *libraries = calloc(1, sizeof(*libraries));
	const struct files_handler handler = {forget, rewritten, libraries};

	if (!libraries)
		return NULL;
	libraries->files = files;
	libraries->inspections = inspections;
	libraries->plans = plans_new(programs);
	libraries->attacher = libraries->plans ? attacher_new(libraries->plans) : NULL;
	if (!libraries->attacher) {
		libraries_free(libraries);
		return NULL;
	}
	files_set_handler(files, FILE_SETTER, &handler);
	return libraries;
}

void libraries_free(struct libraries *libraries)
{
	if (!libraries)
		return;
	attacher_free(libraries->attacher);
	plans_free(libraries->plans);
	free(libraries);
}

void libraries_on_rewrite(struct libraries *libraries,
			  void (*gone)(void *context, const struct library *library), void *context)
{
	libraries->gone = gone;
	libraries->gone_context = context;
}

static void take_probes(void *context, struct file *file)
{
	struct library *library = file->content;

	if (!library || !library->probes)
		return;
	probes_queue_add(context, library->probes);
	library->probes = NULL;
}

void libraries_take_probes(struct libraries *libraries, struct probes_queue *queue)
{
	attacher_stop(libraries->attacher);
	while (libraries_take(libraries))
		; /* they have their probes, though nothing was reported */
	files_each(libraries->files, FILE_SETTER, take_probes, queue);
}

struct library *libraries_get(const struct libraries *libraries, uint32_t id)
{
	struct file *file = files_get(libraries->files, id);

	return file && file->role == FILE_SETTER ? file->content : NULL;
}

bool library_is_placed(const struct library *library, pid_t pid,
		       const struct procfs_mapping *mapping)
{
	uint64_t offset = library->plan.site[GW_SITE_SET_ENABLED].file_offset;
	uint8_t code[sizeof(breakpoint)];
	uint64_t address;

	if (library->state != LIBRARY_PROBED || !procfs_mapped_at(mapping, offset, &address))
		return true;
	return procfs_read_memory(pid, address, code, sizeof(code)) ||
	       !memcmp(code, breakpoint, sizeof(code));
}

bool library_is_short(int code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -ENOSPC;
}

/* The library is what came of the job. */
static void settle(struct library *library, struct attach_job *job)
{
	library->plan = job->plan;
	library->placed = job->placed;
	if (library->state != LIBRARY_ARMING) /* it was rewritten meanwhile */
		return;
	if (!job->err.code) {
		library->probes = job->probes;
		job->probes = NULL;
	}
	library->again = library_is_short(job->err.code);
	str_format(library->reason, sizeof(library->reason), "%s",
		   job->err.code ? job->err.text : "");
	library->state = library->probes            ? LIBRARY_PROBED
			 : job->err.code == -ENOENT ? LIBRARY_NOT_TORCH
						    : LIBRARY_SKIPPED;
}

static struct attach_job *make_job(struct libraries *libraries, const struct file *file, int fd)
{
	struct attach_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->file_id = file->id;
	job->work.uid = file->uid;
	job->path = strdup(file->path);
	job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (job->fd < 0)
		err_set(&job->err, -errno, "cannot be opened: %s", strerror(errno));
	job->inspections = libraries->inspections;
	job->inspected = inspections_known(libraries->inspections, FILE_SETTER, fd, file->path,
					   &job->inspection);
	return job;
}

/* Whether a job takes a millisecond: a file that is none, or one more copy of a known build. */
static bool is_quick(struct libraries *libraries, const struct attach_job *job)
{
	return job->inspected && (job->inspection.code ||
				  plans_open_quickly(libraries->plans, &job->inspection.plan));
}

static void begin(struct libraries *libraries, struct library *library, struct attach_job *job)
{
	library->tried = clock_monotonic();
	if (!job->err.code && !is_quick(libraries, job)) {
		attacher_add(libraries->attacher, job);
		return;
	}
	if (!job->err.code)
		attach_now(libraries->plans, job);
	settle(library, job);
	attacher_drop(libraries->attacher, job);
}

struct library *libraries_arm(struct libraries *libraries, struct file *file, int fd, pid_t pid)
{
	struct library *library = file->content;
	struct attach_job *job;

	if (library)
		return library;
	library = calloc(1, sizeof(*library));
	job = library ? make_job(libraries, file, fd) : NULL;
	if (!job) {
		free(library);
		return NULL;
	}
	library->id = file->id;
	library->path = file->path;
	library->pid = (uint32_t)pid;
	torch_version(pid, file->path, library->version, sizeof(library->version));
	file->content = library;
	begin(libraries, library, job);
	return library;
}

int libraries_arm_again(struct libraries *libraries, struct library *library, int fd)
{
	struct attach_job *job = make_job(libraries, files_get(libraries->files, library->id), fd);

	if (!job)
		return -ENOMEM;
	library->state = LIBRARY_ARMING;
	begin(libraries, library, job);
	return 0;
}

int libraries_fd(const struct libraries *libraries)
{
	return attacher_fd(libraries->attacher);
}

bool libraries_are_arming(struct libraries *libraries, uint64_t time)
{
	return attacher_is_busy(libraries->attacher, time);
}

struct library *libraries_take(struct libraries *libraries)
{
	struct attach_job *job;
	struct library *library;

	while ((job = attacher_next(libraries->attacher))) {
		library = libraries_get(libraries, job->file_id);
		if (library)
			settle(library, job);
		attacher_drop(libraries->attacher, job);
		if (library)
			return library;
	}
	return NULL;
}

int library_bind(struct library *library, uint32_t binding_id, int fd, uint64_t file_offset,
		 struct err *err)
{
	uint32_t *bound;
	int code;

	for (size_t i = 0; i < library->bound_count; i++)
		if (library->bound[i] == binding_id)
			return 0;
	if (!library->probes)
		return err_set(err, -ENOENT, "its setter is not probed");
	bound = realloc(library->bound, (library->bound_count + 1) * sizeof(*bound));
	if (!bound)
		return err_set(err, -ENOMEM, "out of memory");
	library->bound = bound;
	code = probes_bind(library->probes, fd, file_offset, err);
	if (!library_is_short(code))
		library->bound[library->bound_count++] = binding_id;
	return code;
}
