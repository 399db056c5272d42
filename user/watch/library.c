// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "inspect/libc.h"
#include "watch/inherited.h"
#include "watch/rewrites.h"
#include "watch/torch_version.h"

/* What the kernel writes over an instruction that is probed (asm/uprobes.h). */
#if defined(__x86_64__)
static const uint8_t breakpoint[] = {0xcc}; /* int3 */
#else
static const uint8_t breakpoint[] = {0xa0, 0x00, 0x20, 0xd4}; /* brk #5: 0xd42000a0 */
#endif

struct entry {
	struct library library;
	struct probes *probes;
	struct stat file;
	int watched;  /* its number of rewrites.h; negative: none */
	bool written; /* since it was inspected: what it has now is another file */
};

struct libraries {
	int rewrites_fd; /* negative: rewritten files are not noticed */
	struct programs *programs;
	struct entry *entry[LIBRARY_MAX];
	uint32_t count;
};

struct libraries *libraries_new(struct programs *programs)
{
	struct libraries *libraries = calloc(1, sizeof(*libraries));

	if (!libraries)
		return NULL;
	libraries->programs = programs;
	libraries->rewrites_fd = rewrites_open();
	return libraries;
}

void libraries_detach(struct libraries *libraries)
{
	struct probes *probes[LIBRARY_MAX];
	size_t count = 0;

	for (uint32_t i = 0; i < libraries->count; i++) {
		if (libraries->entry[i]->probes)
			probes[count++] = libraries->entry[i]->probes;
		libraries->entry[i]->probes = NULL;
	}
	probes_close_all(probes, count);
}

void libraries_free(struct libraries *libraries)
{
	if (!libraries)
		return;
	libraries_detach(libraries);
	for (uint32_t i = 0; i < libraries->count; i++)
		free(libraries->entry[i]);
	if (libraries->rewrites_fd >= 0)
		close(libraries->rewrites_fd);
	free(libraries);
}

const struct library *libraries_get(const struct libraries *libraries, uint32_t id)
{
	return id < libraries->count ? &libraries->entry[id]->library : NULL;
}

int libraries_bind(struct libraries *libraries, uint32_t id, int fd, uint64_t file_offset,
		   struct err *err)
{
	if (id >= libraries->count || !libraries->entry[id]->probes)
		return err_set(err, -ENOENT, "its setter is not probed");
	return probes_bind(libraries->entry[id]->probes, fd, file_offset, err);
}

/* The newest is what the path leads to now: see add_copy(). */
static struct entry *find(struct libraries *libraries, const struct stat *file)
{
	for (uint32_t i = libraries->count; i > 0; i--)
		if (!libraries->entry[i - 1]->written &&
		    procfs_same_file(&libraries->entry[i - 1]->file, file))
			return libraries->entry[i - 1];
	return NULL;
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

struct libc {
	bool is_glibc;
	char another[64];
};

static int look_for_libc(void *context, const struct procfs_mapping *mapping)
{
	struct libc *libc = context;
	const char *name = str_base_name(mapping->path);

	libc->is_glibc = libc_is_glibc(name);
	if (libc_is_another(name))
		str_format(libc->another, sizeof(libc->another), "%s", name);
	return libc->is_glibc;
}

/* Of the process that maps the file: files that are for glibc run with others, too (gcompat). */
static void check_libc(pid_t pid, struct inspect_plan *plan)
{
	struct libc libc = {.another = "its file is not known"};

	if (procfs_executables(pid, look_for_libc, &libc) >= 0 && !libc.is_glibc)
		libc_doubt(plan, libc.another);
}

/*
 * Inspects and probes a new file; what goes wrong becomes the entry's state and reason. -ENOMEM:
 * that says nothing about the file.
 */
static int probe_file(struct libraries *libraries, struct entry *entry, int fd)
{
	struct library *library = &entry->library;
	struct err err;
	int code = inspect_plan_fd(fd, &library->plan, library->reason, sizeof(library->reason));

	if (code == -ENOENT) {
		library->state = LIBRARY_NOT_TORCH;
		return 0;
	}
	library->state = LIBRARY_SKIPPED;
	if (code)
		return code == -ENOMEM ? code : 0;
	if (library->plan.machine != inspect_own_machine()) {
		str_format(library->reason, sizeof(library->reason),
			   "built for %s; this gradwatch is for %s",
			   inspect_machine_name(library->plan.machine),
			   inspect_machine_name(inspect_own_machine()));
		return 0;
	}
	library->plan.abi.file_id = library->id;
	check_libc((pid_t)library->pid, &library->plan);
	code = probes_open(&entry->probes, libraries->programs, &library->plan, fd,
			   &library->placed, &err);
	if (code) {
		str_format(library->reason, sizeof(library->reason), "%s", err.text);
		return code == -ENOMEM ? code : 0;
	}
	library->state = LIBRARY_PROBED;
	return 0;
}

static struct entry *add(struct libraries *libraries, pid_t pid,
			 const struct procfs_mapping *mapping, const struct stat *file, int fd,
			 int *code)
{
	struct entry *entry;

	*code = -ENOSPC;
	if (libraries->count == LIBRARY_MAX)
		return NULL;
	*code = -ENOMEM;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->file = *file;
	entry->library.id = libraries->count;
	str_format(entry->library.path, sizeof(entry->library.path), "%s", mapping->path);
	entry->library.pid = (uint32_t)pid;
	entry->watched = rewrites_add(libraries->rewrites_fd, fd); /* before it is inspected */
	/* The verifier wants 0.2 s of a processor, and what is called meanwhile is not seen. */
	inherited_hurry(true);
	*code = probe_file(libraries, entry, fd);
	inherited_hurry(false);
	if (*code) { /* the next look at the process tries again */
		free(entry);
		return NULL;
	}
	libraries->entry[libraries->count++] = entry;
	torch_version(pid, mapping->path, entry->library.version, sizeof(entry->library.version));
	return entry;
}

static void drop_last(struct libraries *libraries)
{
	struct entry *entry = libraries->entry[--libraries->count];

	probes_close(entry->probes);
	free(entry);
}

/*
 * An overlay that copies a file up gives it another inode, and shows all but the time of the last
 * change as it was. What has mapped it before has the old inode, whose probes stay; for what maps
 * it now it is a new file. Returns its entry, or the old one when it is none.
 */
static struct entry *add_copy(struct libraries *libraries, struct entry *old, pid_t pid,
			      const struct procfs_mapping *mapping, const struct stat *file, int fd)
{
	const struct timespec *before = &old->file.st_ctim, *now = &file->st_ctim;
	struct entry *entry;
	int code;

	if ((before->tv_sec == now->tv_sec && before->tv_nsec == now->tv_nsec) ||
	    library_is_placed(&old->library, pid, mapping))
		return old;
	entry = add(libraries, pid, mapping, file, fd, &code);
	if (!entry)
		return old;
	if (library_is_placed(&entry->library, pid, mapping))
		return entry;
	drop_last(libraries);
	return old;
}

const struct library *libraries_learn(struct libraries *libraries, pid_t pid,
				      const struct procfs_mapping *mapping, bool *is_new, int *code)
{
	struct entry *entry = NULL, *known;
	struct stat file;
	int fd = procfs_open_mapping(pid, mapping);

	*is_new = false;
	*code = 0;
	if (fd < 0) {
		*code = fd;
		return NULL;
	}
	if (fstat(fd, &file)) {
		*code = -errno;
	} else {
		known = find(libraries, &file);
		if (known)
			entry = add_copy(libraries, known, pid, mapping, &file, fd);
		else
			entry = add(libraries, pid, mapping, &file, fd, code);
		*is_new = entry && entry != known;
	}
	close(fd); /* the probes hold the inode themselves */
	return entry ? &entry->library : NULL;
}

int libraries_rewrites_fd(const struct libraries *libraries)
{
	return libraries->rewrites_fd;
}

struct rewritten {
	struct libraries *libraries;
	void (*gone)(void *context, const struct library *library);
	void *context;
};

/* One file can have several entries: it may have been written to before. */
static void on_written(void *context, int number)
{
	const struct rewritten *rewritten = context;
	struct libraries *libraries = rewritten->libraries;

	for (uint32_t i = 0; i < libraries->count; i++) {
		struct entry *entry = libraries->entry[i];
		struct library *library = &entry->library;

		if (entry->written || (number >= 0 && entry->watched != number))
			continue;
		entry->written = true;
		if (library->state != LIBRARY_PROBED)
			continue;
		probes_close(entry->probes);
		entry->probes = NULL;
		library->state = LIBRARY_SKIPPED;
		str_format(library->reason, sizeof(library->reason),
			   "the file was rewritten while it was probed");
		rewritten->gone(rewritten->context, library);
	}
}

void libraries_read_rewrites(struct libraries *libraries,
			     void (*gone)(void *context, const struct library *library),
			     void *context)
{
	struct rewritten rewritten = {libraries, gone, context};

	rewrites_read(libraries->rewrites_fd, on_written, &rewritten);
}
