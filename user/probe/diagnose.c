// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/diagnose.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/str.h"
#include "probe/kernel_btf.h"
#include "probe/uprobes.h"

/*
 * What is needed in any case. CAP_SYS_ADMIN stands in for the first two. It is itself needed for
 * perf uprobes since CVE-2025-38466 was mended (6.16, and stable kernels from mid-2025), but not
 * for uprobe_multi.
 */
static const struct {
	int capability;
	const char *name;
	bool covered_by_admin;
} needed[] = {
	{CAP_BPF, "CAP_BPF", true},
	{CAP_PERFMON, "CAP_PERFMON", true},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false},
};

static uint64_t effective_capabilities(void)
{
	char line[256];
	unsigned long long mask = 0;
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return 0;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %llx", &mask) == 1)
			break;
	fclose(status);
	return mask;
}

static bool has(uint64_t mask, int capability)
{
	return mask >> capability & 1;
}

bool diagnose_capabilities(char *missing, size_t size)
{
	uint64_t mask = effective_capabilities();
	size_t used = 0;

	missing[0] = '\0';
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (has(mask, needed[i].capability) ||
		    (needed[i].covered_by_admin && has(mask, CAP_SYS_ADMIN)))
			continue;
		if (used < size)
			used += (size_t)snprintf(missing + used, size - used, "%s%s",
						 used ? ", " : "", needed[i].name);
	}
	if (!used && !has(mask, CAP_SYS_ADMIN) && !uprobes_have_multi())
		used = (size_t)snprintf(missing, size, "CAP_SYS_ADMIN");
	return used > 0;
}

bool diagnose_can_signal(void)
{
	return has(effective_capabilities(), CAP_KILL);
}

void diagnose_lockdown(char *mode, size_t size)
{
	char line[128] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char *start, *end;

	str_format(mode, size, "unknown");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file) && (start = strchr(line, '[')) &&
	    (end = strchr(start, ']'))) {
		*end = '\0';
		str_format(mode, size, "%s", start + 1);
	}
	fclose(file);
}

bool diagnose_initial_pid_namespace(void)
{
	char target[64];
	ssize_t length = readlink("/proc/self/ns/pid", target, sizeof(target) - 1);

	if (length < 0)
		return true; /* not shown: namespaces are compiled out, or /proc is odd */
	target[length] = '\0';
	return !strcmp(target, "pid:[4026531836]");
}

bool diagnose_initial_time_namespace(void)
{
	char target[64];
	ssize_t length = readlink("/proc/self/ns/time", target, sizeof(target) - 1);

	if (length < 0)
		return true; /* not shown: the kernel has none */
	target[length] = '\0';
	return !strcmp(target, "time:[4026531834]");
}

bool diagnose_uprobes(void)
{
	return access("/sys/bus/event_source/devices/uprobe/type", R_OK) == 0;
}

/* Fills in the release of a kernel that is older than any that works; false: it is not. */
static bool is_old_kernel(char *release, size_t size)
{
	struct utsname system;
	unsigned int major, minor;

	if (uname(&system) || sscanf(system.release, "%u.%u", &major, &minor) != 2)
		return false;
	str_format(release, size, "%s", system.release);
	return major < 5 || (major == 5 && minor < 10);
}

int diagnose_perf_event_paranoid(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

void diagnose_bpf(struct err *err, int code, const char *what)
{
	char missing[128], lockdown[32], release[65];
	int paranoid = diagnose_perf_event_paranoid();

	if (diagnose_capabilities(missing, sizeof(missing)) &&
	    (code == -EPERM || code == -EACCES)) {
		err_set(err, code, "%s: missing capability %s; run as root (sudo gradwatch ...)",
			what, missing);
		return;
	}
	if (code == -EACCES && paranoid > 2 && !has(effective_capabilities(), CAP_SYS_ADMIN)) {
		err_set(err, code,
			"%s: missing capability CAP_SYS_ADMIN, which this kernel asks for while "
			"kernel.perf_event_paranoid is %d; set it to 2 (sysctl -w "
			"kernel.perf_event_paranoid=2), or run as root (sudo gradwatch ...)",
			what, paranoid);
		return;
	}
	diagnose_lockdown(lockdown, sizeof(lockdown));
	/* Whatever the code: the helper that reads memory is then "unknown", which is EINVAL. */
	if (!strcmp(lockdown, "confidentiality")) {
		err_set(err, code,
			"%s: the kernel is locked down (confidentiality), which forbids BPF to "
			"read "
			"memory; boot with lockdown=integrity",
			what);
		return;
	}
	if (is_old_kernel(release, sizeof(release))) {
		err_set(err, code,
			"%s: kernel %s is older than 5.10, which is the oldest that works", what,
			release);
		return;
	}
	if (code == -ENOSYS) {
		err_set(err, code,
			"%s: this kernel has no bpf(2), or it is filtered (seccomp); use a kernel "
			"built with CONFIG_BPF_SYSCALL",
			what);
		return;
	}
	if (!kernel_btf_found()) {
		err_set(err, code,
			"%s: this kernel has no BTF (/sys/kernel/btf/vmlinux); use a kernel built "
			"with CONFIG_DEBUG_INFO_BTF, or give its types by --btf FILE",
			what);
		return;
	}
	if (!diagnose_uprobes()) {
		err_set(err, code, "%s: " NO_UPROBES, what);
		return;
	}
	err_set(err, code, "%s: %s; `gradwatch doctor` tries each part and says which one fails",
		what, strerror(-code));
}
