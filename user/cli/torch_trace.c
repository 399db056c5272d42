// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/torch_trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/whole_file.h"
#include "report/torch_trace.h"

#define PREFIX "dedicated_log_torch_trace_"
#define SUFFIX ".log"
#define OURS   "_gradwatch" SUFFIX

/* What was done in a folder. */
struct work {
	int folder;
	const struct history *history;
	const struct summary *summary;
	size_t logs, findings;
};

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), size = strlen(end);

	return length >= size && !strcmp(name + length - size, end);
}

static bool is_log(const char *name)
{
	return !strncmp(name, PREFIX, strlen(PREFIX)) && ends_with(name, SUFFIX) &&
	       !ends_with(name, OURS);
}

/* NULL: it cannot be read; why is logged. */
static FILE *open_log(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = NULL;
	struct stat about;

	if (fd >= 0 && !fstat(fd, &about) && S_ISREG(about.st_mode))
		file = fdopen(fd, "r");
	if (file)
		return file;
	log_error("cannot read '%s': %s", name, fd < 0 ? strerror(errno) : "it is no regular file");
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* Copies a log, whose last line may lack its end. *pid: of the process that it is of, 0: none. */
static int copy_log(FILE *from, FILE *to, uint32_t *pid)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	char last = '\n';
	int code = 0;

	*pid = 0;
	while ((length = getline(&line, &size, from)) > 0) {
		if (!*pid)
			*pid = torch_trace_pid(line);
		last = line[length - 1];
		if (fwrite(line, 1, (size_t)length, to) != (size_t)length)
			break;
	}
	if (ferror(from) || ferror(to))
		code = errno ? -errno : -EIO;
	if (last != '\n')
		fputc('\n', to);
	free(line);
	return code;
}

static int add_findings(struct work *work, const char *name)
{
	FILE *from = open_log(work->folder, name);
	struct whole_file file;
	char out[NAME_MAX + sizeof(OURS)];
	size_t count = 0;
	uint32_t pid;
	int code;

	if (!from)
		return -EIO;
	(void)str_format(out, sizeof(out), "%.*s" OURS, (int)(strlen(name) - strlen(SUFFIX)), name);
	code = whole_file_open(&file, work->folder, out, 0666);
	if (!code) {
		code = copy_log(from, file.stream, &pid);
		if (!code && pid)
			code = torch_trace_write(file.stream, work->history, work->summary, pid,
						 &count);
		code = whole_file_close(&file, code);
	}
	fclose(from);
	work->logs += !code;
	work->findings += count;
	return code;
}

int torch_trace_folder(const char *path, const struct history *history,
		       const struct summary *summary)
{
	struct work work = {.history = history, .summary = summary};
	DIR *folder = opendir(path);
	const struct dirent *entry;
	int code = 0;

	if (!folder) {
		code = -errno;
		log_error("cannot read the folder '%s' of --torch-trace: %s", path,
			  strerror(-code));
		return code;
	}
	work.folder = dirfd(folder);
	while (!code && (entry = readdir(folder)))
		if (is_log(entry->d_name))
			code = add_findings(&work, entry->d_name);
	closedir(folder);
	if (code)
		return code;
	if (!work.logs) {
		log_error("no log of PyTorch (" PREFIX "*" SUFFIX
			  ") in '%s': run the program with TORCH_TRACE=%s",
			  path, path);
		return -ENOENT;
	}
	if (!work.findings && summary_findings(summary))
		log_warn("none of the findings is of a process that has a log in '%s'", path);
	return 0;
}
