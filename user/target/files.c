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
	struct file *by_key; /* those that were not written to */
	struct file *by_id;
	uint32_t last_id;
	uint64_t refused;
	int rewrites_fd; /* negative: rewritten files are not noticed */
};

struct files *files_new(struct inodes *inodes)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->inodes = inodes;
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

	for (file = files->by_id; file; file = file->by_id.next)
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
		HASH_DELETE(by_key, files->by_key, file);
	HASH_DELETE(by_id, files->by_id, file);
	if (file->watch >= 0 && !has_watch(files, file->watch))
		rewrites_remove(files->rewrites_fd, file->watch);
	free(file->path);
	free(file);
}

void files_free(struct files *files)
{
	struct file *file, *next;

	if (!files)
		return;
	HASH_ITER(by_id, files->by_id, file, next)
	{
		files_drop(files, file);
	}
	if (files->rewrites_fd >= 0)
		close(files->rewrites_fd);
	free(files);
}

static struct file *find(const struct files *files, const struct file_key *key)
{
	struct file *file;

	HASH_FIND(by_key, files->by_key, key, sizeof(*key), file);
	return file;
}

static bool has_room(const struct files *files, uint32_t uid)
{
	unsigned int same_user = 0;
	const struct file *file;

	if (HASH_CNT(by_id, files->by_id) >= GW_MAX_FILES)
		return false;
	for (file = files->by_id; file; file = file->by_id.next)
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
	HASH_ADD(by_id, files->by_id, id, sizeof(file->id), file);
	if (file->by_id.tbl)
		HASH_ADD(by_key, files->by_key, key, sizeof(file->key), file);
	if (file->by_id.tbl && file->by_key.tbl)
		return file;
	file->written = true; /* it is not by key */
	if (file->by_id.tbl) {
		files_drop(files, file);
	} else {
		free(file->path);
		free(file);
	}
	return NULL;
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
	struct file *file;

	HASH_FIND(by_id, files->by_id, &id, sizeof(id), file);
	return file;
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
	struct file *file, *next;
	unsigned int expired = 0;

	HASH_ITER(by_id, files->by_id, file, next)
	{
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
	struct file *file, *next;

	HASH_ITER(by_id, files->by_id, file, next)
	{
		if (file->role == role)
			visit(context, file);
	}
}

unsigned int files_count(const struct files *files)
{
	return HASH_CNT(by_id, files->by_id);
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
	struct file *file, *next;

	HASH_ITER(by_id, files->by_id, file, next)
	{
		const struct files_handler *handler = &files->handler[file->role];

		if (file->written || (watch >= 0 && file->watch != watch))
			continue;
		file->written = true;
		HASH_DELETE(by_key, files->by_key, file);
		if (file->content && handler->rewritten)
			handler->rewritten(handler->context, file);
	}
}

void files_read_rewrites(struct files *files)
{
	rewrites_read(files->rewrites_fd, on_written, files);
}
