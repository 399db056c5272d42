// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/origins.h"

#include <string.h>

#include "base/str.h"

/* A folder, as the first bytes of a path with its last slash; path NULL: not known. */
struct folder {
	const char *path;
	size_t length;
};

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* The folder that a path is in, if the rest of the path is this. */
static bool folder_of(const char *path, const char *rest, struct folder *folder)
{
	size_t length = strlen(path), rest_length = strlen(rest);

	if (length < rest_length || strcmp(path + length - rest_length, rest) != 0)
		return false;
	if (length > rest_length && path[length - rest_length - 1] != '/')
		return false;
	*folder = (struct folder){path, length - rest_length};
	return true;
}

/* The path from a folder on; NULL: it is elsewhere. */
static const char *below(const char *path, const struct folder *folder)
{
	if (!folder->path || strncmp(path, folder->path, folder->length) != 0)
		return NULL;
	return path + folder->length;
}

/* A path in site-packages or dist-packages, from there on; NULL: it is in neither. */
static const char *below_packages(const char *path)
{
	const char *site = strstr(path, "/site-packages/");
	const char *dist = strstr(path, "/dist-packages/");
	const char *at = site && (!dist || site < dist) ? site : dist;

	return at ? at + strlen("/site-packages/") : NULL;
}

static bool is_torch_package(const char *path)
{
	return starts_with(path, "torch/") || starts_with(path, "functorch/") ||
	       starts_with(path, "torchgen/");
}

/* The folder above .../torch/lib/libc10.so. */
static bool folder_of_library(const char *file, struct folder *folder)
{
	const char *name = strrchr(file, '/');
	const char part[] = "/torch/lib";
	size_t length = strlen(part);

	if (!name || (size_t)(name - file) < length || strncmp(name - length, part, length) != 0)
		return false;
	*folder = (struct folder){file, (size_t)(name - file) - length + 1};
	return true;
}

/* Files of torch that a stack in a trace has, and whose paths no other package has. */
static bool folder_of_torch(const char *file, struct folder *folder)
{
	static const char *const known[] = {
		"torch/autograd/grad_mode.py",     "torch/fx/experimental/proxy_tensor.py",
		"torch/utils/_python_dispatch.py", "torch/utils/_contextlib.py",
		"torch/autograd/function.py",      "torch/_dynamo/convert_frame.py",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (folder_of(file, known[i], folder))
			return true;
	return false;
}

static void find_torch(const struct event_frame *frame, size_t count, const char *torch_file,
		       struct folder *folder)
{
	struct folder mapped = {0};

	*folder = mapped;
	if (folder_of_library(torch_file, &mapped))
		for (size_t i = 0; i < count; i++) {
			const char *path = below(frame[i].file, &mapped);

			if (path && starts_with(path, "torch/")) {
				*folder = mapped;
				return;
			}
		}
	/* The outermost, as the user's code is inside of the trace. */
	for (size_t i = count; i-- > 0;)
		if (folder_of_torch(frame[i].file, folder))
			return;
}

static const char *torch_path(const char *file, const struct folder *torch)
{
	const char *path = torch->path ? below(file, torch) : below_packages(file);

	return path && is_torch_package(path) ? path : NULL;
}

/* A path in the folder that torch is in, or in one of packages; NULL: it is in neither. */
static const char *beside_torch(const char *file, const struct folder *torch)
{
	const char *path = below(file, torch);

	return path ? path : below_packages(file);
}

/* Whether the bytes before `at` in a text are this. */
static bool is_behind(const char *text, const char *at, const char *part)
{
	size_t length = strlen(part);

	return (size_t)(at - text) >= length && !strncmp(at - length, part, length);
}

/* .../lib/python3.11/, or .../lib/python311.zip/, as the first bytes of a path. */
static bool library_folder(const char *path, uint32_t version, struct folder *folder)
{
	static const char *const format[] = {"/python%u.%u/", "/python%u.%ut/", "/python%u%u.zip/"};
	char name[32];

	for (size_t i = 0; i < sizeof(format) / sizeof(*format); i++) {
		const char *at;

		str_format(name, sizeof(name), format[i], version >> 8, version & 255);
		at = strstr(path, name);
		if (at && (is_behind(path, at, "/lib") || is_behind(path, at, "/lib64"))) {
			*folder = (struct folder){path, (size_t)(at - path) + strlen(name)};
			return true;
		}
	}
	return false;
}

/* Whether this is the standard library's folder, as the file is one that is in no other. */
static bool is_library_file(const char *path, const struct folder *folder)
{
	static const char *const known[] = {"contextlib.py", "functools.py", "threading.py",
					    "runpy.py", "concurrent/futures/thread.py"};
	const char *rest = below(path, folder);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (rest && !strcmp(rest, known[i]))
			return true;
	return false;
}

static void find_library(const struct event_frame *frame, size_t count, uint32_t version,
			 struct folder *folder)
{
	for (size_t i = 0; version && i < count; i++)
		if (library_folder(frame[i].file, version, folder) &&
		    is_library_file(frame[i].file, folder))
			return;
	*folder = (struct folder){0};
}

/* Also what is frozen into the interpreter, and the typing module's addition. */
static bool in_library(const char *file, const char *beside, const struct folder *library,
		       uint32_t version)
{
	struct folder folder = *library;
	const char *rest;

	if (starts_with(file, "<frozen "))
		return true;
	if (beside && !strcmp(beside, "typing_extensions.py"))
		return true;
	if (!folder.path && (!version || !library_folder(file, version, &folder)))
		return false;
	rest = below(file, &folder);
	return rest && !starts_with(rest, "site-packages/") && !starts_with(rest, "dist-packages/");
}

/*
 * The lambda that make_fx calls a function through whose arguments it cannot count: fake_signature
 * of proxy_tensor.py. It does nothing but that, so the grad mode is not changed in it.
 */
static bool is_signature(const struct event_frame *frame, const struct event_origin *origin,
			 size_t count, size_t index)
{
	const char *caller = index + 1 < count ? origin[index + 1].package : NULL;
	const char *callee = index ? origin[index - 1].package : NULL;

	if (strcmp(frame[index].file, "<string>") != 0 ||
	    strcmp(frame[index].function, "<lambda>") != 0)
		return false;
	if (!index || (callee && !strcmp(callee, "torch/autograd/grad_mode.py")))
		return false;
	return caller && !strcmp(caller, "torch/fx/experimental/proxy_tensor.py");
}

/* A file whose path is cut before it is known whether it is in a package of torch's. */
static bool may_be_torch(const struct event_frame *frame, const struct folder *mapped)
{
	static const char *const package[] = {"torch/", "functorch/", "torchgen/"};
	size_t shown;

	if (!frame->file_cut || !mapped->path)
		return false;
	shown = strlen(frame->file) - strlen(EVENT_CUT);
	if (shown <= mapped->length)
		return !strncmp(frame->file, mapped->path, shown);
	for (size_t i = 0; i < sizeof(package) / sizeof(*package); i++)
		if (!strncmp(frame->file, mapped->path, mapped->length) &&
		    !strncmp(frame->file + mapped->length, package[i], shown - mapped->length))
			return true;
	return false;
}

void origins_find(const struct event_frame *frame, size_t count, const struct origins_hint *hint,
		  struct event_origin *origin)
{
	struct folder torch, library, mapped = {0};

	folder_of_library(hint->torch_file, &mapped);
	find_torch(frame, count, hint->torch_file, &torch);
	find_library(frame, count, hint->python, &library);
	for (size_t i = 0; i < count; i++) {
		const char *file = frame[i].file;

		origin[i] = (struct event_origin){.whose = ORIGIN_USER,
						  .beside = beside_torch(file, &torch),
						  .package = torch_path(file, &torch)};
		if (origin[i].package)
			origin[i].whose = ORIGIN_TORCH;
		else if (!strcmp(file, "?") || may_be_torch(&frame[i], &mapped))
			origin[i].whose = ORIGIN_UNKNOWN;
		else if (starts_with(file, "<eval_with_key>"))
			origin[i].whose = ORIGIN_GENERATED;
		else if (in_library(file, origin[i].beside, &library, hint->python))
			origin[i].whose = ORIGIN_LIBRARY;
	}
	for (size_t i = 0; i < count; i++)
		if (is_signature(frame, origin, count, i))
			origin[i].whose = ORIGIN_GENERATED;
}
