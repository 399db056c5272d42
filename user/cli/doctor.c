// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/coverage.h"
#include "inspect/plan.h"
#include "target/interpreters.h"
#include "target/roles.h"
#include "probe/diagnose.h"
#include "probe/probes.h"
#include "target/procfs.h"
#include "probe/kernel_btf.h"
#include "watch/rights.h"
#include "watch/selftest.h"
#include "target/torch_version.h"

enum outcome { OUTCOME_OK, OUTCOME_FAILED };

/* One line of the table; a check fills text and says how it went. */
struct check {
	const char *name;
	enum outcome (*run)(struct err *text);
};

static enum outcome check_kernel(struct err *text)
{
	struct utsname system;

	uname(&system);
	err_set(text, 0, "%s %s", system.release, system.machine);
	if (strcmp(system.machine, inspect_machine_name(inspect_own_machine()))) {
		err_set(text, 0, "%s: this gradwatch is for %s", system.machine,
			inspect_machine_name(inspect_own_machine()));
		return OUTCOME_FAILED;
	}
	return OUTCOME_OK;
}

static enum outcome check_capabilities(struct err *text)
{
	const struct gw_policy policy = {0};
	const struct rights_needs needs = {.perf_uprobes = !plans_can_use_multi(&policy)};
	char missing[128], kept[160];

	if (!diagnose_capabilities(missing, sizeof(missing))) {
		rights_names(&needs, kept, sizeof(kept));
		err_set(text, 0, "all that is needed; while it reports it has %s only", kept);
		return OUTCOME_OK;
	}
	err_set(text, 0, "missing %s; run as root (sudo gradwatch ...)", missing);
	return OUTCOME_FAILED;
}

static enum outcome check_pid_namespace(struct err *text)
{
	if (diagnose_initial_pid_namespace()) {
		err_set(text, 0, "the host's");
		return OUTCOME_OK;
	}
	err_set(text, 0, "a container's: use the host's pid namespace (--pid=host)");
	return OUTCOME_FAILED;
}

static enum outcome check_btf(struct err *text)
{
	if (kernel_btf_path()) {
		err_set(text, 0, "%s (--btf)", kernel_btf_path());
		return OUTCOME_OK;
	}
	if (kernel_btf_found()) {
		err_set(text, 0, KERNEL_BTF_OWN);
		return OUTCOME_OK;
	}
	err_set(text, 0,
		"none; use a kernel built with CONFIG_DEBUG_INFO_BTF, or give its types by --btf "
		"FILE");
	return OUTCOME_FAILED;
}

static enum outcome check_lockdown(struct err *text)
{
	char mode[32];

	diagnose_lockdown(mode, sizeof(mode));
	if (!strcmp(mode, "confidentiality")) {
		err_set(text, 0,
			"confidentiality: BPF may not read memory; boot with "
			"lockdown=integrity");
		return OUTCOME_FAILED;
	}
	err_set(text, 0, "%s", strcmp(mode, "unknown") ? mode : "not shown by this kernel");
	return OUTCOME_OK;
}

static enum outcome tried(int code, struct err *text, const char *success)
{
	if (code)
		return OUTCOME_FAILED;
	err_set(text, 0, "%s", success);
	return OUTCOME_OK;
}

static enum outcome check_ring(struct err *text)
{
	return tried(selftest_ring(text), text, "made one");
}

static enum outcome check_programs(struct err *text)
{
	return tried(selftest_programs(text), text, "loaded, fork, exec and exit are seen");
}

static enum outcome check_uprobe(struct err *text)
{
	const char *way = "";
	uint64_t ns;

	/* Asked first, as watching does: without it libbpf would try another way, tracefs. */
	if (!diagnose_uprobes()) {
		err_set(text, 0, NO_UPROBES);
		return OUTCOME_FAILED;
	}
	if (selftest_uprobe(&ns, &way, text))
		return OUTCOME_FAILED;
	err_set(text, 0, "by %s, every call seen, %" PRIu64 " ns per hit", way, ns);
	return OUTCOME_OK;
}

/* No failure: there are two ways. */
static enum outcome check_raising(struct err *text)
{
	if (inspect_own_machine() != EM_X86_64)
		err_set(text, 0, "not on this processor: what --fallback says is done instead");
	else if (selftest_registers(text))
		err_set(text, 0, "by ptrace: this kernel's uprobes cannot write registers");
	else
		err_set(text, 0, "by BPF, which writes registers");
	return OUTCOME_OK;
}

static enum outcome check_newer(struct err *text)
{
	char parts[200];

	selftest_newer(parts, sizeof(parts));
	err_set(text, 0,
		"%s; uprobe_multi (two descriptors a file) and cookies (programs shared by "
		"files) are used, the others are not",
		parts);
	return OUTCOME_OK;
}

static enum outcome check_mappings(struct err *text)
{
	return tried(selftest_mappings(text), text, "a new mapping was reported");
}

static int doctor_machine(void)
{
	static const struct check checks[] = {
		{"kernel", check_kernel},
		{"capabilities", check_capabilities},
		{"pid namespace", check_pid_namespace},
		{"BTF", check_btf},
		{"lockdown", check_lockdown},
		{"ring buffer", check_ring},
		{"BPF programs", check_programs},
		{"uprobe", check_uprobe},
		{"new mappings", check_mappings},
		{"raising", check_raising},
		{"newer parts", check_newer},
	};
	static const char *const word[] = {"ok", "FAILED"};
	int status = EXIT_OK;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct err text;
		enum outcome outcome = checks[i].run(&text);

		printf("%-13s %-7s %s\n", checks[i].name, word[outcome], text.text);
		if (outcome == OUTCOME_FAILED)
			status = EXIT_BAD_USE;
	}
	return status;
}

static void print_offset(const char *name, uint32_t offset)
{
	if (offset == GW_NO_OFFSET)
		printf("  %-28s -\n", name);
	else
		printf("  %-28s block + 0x%x\n", name, offset);
}

static void print_sites(const struct inspect_plan *plan)
{
	for (int i = 0; i < GW_SITE_MAX; i++) {
		const struct inspect_site *site = &plan->site[i];

		if (!site->symbol[0])
			continue;
		printf("  %-24s function 0x%" PRIx64 "  probe +%" PRIu64 "  file offset 0x%" PRIx64
		       "  %-18s %s\n",
		       inspect_site_name(i), site->function, site->address - site->function,
		       site->file_offset, site->insn,
		       site->kind == INSPECT_INSN_EMULATED
			       ? "emulated by the kernel"
			       : "single-stepped: about ten times the cost");
	}
}

/* What cannot be seen, whatever the build; the measured table is in the README. */
static void print_limits(const struct inspect_plan *plan)
{
	if (plan->abi.mode_api == GW_MODES_NONE)
		printf("not seen: traces; this build has no dispatch-mode functions that are "
		       "known\n");
	else if (plan->abi.mode_api == GW_MODES_STACK)
		printf("modes: known by their Python class (this build has no mode keys)\n");
	else
		printf("modes: the PROXY slot of the keyed dispatch modes\n");
	if (plan->abi.tls_included == GW_NO_OFFSET)
		printf("not seen: pre-dispatch traces; this build has no PreDispatch key that is "
		       "found\n");
	printf("seen at the next operator only: inference_mode and C++ state guards (they do not "
	       "call the setter)\n");
}

static void print_plan(const char *path, const char *version, const struct inspect_plan *plan)
{
	char shown[4096];

	str_escape(shown, sizeof(shown), path, strlen(path));
	printf("%s\n", shown);
	str_escape(shown, sizeof(shown), version, strlen(version));
	printf("torch %s for %s, build id %s\n", version[0] ? shown : "of unknown version",
	       inspect_machine_name(plan->machine), plan->build_id[0] ? plan->build_id : "none");
	printf("probes:\n");
	print_sites(plan);
	printf("thread-local state:\n");
	print_offset("grad mode", plan->abi.tls_grad);
	print_offset("  initialised when", plan->abi.tls_grad_guard);
	if (plan->abi.mode_api == GW_MODES_KEYED) {
		print_offset("PROXY slot engaged", plan->abi.tls_proxy_flag);
		print_offset("PROXY slot", plan->abi.tls_proxy_slot);
	} else {
		print_offset("stack of modes", plan->abi.tls_stack);
	}
	print_offset("  initialised when", plan->abi.tls_mode_guard);
	if (plan->abi.tls_included != GW_NO_OFFSET) {
		print_offset("included dispatch keys", plan->abi.tls_included);
		printf("  %-26s bit %u\n", "  of PreDispatch", plan->abi.pre_dispatch_bit);
	}
	if (plan->abi.certain)
		printf("verdicts: certain, from the thread's own state\n");
	else
		printf("verdicts: certain: false; %s\n", plan->doubt);
	print_limits(plan);
	coverage_print(stdout, version);
}

/* Of PyTorch's libraries only one has the setter: "" where there is none beside this file. */
static void sibling_hint(const char *path, char *hint, size_t size)
{
	const char *slash = strrchr(path, '/');
	int length = slash ? (int)(slash - path + 1) : 0;
	char sibling[4096];

	hint[0] = '\0';
	if (strcmp(path + length, "libc10.so") &&
	    !str_format(sibling, sizeof(sibling), "%.*slibc10.so", length, path) &&
	    !access(sibling, R_OK))
		str_format(hint, size, "; the setter is in %s", sibling);
}

static int doctor_fd(int fd, const char *path, const char *version)
{
	struct inspect_plan plan;
	char reason[512], hint[4200];
	int code = inspect_plan_fd(fd, &plan, reason, sizeof(reason));

	if (code) {
		sibling_hint(path, hint, sizeof(hint));
		log_error("%s: %s%s", path, reason, hint);
		return EXIT_BAD_USE;
	}
	print_plan(path, version, &plan);
	return EXIT_OK;
}

static int doctor_file(const char *path)
{
	char version[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int status;

	if (fd < 0) {
		log_error("%s: %s", path, strerror(errno));
		return EXIT_BAD_USE;
	}
	torch_version(getpid(), path, version, sizeof(version));
	status = doctor_fd(fd, path, version);
	close(fd);
	return status;
}

struct found {
	pid_t pid;
	unsigned int libraries;
	int status;
};

static int visit_mapping(void *context, const struct procfs_mapping *mapping)
{
	struct found *found = context;
	struct inspect_plan plan;
	char reason[512], version[64];
	int fd = procfs_open_mapping(found->pid, mapping);
	int code;

	if (fd < 0) {
		log_error("%s: %s", mapping->path, strerror(-fd));
		found->status = EXIT_BAD_USE;
		return 0;
	}
	code = inspect_plan_fd(fd, &plan, reason, sizeof(reason));
	close(fd);
	if (code == -ENOENT) /* another library of PyTorch */
		return 0;
	found->libraries++;
	if (code) {
		log_error("%s: %s", mapping->path, reason);
		found->status = EXIT_BAD_USE;
		return 0;
	}
	torch_version(found->pid, mapping->path, version, sizeof(version));
	print_plan(mapping->path, version, &plan);
	return 0;
}

static void print_python(const struct interpreter_found *python)
{
	unsigned int version = python->interpreter.python.version;
	char path[4096];

	str_escape(path, sizeof(path), python->path, strlen(python->path));
	if (python->reason[0])
		printf("python: %s: no stacks: %s\n", path, python->reason);
	else
		printf("python: %s: CPython %u.%u, whose stacks are known\n", path, version >> 8,
		       version & 0xff);
}

static void doctor_python(pid_t pid)
{
	struct mapped *mapped = calloc(1, sizeof(*mapped));
	struct inspections *inspections = inspections_new();
	struct files *files = files_new(NULL);
	struct interpreter_found python;

	if (files)
		roles_register(files);
	if (files && inspections && mapped && mapped_read(pid, mapped) >= 0 &&
	    !interpreters_find(files, inspections, pid, NULL, mapped, &python))
		print_python(&python);
	else
		printf("python: none found in the process, so no stacks\n");
	files_free(files);
	inspections_free(inspections);
	free(mapped);
}

static void report_refused(pid_t pid)
{
	char missing[128];

	if (diagnose_capabilities(missing, sizeof(missing)) && strstr(missing, "CAP_SYS_PTRACE"))
		log_error("cannot look into process %d: missing capability CAP_SYS_PTRACE; run as "
			  "root (sudo gradwatch ...)",
			  pid);
	else
		log_error("cannot look into process %d: the kernel refuses it in spite of "
			  "CAP_SYS_PTRACE (a security module, or a process of another user "
			  "namespace)",
			  pid);
}

static int doctor_pid(pid_t pid)
{
	struct found found = {.pid = pid};
	int code = procfs_candidates(pid, visit_mapping, &found);

	if (code == -ESRCH)
		log_error("no process %d: it does not exist or has ended", pid);
	else if (code == -EACCES || code == -EPERM)
		report_refused(pid);
	else if (code < 0)
		log_error("cannot read the mappings of process %d: %s", pid, strerror(-code));
	else if (!found.libraries)
		log_error("process %d has no libtorch mapped; import torch in it first", pid);
	else
		doctor_python(pid);
	return code || !found.libraries ? EXIT_BAD_USE : found.status;
}

int command_doctor(const struct options *options)
{
	if (options->file)
		return doctor_file(options->file);
	if (options->pid_count)
		return doctor_pid((pid_t)options->pids[0]);
	return doctor_machine();
}
