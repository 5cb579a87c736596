/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The OCI hook of the createContainer stage: runs in the container's mount namespace before its
 * root becomes /, with the state's JSON on standard input. It must never fail or hold up a
 * container's start, so the work is a child's, which may crash or hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "clock.h"
#include "runtime.h"

#define LIMIT_NS (10 * NS_PER_S)
#define MAX_STATE (1 << 20)
#define MAX_CONFIG (16 << 20)

static int read_input(struct text *t)
{
	ssize_t n;

	do {
		if (!text_reserve(t, 4096))
			return -ENOMEM;
		n = read(STDIN_FILENO, t->data + t->len, 4096);
		if (n > 0)
			t->len += (size_t)n;
	} while ((n > 0 || (n < 0 && errno == EINTR)) && t->len < MAX_STATE);
	return n < 0 ? -errno : n > 0 ? -EFBIG : 0;
}

/* The directory that the bundle's config.json calls the container's root. */
static int open_bundle_root(const char *path)
{
	autoclose int bundle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *root = NULL;
	autotext config = { 0 };
	int r, fd;

	if (bundle < 0)
		return -errno;
	r = read_file_bounded(bundle, "config.json", MAX_CONFIG, 0, &config);
	if (r == 0)
		r = oci_config_root(slice_of(&config), &root);
	if (r != 0)
		return r;
	fd = openat(bundle, root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* crun tells the container's root; what config.json says is every runtime's, but a container of a
 * user namespace may not be able to read it; runc has gone to the root by now. */
static int open_rootfs(const struct oci_state *s)
{
	int fd = -ENOENT;

	if (s->root) {
		fd = open(s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	if (fd < 0 && s->bundle)
		fd = open_bundle_root(s->bundle);
	if (fd < 0) {
		fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	return fd;
}

/* Not a container's root: in a stage before or after, or in no container at all, the binds would
 * be over the machine's own files. */
static bool is_own_root(int fd)
{
	struct statx a, b;
	const unsigned mask = STATX_INO | STATX_MNT_ID;

	return statx(fd, "", AT_EMPTY_PATH, mask, &a) < 0 ||
		statx(AT_FDCWD, "/", 0, mask, &b) < 0 ||
		(a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
			a.stx_dev_minor == b.stx_dev_minor && a.stx_mnt_id == b.stx_mnt_id);
}

static void bind_into(const struct oci_state *s, const char *dir)
{
	autoclose int rootfs = open_rootfs(s);

	if (rootfs < 0) {
		fprintf(stderr,
			"lxcfs: cannot find the container's root: %s: its files stay the "
			"kernel's\n",
			strerror(-rootfs));
		return;
	}
	if (is_own_root(rootfs)) {
		fputs("lxcfs: the container's root is the machine's: call --oci-hook in the "
		      "createContainer stage\n",
			stderr);
		return;
	}
	oci_bind_all(rootfs, dir, s->tree);
	if (s->nested)
		oci_bind_dir(rootfs, dir);
}

static void hook(const char *dir)
{
	struct oci_state s = { 0 };
	autotext input = { 0 };
	int r = read_input(&input);

	if (r == 0)
		r = oci_state_parse(slice_of(&input), &s);
	if (r < 0) {
		fprintf(stderr,
			"lxcfs: no container's state on standard input (%s): --oci-hook is for "
			"runtimes to call\n",
			strerror(-r));
		return;
	}
	if (s.unknown)
		fprintf(stderr,
			"lxcfs: " OCI_VIEW
			" is none of all, quota, cpuset and off: taken as all\n");
	if (s.tree)
		bind_into(&s, dir);
	oci_state_free(&s);
}

/* Passes on what the child says until it has ended or its time is over. False for the latter. */
static bool relay(int from)
{
	const uint64_t end = clock_monotonic_ns() + LIMIT_NS;
	char buffer[4096];

	for (;;) {
		struct pollfd p = { .fd = from, .events = POLLIN };
		uint64_t left = sat_sub(end, clock_monotonic_ns());
		int r = poll(&p, 1, (int)(left / NS_PER_MS));
		ssize_t n;

		if (r == 0 || (r < 0 && errno != EINTR))
			return false;
		if (r < 0)
			continue;
		n = read(from, buffer, sizeof(buffer));
		if (n == 0)
			return true;
		if (n > 0 && write(STDERR_FILENO, buffer, (size_t)n) < 0)
			continue; /* nobody listens */
	}
}

/* The runtime waits until nobody holds its pipes: a child that hangs must not. */
static void run_child(const char *dir, int out)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(nothing >= 0 ? nothing : out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close(out);
	hook(dir);
	_exit(0);
}

int runtime_oci_hook(const struct options *options)
{
	int ends[2], status = 0;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	if (pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		fprintf(stderr, "lxcfs: cannot start: %m: the container sees the machine\n");
		return 0;
	}
	if (child == 0)
		run_child(options->dir, ends[1]);
	close(ends[1]);
	if (!relay(ends[0])) {
		fputs("lxcfs: binding took too long: is the daemon stuck? The container may see "
		      "the machine\n",
			stderr);
		kill(child, SIGKILL);
	} else if (waitpid(child, &status, 0) == child && status != 0)
		fputs("lxcfs: the hook crashed: the container may see the machine\n", stderr);
	return 0;
}
