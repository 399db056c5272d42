// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

/* libc10.so has 0.5 to 2 MB, a Python 5, with debug information 30. The time that one takes grows
 * with it.
 */
#define MAX_FILE (64ll << 20)

static ssize_t read_all(int fd, char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(fd, data + done, size - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break; /* it became shorter */
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int inspect_file_read(int fd, char **data, size_t *size, char *reason, size_t reason_size)
{
	struct stat file;
	ssize_t got;
	int code;

	if (fstat(fd, &file)) {
		code = -errno;
		str_format(reason, reason_size, "%s", strerror(-code));
		return code;
	}
	if (!S_ISREG(file.st_mode)) {
		str_format(reason, reason_size, "not a regular file");
		return -ENOEXEC;
	}
	if (file.st_size > MAX_FILE) {
		str_format(reason, reason_size, "larger than 64 MiB: not a libc10.so");
		return -EFBIG;
	}
	*data = malloc((size_t)file.st_size + 1);
	got = *data ? read_all(fd, *data, (size_t)file.st_size) : -ENOMEM;
	if (got < 0) {
		str_format(reason, reason_size, "cannot be read: %s", strerror((int)-got));
		free(*data);
		return (int)got;
	}
	*size = (size_t)got;
	return 0;
}
