// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the layouts come from:
 *
 * 3.13 and 3.14 describe themselves: _PyRuntime starts with _Py_DebugOffsets (cookie "xdebugpy",
 * then PY_VERSION_HEX, then 64-bit offsets; CPython Include/internal/pycore_debug_offsets.h, in
 * 3.13 pycore_runtime.h). The order of that structure is fixed within a minor version, so it is
 * read by index. The bytes in the file are those in memory.
 *
 * 3.9 to 3.12 from a table, by minor version (Include/cpython/{frameobject,code,pystate}.h and
 * Include/internal/pycore_{frame,runtime}.h of each): within one, layouts do not change.
 *
 * No symbol or debug offset gives autoTSSkey's place: the table has it for every version. Up
 * to 3.11, the two mutexes of the GIL lie before it in _PyRuntime (struct _gil_runtime_state),
 * which glibc makes 8 bytes larger on AArch64 (sysdeps/aarch64/nptl/bits/pthreadtypes-arch.h). BPF
 * checks what it finds there: the PyThreadState must name the very thread.
 */
#include "inspect/python.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inspect/elf_image.h"
#include "inspect/file.h"

#define NONE           GW_NO_FIELD

#define VERSION(minor) (3 << 8 | (minor))

static const struct gw_python known[] = {
	{VERSION(9), 584, 588, 176, 24, NONE, 24, 32, 104, NONE, 104, 112, 40, 120, NONE, 48, 72,
	 GW_POSITION_BYTES},
	{VERSION(10), 584, 588, 176, 24, NONE, 24, 32, 96, NONE, 104, 112, 40, 120, NONE, 48, 72,
	 GW_POSITION_UNITS},
	{VERSION(11), 592, 596, 152, 56, 8, 48, 32, 56, 69, 112, 128, 72, 136, 184, 48, 72,
	 GW_POSITION_POINTER},
	{VERSION(12), 1544, 1548, 136, 56, 0, 8, 0, 56, 70, 112, 128, 68, 136, 192, 40, 56,
	 GW_POSITION_POINTER},
	/* the rest from their debug offsets */
	{.version = VERSION(13), .key_created = 2160, .key = 2164},
	{.version = VERSION(14), .key_created = 2336, .key = 2340},
};

/* Where in _Py_DebugOffsets, in words of 8 bytes, a minor version keeps what. */
struct debug_index {
	unsigned int minor;
	unsigned int tstate_frame, tstate_thread;
	unsigned int frame_previous, frame_code, frame_position, frame_owner;
	unsigned int code_filename, code_name, code_lines, code_firstlineno, code_bytecode;
};

static const struct debug_index debug_indexes[] = {
	{13, 23, 24, 29, 30, 31, 33, 35, 37, 38, 39, 43},
	{14, 26, 27, 32, 33, 34, 36, 40, 42, 43, 44, 48},
};

#define MUTEXES_LARGER      16 /* on AArch64 */
#define DEBUG_COOKIE        "xdebugpy"
#define DEBUG_FREE_THREADED 2 /* word; the version is word 1 */

static const struct gw_python *find_known(unsigned int version)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].version == version)
			return &known[i];
	return NULL;
}

static int word(const struct elf_image *image, uint64_t runtime, unsigned int index, uint64_t *out)
{
	return elf_image_word(image, runtime + 8ull * index, out);
}

/* One offset; those that BPF cannot use are as good as missing. */
static int field(const struct elf_image *image, uint64_t runtime, unsigned int index, uint16_t *out)
{
	uint64_t value;

	if (word(image, runtime, index, &value) || value >= NONE)
		return -ENOTSUP;
	*out = (uint16_t)value;
	return 0;
}

static int read_debug_offsets(const struct elf_image *image, uint64_t runtime,
			      const struct debug_index *at, struct gw_python *python)
{
	int failed = 0;

	failed |= field(image, runtime, at->tstate_frame, &python->tstate_frame);
	failed |= field(image, runtime, at->tstate_thread, &python->tstate_thread);
	failed |= field(image, runtime, at->frame_previous, &python->frame_previous);
	failed |= field(image, runtime, at->frame_code, &python->frame_code);
	failed |= field(image, runtime, at->frame_position, &python->frame_position);
	failed |= field(image, runtime, at->frame_owner, &python->frame_owner);
	failed |= field(image, runtime, at->code_filename, &python->code_filename);
	failed |= field(image, runtime, at->code_name, &python->code_name);
	failed |= field(image, runtime, at->code_lines, &python->code_lines);
	failed |= field(image, runtime, at->code_firstlineno, &python->code_firstlineno);
	failed |= field(image, runtime, at->code_bytecode, &python->code_bytecode);
	python->cframe_frame = NONE;
	python->string_ascii = 40; /* sizeof(PyASCIIObject), PyCompactUnicodeObject since 3.12 */
	python->string_compact = 56;
	python->position = GW_POSITION_POINTER;
	return failed ? -ENOTSUP : 0;
}

/* What BPF copies of a structure bounds where its fields may be (bpf/stack.bpf.h). */
static bool fits_copies(const struct gw_python *python)
{
	return python->frame_previous <= 104 && python->frame_code <= 104 &&
	       python->frame_position <= 108 &&
	       (python->frame_owner == NONE || python->frame_owner < 112) &&
	       python->code_filename >= 16 && python->code_filename <= 136 &&
	       python->code_name >= 16 && python->code_name <= 136 && python->code_lines >= 16 &&
	       python->code_lines <= 136 && python->code_firstlineno <= 124;
}

static int describe_itself(const struct elf_image *image, struct inspect_python *python,
			   char *reason, size_t reason_size)
{
	uint64_t cookie, free_threaded;

	if (word(image, python->runtime, 0, &cookie) || memcmp(&cookie, DEBUG_COOKIE, 8) ||
	    word(image, python->runtime, DEBUG_FREE_THREADED, &free_threaded)) {
		str_format(reason, reason_size, "CPython without debug offsets");
		return -ENOTSUP;
	}
	if (free_threaded) {
		str_format(reason, reason_size,
			   "a free-threaded CPython, whose stacks are not known");
		return -ENOTSUP;
	}
	for (size_t i = 0; i < sizeof(debug_indexes) / sizeof(debug_indexes[0]); i++)
		if (VERSION(debug_indexes[i].minor) == python->python.version)
			return read_debug_offsets(image, python->runtime, &debug_indexes[i],
						  &python->python);
	return -ENOTSUP;
}

/* "python3.9", "libpython3.10.so.1.0": 3 << 8 | minor, 0 when the name has no version. */
static unsigned int version_of_name(const char *file_name)
{
	const char *at = strstr(file_name, "python3.");
	uint64_t minor;
	char digits[4];

	if (!at)
		return 0;
	str_format(digits, sizeof(digits), "%.*s", (int)strspn(at + 8, "0123456789"), at + 8);
	return str_to_u64(digits, 0, 99, &minor) ? 0 : VERSION((unsigned int)minor);
}

static unsigned int version_of(const struct elf_image *image, const char *file_name)
{
	uint64_t address, value;

	if (elf_image_object(image, "Py_Version", &address)) /* 3.11 and later */
		return version_of_name(file_name);
	if (elf_image_word(image, address, &value))
		return 0;
	return (unsigned int)(value >> 16 & 0xffff); /* PY_VERSION_HEX: major, minor, ... */
}

/* What raising an exception needs: Include/boolobject.h and pyerrors.h, all versions. */
static void find_exception(const struct elf_image *image, struct inspect_python *python)
{
	struct elf_function err_format;

	elf_image_object(image, "_Py_TrueStruct", &python->true_object);
	elf_image_object(image, "_Py_FalseStruct", &python->false_object);
	elf_image_object(image, "PyExc_RuntimeError", &python->runtime_error);
	if (!elf_image_function(image, "PyErr_Format", &err_format))
		python->err_format = err_format.address;
}

static int read_image(const struct elf_image *image, const char *file_name,
		      struct inspect_python *python, char *reason, size_t reason_size)
{
	const struct gw_python *layout;
	unsigned int version;
	int code;

	if (elf_image_object(image, "_PyRuntime", &python->runtime))
		return -ENOENT;
	find_exception(image, python);
	code = elf_image_text(image, &python->text, &python->text_offset, &python->fixed);
	if (code)
		return code;
	version = version_of(image, file_name);
	python->python.version = (uint16_t)version;
	layout = find_known(version);
	if (!layout) {
		str_format(reason, reason_size,
			   version ? "CPython %u.%u, whose stacks are not known"
				   : "a CPython that does not give its version",
			   version >> 8, version & 0xff);
		return -ENOTSUP;
	}
	python->python = *layout;
	if (image->machine == EM_AARCH64 && version <= VERSION(11)) {
		python->python.key_created += MUTEXES_LARGER;
		python->python.key += MUTEXES_LARGER;
	}
	if (!layout->tstate_frame)
		code = describe_itself(image, python, reason, reason_size);
	if (!code && !fits_copies(&python->python))
		code = -ENOTSUP;
	if (code)
		python->python = (struct gw_python){.version = (uint16_t)version};
	if (code && !reason[0])
		str_format(reason, reason_size, "CPython with offsets out of range");
	return code;
}

int inspect_python(const void *data, size_t size, const char *file_name,
		   struct inspect_python *python, char *reason, size_t reason_size)
{
	struct elf_image image;
	int code;

	*python = (struct inspect_python){0};
	reason[0] = '\0';
	code = elf_image_open(&image, data, size, reason, reason_size);
	if (code)
		return code;
	code = read_image(&image, file_name, python, reason, reason_size);
	elf_image_close(&image);
	return code;
}

int inspect_python_fd(int fd, const char *file_name, struct inspect_python *python, char *reason,
		      size_t reason_size)
{
	size_t size;
	char *data;
	int code = inspect_file_read(fd, &data, &size, reason, reason_size);

	if (code)
		return code;
	code = inspect_python(data, size, file_name, python, reason, reason_size);
	free(data);
	return code;
}
