// SPDX-License-Identifier: GPL-2.0-or-later
/* The paths are those of real runtimes; where each form is from: target/cgroup.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/cgroup.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD   "5cd0b1f2-0a4e-4c53-9d6f-2f1f7f7c3b11"
#define POD_  "5cd0b1f2_0a4e_4c53_9d6f_2f1f7f7c3b11"

static struct cgroup take(const char *lines)
{
	struct cgroup cgroup = {0};
	char copy[65536], *rest = copy;
	const char *line;

	snprintf(copy, sizeof(copy), "%s", lines);
	while ((line = strsep(&rest, "\n")))
		cgroup_take_line(&cgroup, line);
	return cgroup;
}

static void check(const char *lines, const char *path, const char *container, const char *runtime,
		  const char *pod, const char *unit)
{
	struct cgroup cgroup = take(lines);

	assert_string_equal(cgroup.path, path);
	assert_string_equal(cgroup.container, container);
	assert_string_equal(cgroup.runtime, runtime);
	assert_string_equal(cgroup.pod, pod);
	assert_string_equal(cgroup.unit, unit);
}

/* A path of cgroup v2. */
#define CHECK(path, container, runtime, pod, unit)                                                 \
	check("0::" path "\n", path, container, runtime, pod, unit)

/* As they are seen from another container's cgroup namespace. */
static void test_from_a_container(void **state)
{
	(void)state;
	CHECK("/../../kubepods-besteffort-pod" POD_ ".slice/cri-containerd-" ID ".scope", ID,
	      "containerd", POD, "cri-containerd-" ID ".scope");
	CHECK("/../../pod" POD "/" ID, ID, "", POD, "");
	CHECK("/../../../burstable/pod" POD "/" ID, ID, "", POD, "");
	CHECK("/../" ID, ID, "", "", "");
}

static void test_runtimes(void **state)
{
	(void)state;
	CHECK("/docker/" ID, ID, "docker", "", "");
	CHECK("/system.slice/docker-" ID ".scope", ID, "docker", "", "docker-" ID ".scope");
	CHECK("/libpod_parent/libpod-" ID, ID, "podman", "", "");
	CHECK("/machine.slice/libpod-" ID ".scope/container", ID, "podman", "",
	      "libpod-" ID ".scope");
	CHECK("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", ID,
	      "podman", "", "libpod-" ID ".scope");
	CHECK("/machine.slice/machine-node\\x2d1.scope", "node\\x2d1", "systemd-nspawn", "",
	      "machine-node\\x2d1.scope");
	CHECK("/machine.slice/systemd-nspawn@web.service/payload/system.slice/a.service", "web",
	      "systemd-nspawn", "", "a.service");
	CHECK("/lxc.payload.web/user.slice", "web", "lxc", "", "");
}

static void test_kubernetes(void **state)
{
	(void)state;
	CHECK("/kubepods/burstable/pod" POD "/" ID, ID, "", POD, "");
	CHECK("/kubepods/pod" POD "/crio-" ID, ID, "cri-o", POD, "");
	CHECK("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
	      ".slice/cri-containerd-" ID ".scope",
	      ID, "containerd", POD, "cri-containerd-" ID ".scope");
	CHECK("/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope", ID, "cri-o", POD,
	      "crio-" ID ".scope");
	CHECK("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_
	      ".slice/docker-" ID ".scope",
	      ID, "docker", POD, "docker-" ID ".scope");
	/* A static pod's uid is a hash without hyphens. */
	CHECK("/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" ID, ID, "",
	      "0123456789abcdef0123456789abcdef", "");
	/* A systemd path that was given to the cgroupfs driver. */
	CHECK("/system.slice/containerd.service/kubepods-burstable-pod" POD_
	      ".slice:cri-containerd:" ID,
	      ID, "containerd", POD, "containerd.service");
}

static void test_nested(void **state)
{
	(void)state;
	/* Kubernetes in Docker: the inner one. */
	CHECK("/docker/" OTHER "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_
	      ".slice/cri-containerd-" ID ".scope",
	      ID, "containerd", POD, "cri-containerd-" ID ".scope");
	CHECK("/docker/" OTHER "/kubepods/pod" POD "/" ID, ID, "", POD, "");
	CHECK("/docker/" OTHER "/docker/" ID, ID, "docker", "", "");
}

static void test_no_container(void **state)
{
	(void)state;
	CHECK("/", "", "", "", "");
	CHECK("/system.slice/train.service", "", "", "", "train.service");
	CHECK("/user.slice/user-0.slice/session-3.scope", "", "", "", "session-3.scope");
	/* The process that serves a container is not in it. */
	CHECK("/libpod_parent/libpod-conmon-" ID, "", "", "", "");
	CHECK("/system.slice/crio-conmon-" ID ".scope", "", "", "", "crio-conmon-" ID ".scope");
	/* Not an ID: 63 or 65 digits, other letters. */
	CHECK("/docker/0123456789abcdef", "", "", "", "");
	CHECK("/docker/" ID "0", "", "", "", "");
	CHECK("/jobs/g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "", "", "",
	      "");
	CHECK("/podcasts/podium/pod/podx", "", "", "", "");
}

static void test_hybrid(void **state)
{
	(void)state;
	check("12:cpu,cpuacct:/docker/" ID "\n"
	      "4:memory:/process_api/" OTHER "/kubepods/pod" POD "\n"
	      "1:name=systemd:/docker/" ID "\n"
	      "0::/system.slice/containerd.service\n",
	      "/docker/" ID, ID, "docker", "", "");
	check("9:name=systemd:/user.slice\n4:memory:/jobs\n0::/\n", "/user.slice", "", "", "", "");
	check("4:memory:/jobs\n0::/\n", "/jobs", "", "", "", "");
	check("4:memory:/\n0::/\n", "/", "", "", "", "");
	check("4:memory:/jobs\n0::/a.slice\n", "/a.slice", "", "", "", "");
	check("0::/docker/" ID " (deleted)\n", "/docker/" ID, ID, "docker", "", "");
	/* Seen from a cgroup namespace beside it. */
	check("0::/../docker/" ID "\n", "/../docker/" ID, ID, "docker", "", "");
}

static void test_bad_lines(void **state)
{
	static const char *const lines[] = {
		"", "\n", ":", "::", "0::", "0::relative", "0:x", "::::::", "0::\n", "\xff\xfe"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct cgroup cgroup = {0};

		cgroup_take_line(&cgroup, lines[i]);
		assert_string_equal(cgroup.path, "");
	}
	CHECK("/a:b::c", "", "", "", "");
	CHECK("//", "", "", "", "");
	CHECK("/a//docker/" ID "/", ID, "docker", "", "");
}

static void test_long(void **state)
{
	char line[8192];
	struct cgroup cgroup = {0};
	size_t length;

	(void)state;
	/* The innermost container counts, though the path is cut before it. */
	length = (size_t)snprintf(line, sizeof(line), "0::/docker/" OTHER "/");
	memset(line + length, 'x', 4000);
	snprintf(line + length + 4000, sizeof(line) - length - 4000, "/docker/" ID);
	cgroup_take_line(&cgroup, line);
	assert_int_equal(strlen(cgroup.path), CGROUP_PATH_MAX - 1);
	assert_string_equal(cgroup.container, ID);
	/* A name that does not fit is none. */
	memset(&cgroup, 0, sizeof(cgroup));
	length = (size_t)snprintf(line, sizeof(line), "0::/");
	memset(line + length, 'u', 200);
	snprintf(line + length + 200, sizeof(line) - length - 200, ".service");
	cgroup_take_line(&cgroup, line);
	assert_string_equal(cgroup.unit, "");
}

static void test_this_process(void **state)
{
	struct cgroup cgroup;

	(void)state;
	assert_int_equal(cgroup_read(getpid(), &cgroup), 0);
	assert_int_equal(cgroup.path[0], '/');
	assert_true(cgroup_read(-1, &cgroup) < 0);
	assert_string_equal(cgroup.path, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runtimes),     cmocka_unit_test(test_from_a_container),
		cmocka_unit_test(test_kubernetes),   cmocka_unit_test(test_nested),
		cmocka_unit_test(test_no_container), cmocka_unit_test(test_hybrid),
		cmocka_unit_test(test_bad_lines),    cmocka_unit_test(test_long),
		cmocka_unit_test(test_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
