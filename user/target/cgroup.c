// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/procfs.h"

#define ID_DIGITS 64
#define LINE_BYTES                                                                                 \
	8192 /* a line of /proc/PID/cgroup: a path of PATH_MAX and names of controllers */

/* A part of a path. */
struct span {
	const char *at;
	size_t length;
};

static struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static bool skip_prefix(struct span *span, const char *prefix)
{
	size_t length = strlen(prefix);

	if (span->length < length || memcmp(span->at, prefix, length))
		return false;
	span->at += length;
	span->length -= length;
	return true;
}

static bool cut_suffix(struct span *span, const char *suffix)
{
	size_t length = strlen(suffix);

	if (span->length < length || memcmp(span->at + span->length - length, suffix, length))
		return false;
	span->length -= length;
	return true;
}

static bool equals(struct span span, const char *text)
{
	return span.length == strlen(text) && !memcmp(span.at, text, span.length);
}

/* A name that does not fit is not kept: half of it would be another one. */
static void keep(char *out, size_t size, struct span span)
{
	size_t length = span.length < size ? span.length : 0;

	memcpy(out, span.at, length);
	out[length] = '\0';
}

static bool is_id(struct span span)
{
	if (span.length != ID_DIGITS)
		return false;
	for (size_t i = 0; i < ID_DIGITS; i++)
		if (!isxdigit((unsigned char)span.at[i]))
			return false;
	return true;
}

/* "0f6e...-...": Kubernetes' uid of a pod; systemd's driver writes _ for -, which has a meaning. */
static void keep_pod(struct cgroup *cgroup, struct span uid)
{
	if (!uid.length || uid.length >= sizeof(cgroup->pod))
		return;
	for (size_t i = 0; i < uid.length; i++)
		if (!isxdigit((unsigned char)uid.at[i]) && uid.at[i] != '-' && uid.at[i] != '_')
			return;
	keep(cgroup->pod, sizeof(cgroup->pod), uid);
	for (char *at = cgroup->pod; *at; at++)
		if (*at == '_')
			*at = '-';
}

/* "podUID", "kubepods-podUID.slice", "kubepods-burstable-podUID.slice:...", "kubelet-kubepods-...".
 */
static void take_pod(struct cgroup *cgroup, struct span name)
{
	const char *colon = memchr(name.at, ':', name.length);
	const char *slice;

	if (colon)
		name.length = (size_t)(colon - name.at);
	slice = memmem(name.at, name.length, "kubepods-", 9);
	if (slice) {
		name.length -= (size_t)(slice + 9 - name.at);
		name.at = slice + 9;
		if (!cut_suffix(&name, ".slice"))
			return;
		if (!skip_prefix(&name, "burstable-"))
			skip_prefix(&name, "besteffort-");
	}
	if (skip_prefix(&name, "pod"))
		keep_pod(cgroup, name);
}

static const char *const runtimes[][2] = {
	{"docker", "docker"}, {"libpod", "podman"},         {"cri-containerd", "containerd"},
	{"crio", "cri-o"},    {"containerd", "containerd"}, {"nerdctl", "containerd"},
};

#define RUNTIMES (sizeof(runtimes) / sizeof(runtimes[0]))

static void set_container(struct cgroup *cgroup, struct span id, const char *runtime)
{
	keep(cgroup->container, sizeof(cgroup->container), id);
	keep(cgroup->runtime, sizeof(cgroup->runtime), span_of(runtime));
}

/* "docker-ID.scope", "crio-ID", "SLICE:cri-containerd:ID". */
static bool take_named(struct cgroup *cgroup, struct span name)
{
	const char *colon = memchr(name.at, ':', name.length);

	if (colon) {
		name.length -= (size_t)(colon + 1 - name.at);
		name.at = colon + 1;
	}
	cut_suffix(&name, ".scope");
	for (size_t i = 0; i < RUNTIMES; i++) {
		struct span id = name;

		if (!skip_prefix(&id, runtimes[i][0]) || !id.length ||
		    id.at[0] != (colon ? ':' : '-'))
			continue;
		id.at++;
		id.length--;
		if (!is_id(id))
			continue;
		set_container(cgroup, id, runtimes[i][1]);
		return true;
	}
	return false;
}

/* A runtime's bare ID: who it is, the folder above may say. */
static bool take_bare(struct cgroup *cgroup, struct span above, struct span name)
{
	if (!is_id(name))
		return false;
	set_container(cgroup, name, equals(above, "docker") ? "docker" : "");
	return true;
}

/* Machines have names. systemd escapes bytes of them as \x2d, which are kept as they are. */
static void take_machine(struct cgroup *cgroup, struct span name)
{
	struct span machine = name;

	if ((skip_prefix(&machine, "machine-") && cut_suffix(&machine, ".scope")) ||
	    (skip_prefix(&machine, "systemd-nspawn@") && cut_suffix(&machine, ".service")))
		set_container(cgroup, machine, "systemd-nspawn");
	else if (skip_prefix(&machine, "lxc.payload."))
		set_container(cgroup, machine, "lxc");
}

static void take_unit(struct cgroup *cgroup, struct span name)
{
	struct span rest = name;

	if (cut_suffix(&rest, ".service") || cut_suffix(&rest, ".scope"))
		keep(cgroup->unit, sizeof(cgroup->unit), name);
}

/* Goes down a path. What is deeper overrides: the innermost container is the one it runs in. */
static void take_path(struct cgroup *cgroup, struct span path)
{
	const char *end = path.at + path.length;
	struct span above = {path.at, 0};

	for (const char *at = path.at; at < end; at++) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct span name = {at, (size_t)((slash ? slash : end) - at)};

		take_pod(cgroup, name);
		if (!take_named(cgroup, name) && !take_bare(cgroup, above, name))
			take_machine(cgroup, name);
		take_unit(cgroup, name);
		above = name;
		at += name.length;
	}
}

/* Which of the lines says more. */
static int rank(const struct cgroup *cgroup, struct span hierarchy, struct span controllers)
{
	if (!cgroup->path[0])
		return 0;
	if (cgroup->container[0])
		return 4;
	if (!strcmp(cgroup->path, "/"))
		return 1;
	return equals(hierarchy, "0") || equals(controllers, "name=systemd") ? 3 : 2;
}

void cgroup_take_line(struct cgroup *cgroup, const char *line)
{
	const char *controllers = strchr(line, ':');
	const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	struct cgroup other = {0};
	struct span rest;

	if (!path)
		return;
	rest = (struct span){path + 1, strcspn(path + 1, "\n")};
	cut_suffix(&rest, " (deleted)");
	if (!rest.length || rest.at[0] != '/')
		return;
	take_path(&other, rest);
	if (rest.length >= sizeof(other.path))
		rest.length = sizeof(other.path) - 1;
	keep(other.path, sizeof(other.path), rest);
	other.rank = rank(&other, (struct span){line, (size_t)(controllers - line)},
			  (struct span){controllers + 1, (size_t)(path - controllers - 1)});
	if (other.rank > cgroup->rank)
		*cgroup = other;
}

int cgroup_read(pid_t pid, struct cgroup *cgroup)
{
	int fd = procfs_open(pid, "cgroup", O_RDONLY);
	char line[LINE_BYTES];
	FILE *file;
	int code;

	memset(cgroup, 0, sizeof(*cgroup));
	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		code = -errno;
		close(fd);
		return code;
	}
	while (fgets(line, sizeof(line), file))
		cgroup_take_line(cgroup, line);
	code = ferror(file) ? -EIO : 0;
	fclose(file);
	return code;
}

/* Appends a string to the block. */
static const char *pack(char **at, const char *string)
{
	char *packed = *at;

	*at = stpcpy(packed, string) + 1;
	return packed;
}

struct cgroup_names *cgroup_names_read(pid_t pid)
{
	struct cgroup cgroup;
	struct cgroup_names *names;
	char *at;

	if (cgroup_read(pid, &cgroup))
		return NULL;
	names = malloc(sizeof(*names) + strlen(cgroup.path) + strlen(cgroup.container) +
		       strlen(cgroup.runtime) + strlen(cgroup.pod) + strlen(cgroup.unit) + 5);
	if (!names)
		return NULL;
	at = (char *)(names + 1);
	names->path = pack(&at, cgroup.path);
	names->container = pack(&at, cgroup.container);
	names->runtime = pack(&at, cgroup.runtime);
	names->pod = pack(&at, cgroup.pod);
	names->unit = pack(&at, cgroup.unit);
	names->holders = 1;
	return names;
}

struct cgroup_names *cgroup_names_hold(struct cgroup_names *names)
{
	if (names)
		names->holders++;
	return names;
}

void cgroup_names_release(struct cgroup_names *names)
{
	if (names && !--names->holders)
		free(names);
}
