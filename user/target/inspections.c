// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/inspections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/str.h"
#include "inspect/file.h"

#define CHUNK    (256u << 10)
#define MAX_FILE (64ll << 20) /* larger files are not inspected either */

struct known {
	struct table_item item;
	struct inspection_key key;
	struct inspection inspection;
};

struct inspections {
	struct table known; /* in the order of use */
	uint64_t seed;
};

struct inspections *inspections_new(void)
{
	struct inspections *inspections = calloc(1, sizeof(*inspections));

	if (inspections && getrandom(&inspections->seed, sizeof(inspections->seed), 0) < 0) {
		free(inspections);
		return NULL;
	}
	if (inspections)
		inspections->known.capacity = INSPECTIONS_MAX;
	return inspections;
}

void inspections_free(struct inspections *inspections)
{
	struct table_item *item;

	if (!inspections)
		return;
	while ((item = table_pop(&inspections->known)))
		free(item);
	free(inspections);
}

/* Feeds the whole file to the hash. */
static int hash_file(int fd, XXH3_state_t *state, uint64_t *size)
{
	char *chunk = malloc(CHUNK);
	ssize_t got = 1;

	if (!chunk)
		return -ENOMEM;
	*size = 0;
	while (got > 0 && *size <= MAX_FILE) {
		got = pread(fd, chunk, CHUNK, (off_t)*size);
		if (got < 0 && errno == EINTR) {
			got = 1;
			continue;
		}
		if (got > 0) {
			XXH3_128bits_update(state, chunk, (size_t)got);
			*size += (uint64_t)got;
		}
	}
	free(chunk);
	return got < 0 ? -errno : 0;
}

/* The version of an old CPython is in its file's name only. */
static uint64_t name_key(const struct inspections *inspections, enum file_role role,
			 const char *path)
{
	const char *name = str_base_name(path);

	return role == FILE_PYTHON ? XXH3_64bits_withSeed(name, strlen(name), inspections->seed)
				   : 0;
}

int inspections_key(const struct inspections *inspections, enum file_role role, int fd,
		    const char *path, struct inspection_key *key)
{
	XXH3_state_t *state;
	XXH128_hash_t hash;
	struct stat file;
	int code;

	*key = (struct inspection_key){.role = role};
	if (fstat(fd, &file))
		return -errno;
	if (!S_ISREG(file.st_mode))
		return -ENOEXEC;
	if (file.st_size > MAX_FILE)
		return -EFBIG;
	state = XXH3_createState();
	if (!state)
		return -ENOMEM;
	XXH3_128bits_reset_withSeed(state, inspections->seed);
	code = hash_file(fd, state, &key->size);
	hash = XXH3_128bits_digest(state);
	XXH3_freeState(state);
	key->hash[0] = hash.low64;
	key->hash[1] = hash.high64;
	key->name = name_key(inspections, role, path);
	return code;
}

const struct inspection *inspections_find(struct inspections *inspections,
					  const struct inspection_key *key)
{
	struct table_item *item = table_find(&inspections->known, key, sizeof(*key));

	if (!item)
		return NULL;
	table_touch(&inspections->known, item);
	return &((struct known *)item)->inspection;
}

void inspections_put(struct inspections *inspections, const struct inspection_key *key,
		     const struct inspection *inspection)
{
	struct known *known;

	if (inspections_find(inspections, key))
		return;
	if (table_surplus(&inspections->known))
		free(table_pop(&inspections->known));
	known = malloc(sizeof(*known));
	if (!known)
		return; /* it is inspected once more */
	known->key = *key;
	known->inspection = *inspection;
	if (table_add(&inspections->known, &known->item, &known->key, sizeof(known->key)))
		free(known);
}

static void inspect(enum file_role role, const char *data, size_t size, const char *path,
		    struct inspection *inspection)
{
	char *reason = inspection->reason;
	const size_t room = sizeof(inspection->reason);

	switch (role) {
	case FILE_SETTER:
		inspection->code = inspect_plan(data, size, &inspection->plan, reason, room);
		break;
	case FILE_BINDING:
		inspection->code = inspect_binding(data, size, &inspection->binding, reason, room);
		break;
	case FILE_PYTHON:
		inspection->code = inspect_python(data, size, str_base_name(path),
						  &inspection->python, reason, room);
		break;
	case FILE_ROLE_MAX:
		inspection->code = -EINVAL;
		break;
	}
}

int inspections_make(const struct inspections *inspections, enum file_role role, int fd,
		     const char *path, struct inspection *inspection, struct inspection_key *key)
{
	XXH128_hash_t hash;
	size_t size;
	char *data;

	memset(inspection, 0, sizeof(*inspection));
	*key = (struct inspection_key){.role = role};
	inspection->code = inspect_file_read(fd, &data, &size, inspection->reason,
					     sizeof(inspection->reason));
	if (inspection->code)
		return inspection->code;
	inspect(role, data, size, path, inspection);
	hash = XXH3_128bits_withSeed(data, size, inspections->seed);
	free(data);
	key->hash[0] = hash.low64;
	key->hash[1] = hash.high64;
	key->size = size;
	key->name = name_key(inspections, role, path);
	return inspection->code;
}

int inspections_get(struct inspections *inspections, enum file_role role, int fd, const char *path,
		    struct inspection *inspection)
{
	const struct inspection *known = NULL;
	struct inspection_key key;

	if (!inspections_key(inspections, role, fd, path, &key))
		known = inspections_find(inspections, &key);
	if (known) {
		*inspection = *known;
		return inspection->code;
	}
	inspections_make(inspections, role, fd, path, inspection, &key);
	if (key.size && inspection->code != -ENOMEM)
		inspections_put(inspections, &key, inspection);
	return inspection->code;
}
