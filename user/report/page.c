// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/page.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base64.h"
#include "output/buffer.h"
#include "page_text.h" /* made of the files in page/ by tools/page.sh */
#include "report/encode.h"

/* What is before and behind the data. */
static const char head[] = PAGE_HEAD;
static const char tail[] = PAGE_TAIL;

#define DATA_MAX (PAGE_BYTES_MAX - (sizeof(head) - 1) - (sizeof(tail) - 1))

static int pack(const struct report *report, struct history *history,
		const struct page_limits *limits, unsigned char **packed, size_t *size)
{
	const uint64_t stacks = history->left_out.stacks; /* each time those of findings count */
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);
	char *data = NULL;
	size_t length;
	int code = stream ? page_data(stream, report, history, limits) : -ENOMEM;

	history->left_out.stacks = stacks;
	if (stream)
		fclose(stream);
	if (buffer_take(&buffer, &data, &length) && !code)
		code = -ENOMEM;
	if (!code)
		code = encode_gzip(data, length, packed, size);
	free(data);
	return code;
}

/* Changes first: without them there are still the traces and the findings. */
static void halve(struct page_limits *limits)
{
	if (limits->changes) {
		limits->changes /= 2;
		return;
	}
	limits->traces /= 2;
	limits->marks /= 2;
	limits->findings /= 2;
}

static bool is_empty(const struct page_limits *limits)
{
	return !limits->changes && !limits->traces && !limits->marks && !limits->findings;
}

static int write_data(FILE *stream, const unsigned char *packed, size_t size)
{
	char *text = malloc(base64_size(size) + 1);

	if (!text)
		return -ENOMEM;
	base64_encode(text, packed, size);
	fputs(head, stream);
	fwrite(text, 1, base64_size(size), stream);
	fputs(tail, stream);
	free(text);
	return 0;
}

int page_write(FILE *stream, const struct report *report, struct history *history)
{
	struct page_limits limits = {PAGE_FINDINGS_MAX, history->traces, history->changes,
				     history->marks};
	unsigned char *packed = NULL;
	size_t size;
	int code = pack(report, history, &limits, &packed, &size);

	while (!code && base64_size(size) > DATA_MAX && !is_empty(&limits)) {
		free(packed);
		packed = NULL;
		halve(&limits);
		code = pack(report, history, &limits, &packed, &size);
	}
	if (!code)
		code = write_data(stream, packed, size);
	free(packed);
	return code;
}
