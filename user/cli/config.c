// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define ENDING ".conf"

struct config {
	struct config_line line[CONFIG_MAX_LINES];
	size_t lines;
	char *file[CONFIG_MAX_FILES + 1]; /* names, which lines point to */
	size_t files;
};

struct reading {
	struct config *config;
	const char *file;
	unsigned int number;
	struct err *err;
};

size_t config_lines(const struct config *config)
{
	return config->lines;
}

const struct config_line *config_line(const struct config *config, size_t i)
{
	return &config->line[i];
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->lines; i++)
		free(config->line[i].value);
	for (size_t i = 0; i < config->files; i++)
		free(config->file[i]);
	free(config);
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (isspace((unsigned char)*text))
		text++;
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (!strcmp(option_rows[i].name, name))
			return &option_rows[i];
	return NULL;
}

static int reject(const struct reading *reading, const char *name, const char *what)
{
	char shown[128];

	str_escape(shown, sizeof(shown), name, strnlen(name, 60));
	return err_set(reading->err, -EINVAL, "%s:%u: '%s' %s", reading->file, reading->number,
		       shown, what);
}

/* Splits "name = value", or a name alone. */
static int take_setting(struct reading *reading, char *line)
{
	struct config *config = reading->config;
	char *equals = strchr(line, '='), *name, *value = NULL;
	const struct option_row *row;

	if (equals) {
		*equals = '\0';
		value = trim(equals + 1);
	}
	name = trim(line);
	row = find_row(name);
	if (!row)
		return reject(reading, name,
			      "is no option: use names that 'gradwatch --help' shows, without --");
	if (!(row->commands & OPTION_IN_CONFIG))
		return reject(reading, name, "is for the command line: take it out");
	if (row->value && (!value || !*value))
		return reject(reading, name, "needs a value: NAME = VALUE");
	if (!row->value && value)
		return reject(reading, name, "takes no value: give the name alone");
	if (config->lines == CONFIG_MAX_LINES)
		return reject(reading, name, "is one setting too many");
	value = value ? strdup(value) : NULL;
	if (row->value && !value)
		return err_set(reading->err, -ENOMEM, "out of memory");
	config->line[config->lines++] = (struct config_line){
		.row = row, .value = value, .file = reading->file, .line = reading->number};
	return 0;
}

static int take_line(struct reading *reading, char *line, size_t length)
{
	char *text;

	reading->number++;
	if (strlen(line) != length)
		return err_set(reading->err, -EINVAL, "%s:%u: there is a NUL byte in it",
			       reading->file, reading->number);
	text = trim(line);
	return *text && *text != '#' ? take_setting(reading, text) : 0;
}

/* text is taken apart, and is ended by NUL. */
static int take_text(struct config *config, const char *file, char *text, size_t size,
		     struct err *err)
{
	struct reading reading = {.config = config, .err = err};
	char *at = text, *end = text + size;
	int code = 0;

	config->file[config->files] = strdup(file);
	if (!config->file[config->files])
		return err_set(err, -ENOMEM, "out of memory");
	reading.file = config->file[config->files++];
	while (at < end && !code) {
		char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((stop ? stop : end) - at);

		at[length] = '\0';
		code = take_line(&reading, at, length);
		at += length + 1;
	}
	return code;
}

/* Reads a small file, ended by NUL. */
static int read_text(const char *path, char **text, size_t *size, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat found;
	ssize_t got = 0;

	*text = NULL;
	*size = 0;
	if (fd < 0 || fstat(fd, &found)) {
		int code = -errno;

		if (fd >= 0)
			close(fd);
		return err_set(err, code, "cannot read '%s': %s", path, strerror(-code));
	}
	if (!S_ISREG(found.st_mode) || found.st_size > CONFIG_MAX_BYTES) {
		close(fd);
		return err_set(err, -EINVAL, "'%s' is no file of at most %u bytes", path,
			       CONFIG_MAX_BYTES);
	}
	*text = malloc((size_t)found.st_size + 1);
	while (*text && *size < (size_t)found.st_size &&
	       (got = read(fd, *text + *size, (size_t)found.st_size - *size)) > 0)
		*size += (size_t)got;
	close(fd);
	if (!*text || got < 0)
		return err_set(err, -EIO, "cannot read '%s': %s", path,
			       *text ? strerror(errno) : "out of memory");
	(*text)[*size] = '\0';
	return 0;
}

static int take_file(struct config *config, const char *path, struct err *err)
{
	size_t size;
	char *text;
	int code = read_text(path, &text, &size, err);

	if (!code)
		code = take_text(config, path, text, size, err);
	free(text);
	return code;
}

static int is_drop_in(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(ENDING) &&
	       !strcmp(entry->d_name + length - strlen(ENDING), ENDING);
}

/* The folder may be missing. */
static int take_drop_ins(struct config *config, const char *path, struct err *err)
{
	char folder[CONFIG_PLACE_SIZE], file[CONFIG_PLACE_SIZE];
	struct dirent **entries;
	int count, code = 0;

	if (str_format(folder, sizeof(folder), "%s.d", path))
		return err_set(err, -ENAMETOOLONG, "the name '%s' is too long", path);
	count = scandir(folder, &entries, is_drop_in, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0
				       : err_set(err, -errno, "cannot read the folder '%s': %s",
						 folder, strerror(errno));
	if (count > CONFIG_MAX_FILES)
		code = err_set(err, -E2BIG, "'%s' has more than %d files", folder,
			       CONFIG_MAX_FILES);
	for (int i = 0; i < count; i++) {
		if (!code && str_format(file, sizeof(file), "%s/%s", folder, entries[i]->d_name))
			code = err_set(err, -ENAMETOOLONG, "a name in '%s' is too long", folder);
		if (!code)
			code = take_file(config, file, err);
		free(entries[i]);
	}
	free(entries);
	return code;
}

struct config *config_read(const char *path, struct err *err)
{
	struct config *config = calloc(1, sizeof(*config));
	int code = config ? take_file(config, path, err) : err_set(err, -ENOMEM, "out of memory");

	if (!code)
		code = take_drop_ins(config, path, err);
	if (!code)
		return config;
	config_free(config);
	return NULL;
}

struct config *config_parse(const char *file, const char *text, size_t size, struct err *err)
{
	struct config *config = calloc(1, sizeof(*config));
	char *copy = malloc(size + 1);
	int code = -ENOMEM;

	if (copy && config) {
		memcpy(copy, text, size);
		copy[size] = '\0';
		code = take_text(config, file, copy, size, err);
	}
	free(copy);
	if (!code)
		return config;
	config_free(config);
	return NULL;
}
