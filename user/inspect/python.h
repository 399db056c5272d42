/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inspect: one ELF file with a CPython in it -> where its runtime is and how its stacks are laid
 * out. */
#ifndef GRADWATCH_INSPECT_PYTHON_H
#define GRADWATCH_INSPECT_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradwatch/abi.h"
struct inspect_python {
	struct gw_python python;
	uint64_t runtime; /* link-time address of _PyRuntime; 0 below: not there */
	uint64_t true_object, false_object; /* _Py_TrueStruct, _Py_FalseStruct */
	uint64_t err_format;                /* PyErr_Format() */
	uint64_t runtime_error;             /* the variable PyExc_RuntimeError */
	uint64_t text; /* elf_image_text(): its load address is computed from it */
	uint64_t text_offset;
	bool fixed;
};

/*
 * Reads the ELF image in data[0..size). file_name gives the version of CPython 3.9 and 3.10, which
 * do not say it in themselves ("libpython3.9.so.1.0", "python3.10"). 0; -ENOEXEC: no ELF file;
 * -ENOENT: there is no CPython in it; -ENOTSUP: one whose layout is not known, reason says which.
 */
int inspect_python(const void *data, size_t size, const char *file_name,
		   struct inspect_python *python, char *reason, size_t reason_size);

/* The same for an open file. */
int inspect_python_fd(int fd, const char *file_name, struct inspect_python *python, char *reason,
		      size_t reason_size);

#endif
