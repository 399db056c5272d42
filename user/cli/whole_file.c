// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* Why a file cannot be written, and what can be done about it. */
static int tell(const struct whole_file *file, int code)
{
	const char *fix = "";

	if (code == -ENOENT)
		fix = ": make its folder first";
	else if (code == -EACCES || code == -EPERM || code == -EROFS)
		fix = ": name a file in a folder that you can write to";
	else if (code == -ENOSPC || code == -EDQUOT)
		fix = ": make room, or name a file on another disk";
	else if (code == -EEXIST)
		fix = ": remove it, or name another file";
	log_error("cannot write '%s': %s%s", file->path,
		  code == -EEXIST ? "there is something that is no regular file" : strerror(-code),
		  fix);
	return code;
}

int whole_file_open(struct whole_file *file, int folder, const char *path, mode_t mode)
{
	struct stat old;
	int fd, code;

	*file = (struct whole_file){.folder = folder, .path = path};
	if (!fstatat(folder, path, &old, AT_SYMLINK_NOFOLLOW) && !S_ISREG(old.st_mode))
		return tell(file, -EEXIST);
	if (asprintf(&file->temporary, "%s.%d.tmp", path, (int)getpid()) < 0) {
		file->temporary = NULL;
		return tell(file, -ENOMEM);
	}
	fd = openat(folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    mode);
	code = fd < 0 ? -errno : 0;
	file->stream = fd < 0 ? NULL : fdopen(fd, "w");
	if (file->stream)
		return 0;
	if (fd >= 0) {
		code = -errno;
		close(fd);
		unlinkat(folder, file->temporary, 0);
	}
	free(file->temporary);
	return tell(file, code);
}

int whole_file_close(struct whole_file *file, int code)
{
	if (!code && (fflush(file->stream) || ferror(file->stream)))
		code = errno ? -errno : -EIO;
	if (fclose(file->stream) && !code)
		code = -errno;
	if (!code && renameat(file->folder, file->temporary, file->folder, file->path))
		code = -errno;
	if (code)
		unlinkat(file->folder, file->temporary, 0);
	free(file->temporary);
	return code ? tell(file, code) : 0;
}
