// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/inspections.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/str.h"
#include "base/table.h"
#include "base/worker.h"
#include "inspect/file.h"

#define QUICK_BYTES (4 << 20) /* of a file that is read where nobody is to wait for it */

/* The content of a file, and what its result depends on besides. */
struct key {
	uint64_t hash[2];
	uint64_t size;
	uint64_t role; /* enum file_role */
	uint64_t name; /* hash of the file's name, where the result depends on it */
};

struct known {
	struct table_item item;
	struct key key;
	struct inspection inspection;
};

struct inspections {
	uint64_t seed;
	pthread_mutex_t lock;  /* of the table */
	struct table known;    /* in the order of use */
	struct worker *worker; /* NULL: files are inspected at once */
};

/* A file that the worker inspects. */
struct inspected {
	struct work work;
	uint32_t file_id;
	enum file_role role;
	int fd;
	char *path;
	struct inspection inspection;
};

struct inspections *inspections_new(void)
{
	struct inspections *inspections = calloc(1, sizeof(*inspections));

	if (inspections && getrandom(&inspections->seed, sizeof(inspections->seed), 0) < 0) {
		free(inspections);
		return NULL;
	}
	if (!inspections)
		return NULL;
	inspections->known.capacity = INSPECTIONS_MAX;
	pthread_mutex_init(&inspections->lock, NULL);
	return inspections;
}

static void free_inspected(struct inspected *inspected)
{
	if (inspected->fd >= 0)
		close(inspected->fd);
	free(inspected->path);
	free(inspected);
}

static void drop(void *context, struct work *work)
{
	(void)context;
	free_inspected((struct inspected *)work);
}

void inspections_free(struct inspections *inspections)
{
	struct table_item *item;

	if (!inspections)
		return;
	worker_free(inspections->worker, drop);
	while ((item = table_pop(&inspections->known)))
		free(item);
	pthread_mutex_destroy(&inspections->lock);
	free(inspections);
}

/* The version of an old CPython is in its file's name only. */
static uint64_t name_key(const struct inspections *inspections, enum file_role role,
			 const char *path)
{
	const char *name = str_base_name(path);

	return role == FILE_PYTHON ? XXH3_64bits_withSeed(name, strlen(name), inspections->seed)
				   : 0;
}

static struct key make_key(const struct inspections *inspections, enum file_role role,
			   const char *path, const char *data, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, inspections->seed);

	return (struct key){
		{hash.low64, hash.high64}, size, role, name_key(inspections, role, path)};
}

static bool find(struct inspections *inspections, const struct key *key, struct inspection *out)
{
	struct table_item *item;

	pthread_mutex_lock(&inspections->lock);
	item = table_find(&inspections->known, key, sizeof(*key));
	if (item) {
		table_touch(&inspections->known, item);
		*out = ((struct known *)item)->inspection;
	}
	pthread_mutex_unlock(&inspections->lock);
	return item != NULL;
}

/* Without memory it is inspected once more. */
static void put(struct inspections *inspections, const struct key *key,
		const struct inspection *inspection)
{
	struct known *known = malloc(sizeof(*known));

	if (!known)
		return;
	known->key = *key;
	known->inspection = *inspection;
	pthread_mutex_lock(&inspections->lock);
	if (table_surplus(&inspections->known))
		free(table_pop(&inspections->known));
	/* Another thread may have inspected the same meanwhile. */
	if (table_find(&inspections->known, key, sizeof(*key)) ||
	    table_add(&inspections->known, &known->item, &known->key, sizeof(known->key)))
		free(known);
	pthread_mutex_unlock(&inspections->lock);
}

static void inspect(enum file_role role, const char *data, size_t size, const char *path,
		    struct inspection *inspection)
{
	char *reason = inspection->reason;
	const size_t space = sizeof(inspection->reason);

	switch (role) {
	case FILE_SETTER:
		inspection->code = inspect_plan(data, size, &inspection->plan, reason, space);
		break;
	case FILE_BINDING:
		inspection->code = inspect_binding(data, size, &inspection->binding, reason, space);
		break;
	case FILE_PYTHON:
		inspection->code = inspect_python(data, size, str_base_name(path),
						  &inspection->python, reason, space);
		break;
	case FILE_ROLE_MAX:
		inspection->code = -EINVAL;
		break;
	}
}

int inspections_get(struct inspections *inspections, enum file_role role, int fd, const char *path,
		    struct inspection *inspection)
{
	struct key key;
	size_t size;
	char *data;

	memset(inspection, 0, sizeof(*inspection));
	inspection->code = inspect_file_read(fd, &data, &size, inspection->reason,
					     sizeof(inspection->reason));
	if (inspection->code)
		return inspection->code;
	key = make_key(inspections, role, path, data, size);
	if (!find(inspections, &key, inspection)) {
		inspect(role, data, size, path, inspection);
		if (inspection->code != -ENOMEM)
			put(inspections, &key, inspection);
	}
	free(data);
	return inspection->code;
}

bool inspections_known(struct inspections *inspections, enum file_role role, int fd,
		       const char *path, struct inspection *inspection)
{
	struct stat file;
	struct key key;
	char *data, reason[8];
	size_t size;

	if (fstat(fd, &file) || file.st_size > QUICK_BYTES ||
	    inspect_file_read(fd, &data, &size, reason, sizeof(reason)))
		return false;
	key = make_key(inspections, role, path, data, size);
	free(data);
	return find(inspections, &key, inspection);
}

static void do_work(void *context, struct work *work)
{
	struct inspected *inspected = (struct inspected *)work;

	inspections_get(context, inspected->role, inspected->fd, inspected->path,
			&inspected->inspection);
}

int inspections_use_thread(struct inspections *inspections)
{
	inspections->worker = worker_new(do_work, inspections);
	return inspections->worker ? 0 : -ENOMEM;
}

static struct inspected *make_inspected(const struct file *file, int fd)
{
	struct inspected *inspected = calloc(1, sizeof(*inspected));

	if (!inspected)
		return NULL;
	inspected->file_id = file->id;
	inspected->work.uid = file->uid;
	inspected->role = file->role;
	inspected->path = strdup(file->path);
	inspected->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return inspected;
}

int inspections_begin(struct inspections *inspections, const struct file *file, int fd,
		      struct inspection *inspection)
{
	struct inspected *inspected;
	int code;

	if (!inspections->worker) {
		inspections_get(inspections, file->role, fd, file->path, inspection);
		return inspection->code == -ENOMEM ? -ENOMEM : 0;
	}
	inspected = make_inspected(file, fd);
	if (!inspected)
		return -ENOMEM;
	if (inspected->fd >= 0 && inspected->path) {
		worker_add(inspections->worker, &inspected->work);
		return -EINPROGRESS;
	}
	code = inspected->fd < 0 ? -EMFILE : -ENOMEM;
	free_inspected(inspected);
	return code;
}

int inspections_fd(const struct inspections *inspections)
{
	return worker_fd(inspections->worker);
}

bool inspections_are_busy(struct inspections *inspections, uint64_t time)
{
	return worker_is_busy(inspections->worker, time);
}

bool inspections_next(struct inspections *inspections, uint32_t *file_id,
		      struct inspection *inspection)
{
	struct inspected *inspected = (struct inspected *)worker_next(inspections->worker);

	if (!inspected)
		return false;
	*file_id = inspected->file_id;
	*inspection = inspected->inspection;
	free_inspected(inspected);
	return true;
}
