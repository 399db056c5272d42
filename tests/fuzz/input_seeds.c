// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes the inputs of random runs to files, as logs have them: input_seeds FOLDER */
#include <stdio.h>
#include <stdlib.h>

#include "model/input_code.h"
#include "../unit/model_scenario.h"

static void on_input(void *context, const struct model_input *input)
{
	if (input_writer_put(context, input))
		abort();
}

static void on_event(void *context, const struct event *event)
{
	(void)context;
	(void)event;
}

int main(int argc, char **argv)
{
	const struct model_options options = {
		.idle_ns = 1000000, .kinds = ~0u, .for_log = true, .each = true};

	for (uint64_t seed = 1; argc > 1 && seed <= 8; seed++) {
		struct scenario scenario = {.dice = seed, .now = 1000};
		const struct model_resolver resolver = {scenario_process, scenario_torch,
							&scenario};
		struct model *model = model_new(&options, &resolver, on_event, NULL);
		struct input_writer *writer = input_writer_new();
		const uint8_t *bytes;
		char path[4096];
		size_t size;
		FILE *file;

		if (!model || !writer)
			return 1;
		model_on_input(model, on_input, writer);
		for (uint64_t i = 0; i < 10 * seed; i++)
			scenario_step(&scenario, model);
		scenario_finish(&scenario, model);
		bytes = input_writer_bytes(writer, &size);
		snprintf(path, sizeof(path), "%s/run-%d", argv[1], (int)seed);
		file = fopen(path, "w");
		if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
			return 1;
		model_free(model);
		input_writer_free(writer);
	}
	return 0;
}
