// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/probes.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/table.h"
#include "skel/torch.skel.h"
#include "probe/diagnose.h"
#include "probe/kernel_btf.h"
#include "probe/uprobes.h"

#define NS_PER_SEC          1000000000ull
#define MAX_BINDINGS        16 /* files that have a binding for the same setter */
#define MAX_UPROBES         (GW_SITE_MAX + MAX_BINDINGS) /* of a file */
#define LOADING_DESCRIPTORS 48                           /* that libbpf may need for an object */
#define MAX_IDLE            4 /* plans that stay loaded though no file has their probes */

struct loaded_key {
	struct gw_plan plan;
	uint64_t only_file; /* where there are no cookies */
};

/* The programs of one plan. */
struct loaded {
	struct table_item item;
	struct loaded_key key;
	struct torch_bpf *torch;
	unsigned int files; /* that have its probes */
};

struct plans {
	struct programs *programs;
	bool multi;           /* uprobes are uprobe_multi links */
	bool cookies;         /* programs are shared by files */
	pthread_mutex_t lock; /* of what follows */
	struct table loaded;  /* in the order of use */
};

struct probes {
	struct plans *plans;
	struct loaded *loaded;
	uint32_t file_id;
	struct uprobe *setter;
	struct uprobe *modes[GW_SITE_MAX]; /* a link has all of them, or one each */
	size_t modes_count;
	struct uprobe *binding[MAX_BINDINGS];
	size_t bindings;
};

/* Programs that write registers have been tried as those of perf events only. */
bool plans_can_use_multi(const struct gw_policy *policy)
{
	return !policy->registers && uprobes_have_multi();
}

struct plans *plans_new(struct programs *programs)
{
	struct plans *plans = calloc(1, sizeof(*plans));

	if (!plans)
		return NULL;
	plans->programs = programs;
	plans->multi = plans_can_use_multi(&programs_options(programs)->policy);
	plans->cookies = uprobes_have_cookies();
	plans->loaded.capacity = GW_MAX_FILES + MAX_IDLE;
	pthread_mutex_init(&plans->lock, NULL);
	return plans;
}

static void unload(struct loaded *loaded)
{
	torch_bpf__destroy(loaded->torch);
	free(loaded);
}

void plans_free(struct plans *plans)
{
	if (!plans)
		return;
	while (plans->loaded.oldest)
		unload((struct loaded *)table_pop(&plans->loaded));
	pthread_mutex_destroy(&plans->lock);
	free(plans);
}

const char *plans_attach_type(const struct plans *plans)
{
	return plans->multi ? "uprobe_multi" : "perf events";
}

/* Without cookies nothing is shared. */
static struct loaded *find(const struct plans *plans, const struct gw_plan *plan)
{
	const struct loaded_key key = {.plan = *plan};

	if (!plans->cookies)
		return NULL;
	return (struct loaded *)table_find(&plans->loaded, &key, sizeof(key));
}

bool plans_are_loaded(struct plans *plans, const struct inspect_plan *plan)
{
	bool found;

	pthread_mutex_lock(&plans->lock);
	found = find(plans, &plan->abi) != NULL;
	pthread_mutex_unlock(&plans->lock);
	return found;
}

/* The loaded programs of a plan, for one more file; NULL: there are none. */
static struct loaded *take(struct plans *plans, const struct gw_plan *plan)
{
	struct loaded *loaded;

	pthread_mutex_lock(&plans->lock);
	loaded = find(plans, plan);
	if (loaded) {
		loaded->files++;
		table_touch(&plans->loaded, &loaded->item);
	}
	pthread_mutex_unlock(&plans->lock);
	return loaded;
}

static int put_new(struct plans *plans, struct loaded *loaded)
{
	int code;

	loaded->files = 1;
	pthread_mutex_lock(&plans->lock);
	code = table_add(&plans->loaded, &loaded->item, &loaded->key, sizeof(loaded->key));
	pthread_mutex_unlock(&plans->lock);
	return code;
}

/* Takes the one out that has been idle longest, if there are too many; NULL: there are not. */
static struct loaded *take_idle(struct plans *plans)
{
	struct table_item *item = plans->loaded.oldest, *longest = NULL;
	unsigned int idle = 0;

	for (; item; item = item->next) {
		if (((struct loaded *)item)->files)
			continue;
		if (!longest)
			longest = item;
		idle++;
	}
	if (idle <= (plans->cookies ? MAX_IDLE : 0))
		return NULL;
	table_remove(&plans->loaded, longest);
	return (struct loaded *)longest;
}

/* One file less has the probes of these programs. */
static void give_back(struct plans *plans, struct loaded *loaded)
{
	struct loaded *idle;

	pthread_mutex_lock(&plans->lock);
	loaded->files--;
	idle = take_idle(plans);
	pthread_mutex_unlock(&plans->lock);
	if (idle)
		unload(idle);
}

/* The program for each site, in the order of enum gw_site. */
static void site_programs(struct torch_bpf *torch, struct bpf_program *program[GW_SITE_MAX])
{
	program[GW_SITE_SET_ENABLED] = torch->progs.set_enabled;
	program[GW_SITE_SET_MODE] = torch->progs.set_mode;
	program[GW_SITE_UNSET_MODE] = torch->progs.unset_mode;
	program[GW_SITE_POP_INFRA] = torch->progs.pop_highest_infra_mode;
	program[GW_SITE_PUSH_STACK] = torch->progs.push_onto_stack;
	program[GW_SITE_POP_STACK] = torch->progs.pop_stack;
}

/* Constants, by which the verifier drops what this plan and this kernel do not need. */
static void set_constants(const struct plans *plans, struct torch_bpf *torch,
			  const struct gw_plan *plan, uint32_t file_id)
{
	const struct programs_options *options = programs_options(plans->programs);

	torch->rodata->plan = *plan;
	torch->rodata->has_cookies = plans->cookies;
	torch->rodata->only_file = plans->cookies ? 0 : file_id;
	torch->rodata->watch_all = options->watch_all;
	torch->rodata->policy = options->policy;
	if (options->rate) {
		torch->rodata->throttle_interval = NS_PER_SEC / options->rate;
		torch->rodata->throttle_burst = NS_PER_SEC; /* as many at once */
	}
}

/* With uprobe_multi one program serves all sites but the setter's. */
static void choose_programs(const struct plans *plans, struct torch_bpf *torch,
			    const struct gw_plan *plan)
{
	struct bpf_program *program[GW_SITE_MAX], *each;

	site_programs(torch, program);
	for (int site = 0; site < GW_SITE_MAX; site++)
		bpf_program__set_autoload(program[site],
					  plan->site_address[site] &&
						  (site == GW_SITE_SET_ENABLED || !plans->multi));
	bpf_program__set_autoload(torch->progs.modes,
				  plans->multi && plan->mode_api != GW_MODES_NONE);
	bpf_program__set_autoload(torch->progs.set_grad_enabled,
				  programs_options(plans->programs)->policy.action ==
					  GW_ACTION_RAISE);
	bpf_object__for_each_program(each, torch->obj)
	{
		uprobes_prepare(each, plans->multi);
	}
}

/*
 * Whether libbpf has enough descriptors to load an object. Where it runs out of them it takes
 * features of the kernel for missing, and does not ask for them again.
 */
static bool has_descriptors(void)
{
	int fd[LOADING_DESCRIPTORS], count = 0;

	while (count < LOADING_DESCRIPTORS) {
		fd[count] = eventfd(0, EFD_CLOEXEC);
		if (fd[count] < 0)
			break;
		count++;
	}
	for (int i = 0; i < count; i++)
		close(fd[i]);
	return count == LOADING_DESCRIPTORS;
}

static int load(struct plans *plans, const struct gw_plan *plan, uint32_t file_id,
		struct loaded **out, struct err *err)
{
	const struct bpf_object_open_opts opts = {
		.sz = sizeof(opts),
		.btf_custom_path = kernel_btf_path(),
	};
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	int code;

	if (!loaded)
		return err_set(err, -ENOMEM, "out of memory");
	if (!has_descriptors()) {
		free(loaded);
		return err_set(
			err, -EMFILE,
			"loading the probe programs: too few descriptors are left; raise the "
			"hard limit (ulimit -Hn)");
	}
	loaded->key = (struct loaded_key){*plan, plans->cookies ? 0 : file_id};
	loaded->torch = torch_bpf__open_opts(&opts);
	if (!loaded->torch) {
		code = err_set(err, -errno, "cannot read the BPF programs: %s", strerror(errno));
		free(loaded);
		return code;
	}
	set_constants(plans, loaded->torch, plan, file_id);
	choose_programs(plans, loaded->torch, plan);
	code = programs_share_maps(plans->programs, loaded->torch->obj);
	if (!code)
		code = torch_bpf__load(loaded->torch);
	if (code)
		diagnose_bpf(err, code, "loading the probe programs");
	else if (put_new(plans, loaded))
		code = err_set(err, -ENOMEM, "out of memory");
	if (code) {
		unload(loaded);
		return code;
	}
	*out = loaded;
	return 0;
}

/*
 * Pops first, as nothing comes of them without a session, then pushes, which begin sessions. The
 * setter, which judges, comes between, or before both where they share a link: when a push begins a
 * session, every change and every operator in it is seen.
 */
static const enum gw_site mode_sites[] = {
	GW_SITE_UNSET_MODE, GW_SITE_POP_INFRA,  GW_SITE_POP_STACK,
	GW_SITE_SET_MODE,   GW_SITE_PUSH_STACK,
};

static bool is_push(enum gw_site site)
{
	return site == GW_SITE_SET_MODE || site == GW_SITE_PUSH_STACK;
}

static struct uprobe_place place_of(const struct probes *probes, const struct inspect_plan *plan,
				    enum gw_site site)
{
	return (struct uprobe_place){
		.offset = plan->site[site].file_offset,
		.cookie = probes->plans->cookies
				  ? (uint64_t)site << GW_COOKIE_SITE_SHIFT | probes->file_id
				  : 0,
	};
}

static int place_failed(const char *site, struct err *err)
{
	char what[64];
	int code = -errno;

	snprintf(what, sizeof(what), "placing the probe in %s", site);
	diagnose_bpf(err, code, what);
	return code;
}

static int place_setter(struct probes *probes, const struct inspect_plan *plan, int fd,
			struct err *err)
{
	const struct uprobe_place place = place_of(probes, plan, GW_SITE_SET_ENABLED);

	probes->setter = uprobes_place(probes->loaded->torch->progs.set_enabled, fd, &place, 1);
	return probes->setter ? 0 : place_failed(inspect_site_name(GW_SITE_SET_ENABLED), err);
}

/* One link for all sites, or one for each. */
static int place_modes(struct probes *probes, const struct inspect_plan *plan, int fd,
		       const enum gw_site *site, size_t count, struct err *err)
{
	struct torch_bpf *torch = probes->loaded->torch;
	struct bpf_program *program[GW_SITE_MAX];
	struct uprobe_place place[GW_SITE_MAX];
	size_t step = probes->plans->multi ? count : 1;

	site_programs(torch, program);
	for (size_t i = 0; i < count; i++)
		place[i] = place_of(probes, plan, site[i]);
	for (size_t i = 0; i < count; i += step) {
		struct uprobe *uprobe = uprobes_place(probes->plans->multi ? torch->progs.modes
									   : program[site[i]],
						      fd, &place[i], step);

		if (!uprobe)
			return place_failed(inspect_site_name(site[i]), err);
		probes->modes[probes->modes_count++] = uprobe;
	}
	return 0;
}

static int place_all(struct probes *probes, const struct inspect_plan *plan, int fd,
		     unsigned int *placed, struct err *err)
{
	enum gw_site site[GW_SITE_MAX];
	size_t count = 0, before = 0;
	int code = 0;

	for (size_t i = 0; i < sizeof(mode_sites) / sizeof(mode_sites[0]); i++) {
		if (!plan->abi.site_address[mode_sites[i]])
			continue;
		site[count++] = mode_sites[i];
		before += !probes->plans->multi && !is_push(mode_sites[i]);
	}
	code = place_modes(probes, plan, fd, site, before, err);
	if (!code)
		code = place_setter(probes, plan, fd, err);
	if (!code)
		code = place_modes(probes, plan, fd, site + before, count - before, err);
	*placed = code ? 0 : 1 + (unsigned int)count;
	return code;
}

int probes_open(struct probes **out, struct plans *plans, const struct inspect_plan *plan,
		uint32_t file_id, int fd, unsigned int *placed, struct err *err)
{
	struct probes *probes = calloc(1, sizeof(*probes));
	int code = 0;

	if (!probes)
		return err_set(err, -ENOMEM, "out of memory");
	probes->plans = plans;
	probes->file_id = file_id;
	probes->loaded = take(plans, &plan->abi);
	if (!probes->loaded)
		code = load(plans, &plan->abi, file_id, &probes->loaded, err);
	if (code) {
		free(probes);
		return code;
	}
	code = place_all(probes, plan, fd, placed, err);
	if (code) {
		probes_close(probes);
		return code;
	}
	*out = probes;
	return 0;
}

static void free_probes(struct probes *probes)
{
	give_back(probes->plans, probes->loaded);
	free(probes);
}

/* Takes the uprobes of a file, the setter's last. Returns how many; at most MAX_UPROBES. */
static size_t take_uprobes(struct probes *probes, struct uprobe **uprobes)
{
	size_t count = 0;

	while (probes->bindings)
		uprobes[count++] = probes->binding[--probes->bindings];
	while (probes->modes_count)
		uprobes[count++] = probes->modes[--probes->modes_count];
	uprobes[count++] = probes->setter;
	return count;
}

void probes_close(struct probes *probes)
{
	struct uprobe *uprobes[MAX_UPROBES];
	size_t count;

	if (!probes)
		return;
	count = take_uprobes(probes, uprobes);
	/* A change that the setter's is not there to see would be a drift at the next operator. */
	uprobes_remove(uprobes, count - 1);
	uprobes_remove(&uprobes[count - 1], 1);
	free_probes(probes);
}

void probes_close_all(struct probes *const *probes, size_t count)
{
	struct uprobe **uprobes = calloc(count, MAX_UPROBES * sizeof(struct uprobe *));
	size_t uprobe_count = 0;

	if (!uprobes) {
		for (size_t i = 0; i < count; i++)
			probes_close(probes[i]);
		return;
	}
	for (size_t i = 0; i < count; i++)
		uprobe_count += take_uprobes(probes[i], uprobes + uprobe_count);
	uprobes_remove(uprobes, uprobe_count);
	for (size_t i = 0; i < count; i++)
		free_probes(probes[i]);
	free(uprobes);
}

int probes_bind(struct probes *probes, int fd, uint64_t file_offset, struct err *err)
{
	const struct uprobe_place place = {file_offset,
					   probes->plans->cookies ? probes->file_id : 0};
	struct uprobe *uprobe;
	int code;

	if (probes->bindings == MAX_BINDINGS)
		return err_set(err, -ENOSPC, "more than %d bindings of one libtorch", MAX_BINDINGS);
	uprobe = uprobes_place(probes->loaded->torch->progs.set_grad_enabled, fd, &place, 1);
	if (!uprobe) {
		code = -errno;
		diagnose_bpf(err, code, "placing the probe in the Python binding");
		return code;
	}
	probes->binding[probes->bindings++] = uprobe;
	return 0;
}
