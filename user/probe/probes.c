// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/probes.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
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
	struct torch_bpf *torch; /* NULL: has been given back, where there are no cookies */
	int binding_fd;          /* of the program that lets calls raise; negative: not wanted */
	unsigned int files;      /* that have its probes */
};

struct plans {
	struct programs *programs;
	enum uprobe_way way;
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
	struct probes *next; /* in a queue */
};

/* Programs that write registers have been tried as those of perf events only. */
bool plans_can_use_multi(const struct gw_policy *policy)
{
	return !policy->registers && uprobes_have_multi();
}

/* Whether one program serves all sites but the setter's, with one link. */
static bool is_multi(const struct plans *plans)
{
	return plans->way == UPROBE_MULTI;
}

/* Whether programs get the number of the file that was hit, so that files share them. */
static bool has_cookies(const struct plans *plans)
{
	return plans->way != UPROBE_EVENT;
}

struct plans *plans_new(struct programs *programs)
{
	struct plans *plans = calloc(1, sizeof(*plans));

	if (!plans)
		return NULL;
	plans->programs = programs;
	if (plans_can_use_multi(&programs_options(programs)->policy))
		plans->way = UPROBE_MULTI;
	else
		plans->way = uprobes_have_cookies() ? UPROBE_LINK : UPROBE_EVENT;
	plans->loaded.capacity = GW_MAX_FILES + MAX_IDLE;
	pthread_mutex_init(&plans->lock, NULL);
	return plans;
}

static void unload(struct loaded *loaded)
{
	torch_bpf__destroy(loaded->torch);
	if (loaded->binding_fd >= 0)
		close(loaded->binding_fd);
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
	return is_multi(plans) ? "uprobe_multi" : "perf events";
}

bool plans_use_perf_events(const struct plans *plans)
{
	return !is_multi(plans);
}

/* Without cookies nothing is shared. */
static struct loaded *find(const struct plans *plans, const struct gw_plan *plan)
{
	const struct loaded_key key = {.plan = *plan};

	if (!has_cookies(plans))
		return NULL;
	return (struct loaded *)table_find(&plans->loaded, &key, sizeof(key));
}

bool plans_open_quickly(struct plans *plans, const struct inspect_plan *plan)
{
	bool found;

	if (!is_multi(plans))
		return false;
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
	if (idle <= (has_cookies(plans) ? MAX_IDLE : 0))
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
	torch->rodata->has_cookies = has_cookies(plans);
	torch->rodata->only_file = has_cookies(plans) ? 0 : file_id;
	torch->rodata->watch_all = options->watch_all;
	torch->rodata->policy = options->policy;
	if (options->rate) {
		torch->rodata->throttle_interval = NS_PER_SEC / options->rate;
		torch->rodata->throttle_burst = NS_PER_SEC; /* as many at once */
	}
}

static void choose_programs(const struct plans *plans, struct torch_bpf *torch,
			    const struct gw_plan *plan)
{
	struct bpf_program *program[GW_SITE_MAX], *each;

	site_programs(torch, program);
	for (int site = 0; site < GW_SITE_MAX; site++)
		bpf_program__set_autoload(
			program[site], plan->site_address[site] &&
					       (site == GW_SITE_SET_ENABLED || !is_multi(plans)));
	bpf_program__set_autoload(torch->progs.modes,
				  is_multi(plans) && plan->mode_api != GW_MODES_NONE);
	bpf_program__set_autoload(torch->progs.set_grad_enabled,
				  programs_options(plans->programs)->policy.action ==
					  GW_ACTION_RAISE);
	bpf_object__for_each_program(each, torch->obj)
	{
		uprobes_prepare(each, plans->way);
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

/* What is placed later than all others has a descriptor of its own. */
static int keep_binding(struct loaded *loaded)
{
	int fd = bpf_program__fd(loaded->torch->progs.set_grad_enabled);

	if (fd < 0) /* not wanted */
		return 0;
	loaded->binding_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return loaded->binding_fd < 0 ? -errno : 0;
}

/* The programs of a single file, some 30 descriptors: the uprobes keep those that are placed. */
static void give_back_programs(struct loaded *loaded)
{
	torch_bpf__destroy(loaded->torch);
	loaded->torch = NULL;
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
	loaded->binding_fd = -1;
	loaded->key = (struct loaded_key){*plan, has_cookies(plans) ? 0 : file_id};
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
	malloc_trim(0); /* libbpf has had the kernel's types in memory, some 12 MB */
	if (!code)
		code = keep_binding(loaded);
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
 * Pops first, as nothing comes of them without a trace, then pushes, which begin traces. The
 * setter, which judges, comes between, or before both where they share a link: when a push begins a
 * trace, every change and every operator in it is seen.
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
		.cookie = has_cookies(probes->plans)
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

	probes->setter = uprobes_place(probes->plans->way,
				       bpf_program__fd(probes->loaded->torch->progs.set_enabled),
				       fd, &place, 1);
	return probes->setter ? 0 : place_failed(inspect_site_name(GW_SITE_SET_ENABLED), err);
}

/* One link for all sites, or one for each. */
static int place_modes(struct probes *probes, const struct inspect_plan *plan, int fd,
		       const enum gw_site *site, size_t count, struct err *err)
{
	struct torch_bpf *torch = probes->loaded->torch;
	struct bpf_program *program[GW_SITE_MAX];
	struct uprobe_place place[GW_SITE_MAX];
	size_t step = is_multi(probes->plans) ? count : 1;

	site_programs(torch, program);
	for (size_t i = 0; i < count; i++)
		place[i] = place_of(probes, plan, site[i]);
	for (size_t i = 0; i < count; i += step) {
		const struct bpf_program *placed = is_multi(probes->plans) ? torch->progs.modes
									   : program[site[i]];
		struct uprobe *uprobe = uprobes_place(probes->plans->way, bpf_program__fd(placed),
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
		before += !is_multi(probes->plans) && !is_push(mode_sites[i]);
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

	*out = NULL;
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
	*out = probes;
	code = place_all(probes, plan, fd, placed, err);
	if (!has_cookies(plans))
		give_back_programs(probes->loaded);
	return code;
}

static void free_probes(struct probes *probes)
{
	give_back(probes->plans, probes->loaded);
	free(probes);
}

/*
 * The next uprobe of a file to be removed, NULL: none is left. The setter's is the last: a change
 * that it is not there to see would be a drift at the next operator.
 */
static struct uprobe *take_uprobe(struct probes *probes)
{
	struct uprobe *setter = probes->setter;

	if (probes->bindings)
		return probes->binding[--probes->bindings];
	if (probes->modes_count)
		return probes->modes[--probes->modes_count];
	probes->setter = NULL;
	return setter;
}

bool probes_close_next(struct probes *probes)
{
	struct uprobe *uprobe = take_uprobe(probes);

	if (uprobe)
		uprobes_remove(&uprobe, 1);
	else
		free_probes(probes);
	return uprobe != NULL;
}

void probes_close(struct probes *probes)
{
	while (probes && probes_close_next(probes))
		;
}

void probes_queue_add(struct probes_queue *queue, struct probes *probes)
{
	probes->next = queue->first;
	queue->first = probes;
	queue->count++;
}

struct probes *probes_queue_take(struct probes_queue *queue)
{
	struct probes *probes = queue->first;

	if (probes) {
		queue->first = probes->next;
		queue->count--;
	}
	return probes;
}

void probes_close_all(struct probes_queue *queue)
{
	struct uprobe **uprobes = calloc(queue->count + 1, MAX_UPROBES * sizeof(struct uprobe *));
	size_t count = 0;
	struct probes *probes;

	for (probes = queue->first; uprobes && probes; probes = probes->next)
		while ((uprobes[count] = take_uprobe(probes)))
			count++;
	if (uprobes)
		uprobes_remove(uprobes, count);
	free(uprobes);
	while ((probes = probes_queue_take(queue)))
		probes_close(probes);
}

int probes_bind(struct probes *probes, int fd, uint64_t file_offset, struct err *err)
{
	const struct uprobe_place place = {file_offset,
					   has_cookies(probes->plans) ? probes->file_id : 0};
	struct uprobe *uprobe;
	int code;

	if (probes->bindings == MAX_BINDINGS)
		return err_set(err, -ENOSPC, "more than %d bindings of one libtorch", MAX_BINDINGS);
	uprobe = uprobes_place(probes->plans->way, probes->loaded->binding_fd, fd, &place, 1);
	if (!uprobe) {
		code = -errno;
		diagnose_bpf(err, code, "placing the probe in the Python binding");
		return code;
	}
	probes->binding[probes->bindings++] = uprobe;
	return 0;
}
