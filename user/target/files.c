// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/rewrites.h"

struct files {
	struct inodes *inodes;
	struct files_handler handler[FILE_ROLE_MAX];
	struct table by_id;
	struct table by_key; /* those that were not written to */
	uint32_t last_id;
	uint64_t refused;
	int rewrites_fd; /* negative: rewritten files are not noticed */
};

static struct file *oldest(const struct files *files)
{
	return (struct file *)files->by_id.oldest;
}

static struct file *next_of(const struct file *file)
{
	return (struct file *)file->by_id.next;
}

struct files *files_new(struct inodes *inodes)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->inodes = inodes;
	files->by_id.capacity = files->by_key.capacity = GW_MAX_FILES;
	files->rewrites_fd = rewrites_open();
	return files;
}

void files_set_handler(struct files *files, enum file_role role,
		       const struct files_handler *handler)
{
	files->handler[role] = *handler;
}

/* Two roles, or an entry that was written to, may share the kernel's watch. */
static bool has_watch(const struct files *files, int watch)
{
	const struct file *file;

	for (file = oldest(files); file; file = next_of(file))
		if (file->watch == watch)
			return true;
	return false;
}

void files_drop(struct files *files, struct file *file)
{
	const struct files_handler *handler = &files->handler[file->role];

	if (file->content && handler->forget)
		handler->forget(handler->context, file);
	if (!file->written)
		table_remove(&files->by_key, &file->by_key);
	table_remove(&files->by_id, &file->by_id);
	if (file->watch >= 0 && !has_watch(files, file->watch))
		rewrites_remove(files->rewrites_fd, file->watch);
	free(file->path);
	free(file);
}

void files_free(struct files *files)
{
	if (!files)
		return;
	while (files->by_id.oldest)
		files_drop(files, oldest(files));
	if (files->rewrites_fd >= 0)
		close(files->rewrites_fd);
	free(files);
}

static struct file *find(const struct files *files, const struct file_key *key)
{
	struct table_item *item = table_find(&files->by_key, key, sizeof(*key));

	return item ? (struct file *)((char *)item - offsetof(struct file, by_key)) : NULL;
}

static bool has_room(const struct files *files, uint32_t uid)
{
	unsigned int same_user = 0;
	const struct file *file;

	if (table_surplus(&files->by_id))
		return false;
	for (file = oldest(files); file; file = next_of(file))
		same_user += file->uid == uid;
	return same_user < FILES_PER_USER;
}

static struct file *add(struct files *files, const struct file_key *key, int fd, const char *path,
			uint32_t uid, uint64_t now)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->path = strdup(path);
	if (!file->path) {
		free(file);
		return NULL;
	}
	file->id = ++files->last_id;
	file->role = (enum file_role)key->role;
	file->inode = key->inode;
	file->key = *key;
	file->uid = uid;
	file->idle_since = now;
	file->watch = rewrites_add(files->rewrites_fd, fd);
	if (table_add(&files->by_id, &file->by_id, &file->id, sizeof(file->id))) {
		free(file->path);
		free(file);
		return NULL;
	}
	if (table_add(&files->by_key, &file->by_key, &file->key, sizeof(file->key))) {
		file->written = true; /* it is not by key */
		files_drop(files, file);
		return NULL;
	}
	return file;
}

struct file *files_learn(struct files *files, enum file_role role, int fd, const char *path,
			 uint32_t uid, uint64_t now, int *code)
{
	struct file_key key = {.role = role};
	struct file *file;

	*code = inodes_identify(files->inodes, fd, &key.inode);
	if (*code)
		return NULL;
	file = find(files, &key);
	if (file)
		return file;
	*code = -ENOSPC;
	if (!has_room(files, uid)) {
		files_expire(files, now);
		if (!has_room(files, uid)) {
			files->refused++;
			return NULL;
		}
	}
	*code = -ENOMEM;
	file = add(files, &key, fd, path, uid, now);
	if (file)
		*code = 0;
	return file;
}

struct file *files_get(const struct files *files, uint32_t id)
{
	return (struct file *)table_find(&files->by_id, &id, sizeof(id));
}

void files_hold(struct file *file)
{
	file->held++;
}

void files_release(struct file *file, uint64_t now)
{
	if (file->held && !--file->held)
		file->idle_since = now;
}

unsigned int files_expire(struct files *files, uint64_t now)
{
	struct file *file = oldest(files), *next;
	unsigned int expired = 0;

	for (; file; file = next) {
		next = next_of(file);
		if (file->held || now - file->idle_since < FILES_LINGER_NS)
			continue;
		files_drop(files, file);
		expired++;
	}
	return expired;
}

void files_each(const struct files *files, enum file_role role,
		void (*visit)(void *context, struct file *file), void *context)
{
	struct file *file = oldest(files), *next;

	for (; file; file = next) {
		next = next_of(file);
		if (file->role == role)
			visit(context, file);
	}
}

unsigned int files_count(const struct files *files)
{
	return (unsigned int)table_count(&files->by_id);
}

uint64_t files_refused(const struct files *files)
{
	return files->refused;
}

int files_rewrites_fd(const struct files *files)
{
	return files->rewrites_fd;
}

/* What the inode has now is found as a new file. */
static void on_written(void *context, int watch)
{
	struct files *files = context;
	struct file *file = oldest(files), *next;

	for (; file; file = next) {
		const struct files_handler *handler = &files->handler[file->role];

		next = next_of(file);
		if (file->written || (watch >= 0 && file->watch != watch))
			continue;
		file->written = true;
		table_remove(&files->by_key, &file->by_key);
		if (file->content && handler->rewritten)
			handler->rewritten(handler->context, file);
	}
}

void files_read_rewrites(struct files *files)
{
	rewrites_read(files->rewrites_fd, on_written, files);
}
