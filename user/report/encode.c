// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/encode.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/str.h"

#define GZIP_WINDOW (15 + 16) /* the largest; 16: the form of gzip */
#define GZIP_MEMORY 9

int encode_string(FILE *stream, const char *text)
{
	size_t length = strlen(text), size = 3 * length + 1; /* U+FFFD has three bytes */
	char *utf8 = malloc(size);
	json_t *string = NULL;
	int code = -ENOMEM;

	if (utf8)
		string = json_stringn(utf8, str_to_utf8(utf8, size, text, length));
	if (string && !json_dumpf(string, stream, JSON_ENCODE_ANY))
		code = 0;
	json_decref(string);
	free(utf8);
	return code;
}

int encode_gzip(const char *bytes, size_t size, unsigned char **packed, size_t *packed_size)
{
	z_stream zip = {.next_in = (Bytef *)bytes, .avail_in = (uInt)size};
	uLong bound;
	int code;

	if (size > UINT32_MAX || deflateInit2(&zip, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
					      GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&zip, (uLong)size);
	*packed = malloc(bound);
	zip.next_out = *packed;
	zip.avail_out = (uInt)bound;
	code = *packed && deflate(&zip, Z_FINISH) == Z_STREAM_END ? 0 : -ENOMEM;
	*packed_size = zip.total_out;
	deflateEnd(&zip);
	if (code) {
		free(*packed);
		*packed = NULL;
	}
	return code;
}
