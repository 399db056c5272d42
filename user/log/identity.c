// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/identity.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

/* The first line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, line, size - 1);

	if (fd >= 0)
		close(fd);
	line[length > 0 ? length : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

void log_identity_make(struct log_identity *identity)
{
	uint64_t number = 0;

	memset(identity, 0, sizeof(*identity));
	gethostname(identity->host, sizeof(identity->host) - 1);
	read_line("/proc/sys/kernel/random/boot_id", identity->boot_id, sizeof(identity->boot_id));
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = clock_monotonic() ^ (uint64_t)getpid() << 40;
	str_format(identity->run_id, sizeof(identity->run_id), "%016" PRIx64, number);
}
