// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/worker.h"

#define ENDING ".prom"
#define BESIDE ".tmp" /* not read by the collector */
#define MODE   0644   /* the collector is another user */

struct page {
	struct work work;
	char *text;
	size_t length;
};

struct textfile {
	const char *path;
	char beside[PATH_MAX];
	struct worker *worker;
	bool busy;
	atomic_int error;
};

static int write_whole(int fd, const struct page *page)
{
	size_t written = 0;

	while (written < page->length) {
		ssize_t count = write(fd, page->text + written, page->length - written);

		if (count < 0 && errno != EINTR)
			return -errno;
		written += count > 0 ? (size_t)count : 0;
	}
	return 0;
}

static void write_page(void *context, struct work *work)
{
	const struct page *page = (const struct page *)work;
	struct textfile *textfile = context;
	int fd = open(textfile->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		      MODE);
	int code = fd < 0 ? -errno : write_whole(fd, page);

	if (fd >= 0 && !code && fchmod(fd, MODE))
		code = -errno;
	if (fd >= 0 && close(fd) && !code)
		code = -errno;
	if (!code && rename(textfile->beside, textfile->path))
		code = -errno;
	if (code)
		atomic_store(&textfile->error, code);
}

static void drop(void *context, struct work *work)
{
	struct page *page = (struct page *)work;

	(void)context;
	free(page->text);
	free(page);
}

int textfile_open(struct textfile **out, const char *path, struct err *err)
{
	size_t length = strlen(path);
	struct textfile *textfile;

	if (length < strlen(ENDING) || strcmp(path + length - strlen(ENDING), ENDING) != 0)
		return err_set(err, -EINVAL,
			       "--metrics-textfile: '%s' does not end with " ENDING
			       ", so node_exporter would not read it",
			       path);
	textfile = calloc(1, sizeof(*textfile));
	if (!textfile)
		return err_set(err, -ENOMEM, "out of memory");
	textfile->path = path;
	textfile->worker = worker_new(write_page, textfile);
	if (!textfile->worker ||
	    str_format(textfile->beside, sizeof(textfile->beside), "%s" BESIDE, path)) {
		worker_free(textfile->worker, drop);
		free(textfile);
		return err_set(err, -ENOMEM,
			       "--metrics-textfile: out of memory, or '%s' is too long", path);
	}
	*out = textfile;
	return 0;
}

/* What is done is taken. */
static bool is_busy(struct textfile *textfile)
{
	struct work *done;

	while ((done = worker_next(textfile->worker))) {
		drop(NULL, done);
		textfile->busy = false;
	}
	return textfile->busy;
}

void textfile_put(struct textfile *textfile, char *text, size_t length)
{
	struct page *page = is_busy(textfile) ? NULL : calloc(1, sizeof(*page));

	if (!page) {
		free(text);
		return;
	}
	page->text = text;
	page->length = length;
	textfile->busy = true;
	worker_add(textfile->worker, &page->work);
}

int textfile_error(struct textfile *textfile)
{
	return atomic_exchange(&textfile->error, 0);
}

void textfile_close(struct textfile *textfile)
{
	if (!textfile)
		return;
	worker_free(textfile->worker, drop);
	unlink(textfile->beside);
	unlink(textfile->path);
	free(textfile);
}
