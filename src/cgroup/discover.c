/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which cgroup hierarchies this machine has and where the daemon sees them: its own mountinfo is
 * the only source, so that v1, v2, both, and mount points anywhere are one case.
 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "log.h"
#include "mounts.h"

/* The kernel's words, in v1's mount options and v2's cgroup.controllers alike. */
static const struct {
	const char *word;
	unsigned bits;
} controller_words[] = {
	{ "cpu", CGROUP_BIT(CGROUP_CPU) },
	{ "cpuacct", CGROUP_BIT(CGROUP_CPUACCT) },
	{ "cpuset", CGROUP_BIT(CGROUP_CPUSET) },
	{ "memory", CGROUP_BIT(CGROUP_MEMORY) },
	{ "blkio", CGROUP_BIT(CGROUP_IO) },
	{ "io", CGROUP_BIT(CGROUP_IO) },
	{ "hugetlb", CGROUP_BIT(CGROUP_HUGETLB) },
	{ "pids", CGROUP_BIT(CGROUP_PIDS) },
};

/* What stands among a v1 super block's options and is no controller; a word with '=' is none
 * either, but for name=. The kernel's controllers grow (dmem in 6.14), these do not. */
static const char *const option_words[] = { "rw", "ro", "sync", "dirsync", "mand", "lazytime",
	"seclabel", "noprefix", "xattr", "cpuset_v2_mode", "clone_children", "favordynmods" };

static unsigned controller_bits(struct slice word)
{
	for (size_t i = 0; i < countof(controller_words); i++)
		if (slice_equal(word, controller_words[i].word))
			return controller_words[i].bits;
	return 0;
}

static bool is_hierarchy_word(struct slice word)
{
	if (slice_starts(word, "name="))
		return true;
	if (word.n == 0 || memchr(word.p, '=', word.n))
		return false;
	for (size_t i = 0; i < countof(option_words); i++)
		if (slice_equal(word, option_words[i]))
			return false;
	return true;
}

/* "rw,xattr,cpu,cpuacct" is the hierarchy "cpu,cpuacct" of /proc/<pid>/cgroup. */
static int name_v1(struct slice options, struct cgroup_hierarchy *h)
{
	autotext name = { 0 };
	struct slice word;

	while (slice_cut(&options, ',', &word)) {
		if (!is_hierarchy_word(word))
			continue;
		if (name.len)
			text_puts(&name, ",");
		text_add(&name, word.p, word.n);
		h->controllers |= controller_bits(word);
	}
	text_add(&name, "", 1);
	if (text_error(&name) < 0)
		return -ENOMEM;
	h->name = steal_ptr(&name.data);
	return 0;
}

static int name_v2(struct cgroup_hierarchy *h)
{
	autotext t = { 0 };
	struct slice rest, line, word;
	int r;

	h->name = strdup("");
	if (!h->name)
		return -ENOMEM;
	/* Usage lines of cpu.stat exist without any controller. */
	h->controllers = CGROUP_BIT(CGROUP_CPUACCT);
	r = read_file_at(h->dirfd, "cgroup.controllers", &t);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	rest = slice_of(&t);
	if (slice_line(&rest, &line))
		while (slice_word(&line, &word))
			h->controllers |= controller_bits(word);
	return 0;
}

/* Each worker finds the same ones. A hierarchy is a cause of its own, that none hides another,
 * unless so many were mounted between the two. */
static void tell_no_mount(const char *point, dev_t dev, int error)
{
	static const char causes[CGROUP_HIERARCHIES];

	log_limited(&causes[minor(dev) % countof(causes)],
		"cannot open the cgroup mount %s: %s; looking for another mount of it", point,
		strerror(error));
}

/* Opens the mount point and fills in dirfd and mount_root. */
static int open_mount(const struct root *root, const struct mount *m, struct cgroup_hierarchy *h)
{
	autofree char *point = malloc(m->point.n + 1);
	autofree char *seen = malloc(m->root.n + 1);
	int fd;

	if (!point || !seen)
		return -ENOMEM;
	if (!parse_unescape(m->point, point, m->point.n + 1) ||
		!parse_unescape(m->root, seen, m->root.n + 1))
		return -EINVAL;
	fd = openat(root->top, point[1] ? point + 1 : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;

		tell_no_mount(point, h->dev, -r);
		return r;
	}
	if (h->dirfd >= 0)
		close(h->dirfd);
	free(h->mount_root);
	h->dirfd = fd;
	h->mount_root = steal_ptr(&seen);
	return 0;
}

/* Whether `root` shows more of a hierarchy than `than`. What starts with "/.." was mounted from
 * outside the daemon's cgroup namespace, where paths cannot be told apart. */
static bool is_wider(struct slice root, struct slice than)
{
	bool outside = slice_starts(root, "/.."), than_outside = slice_starts(than, "/..");

	return outside != than_outside ? than_outside : root.n < than.n;
}

static void close_hierarchy(struct cgroup_hierarchy *h)
{
	if (h->dirfd >= 0)
		close(h->dirfd);
	free(h->name);
	free(h->mount_root);
}

static int add_hierarchy(const struct root *root, const struct mount *m, struct cgroup_layout *l)
{
	struct cgroup_hierarchy h = {
		.unified = slice_equal(m->type, "cgroup2"),
		.dirfd = -1,
		.dev = makedev((unsigned)m->major, (unsigned)m->minor),
	};
	int r = open_mount(root, m, &h);

	/* Not gone on without: a daemon that ends is started again. */
	if (r < 0)
		return is_shortage(r) ? r : 0;
	r = h.unified ? name_v2(&h) : name_v1(m->options, &h);
	if (r < 0 || l->n == CGROUP_HIERARCHIES) {
		if (r == 0)
			log_limited("cgroup hierarchies",
				"more than %d cgroup hierarchies are mounted; %s is ignored: "
				"unmount those that nobody uses",
				CGROUP_HIERARCHIES, h.name);
		close_hierarchy(&h);
		return r;
	}
	l->hierarchy[l->n++] = h;
	return 0;
}

static int add_mount(const struct root *root, const struct mount *m, struct cgroup_layout *l)
{
	dev_t dev = makedev((unsigned)m->major, (unsigned)m->minor);

	for (size_t i = 0; i < l->n; i++) {
		struct cgroup_hierarchy *h = &l->hierarchy[i];
		int r;

		if (h->dev != dev)
			continue;
		r = is_wider(m->root, slice_str(h->mount_root)) ? open_mount(root, m, h) : 0;
		return is_shortage(r) ? r : 0;
	}
	return add_hierarchy(root, m, l);
}

/* v1 takes a controller away from v2, so where both claim one, v1 is right. */
static void settle_controllers(struct cgroup_layout *l)
{
	for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
		l->serves[c] = -1;
		for (size_t i = 0; i < l->n; i++)
			if ((l->hierarchy[i].controllers & CGROUP_BIT(c)) &&
				(l->serves[c] < 0 || !l->hierarchy[i].unified))
				l->serves[c] = (int)i;
		if (l->serves[c] >= 0)
			l->available |= CGROUP_BIT(c);
	}
}

bool cgroup_serves(const struct cgroup_layout *l, size_t hierarchy)
{
	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		if (l->serves[i] == (int)hierarchy)
			return true;
	return false;
}

/* Limits come from those that serve. */
static void tell_narrow_mounts(const struct cgroup_layout *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct cgroup_hierarchy *h = &l->hierarchy[i];
		const char *name = h->unified ? "cgroup2" : h->name;

		if (!cgroup_serves(l, i))
			continue;
		if (cgroup_path_goes_up(h->mount_root))
			log_limited("cgroup namespace",
				"the cgroup mount of \"%s\" comes from outside this cgroup "
				"namespace, so no container can be found in it: run lxcfs in the "
				"host's cgroup namespace (docker: --cgroupns=host)",
				name);
		else if (strcmp(h->mount_root, "/") != 0)
			log_limited("narrow cgroup mount",
				"of the cgroups of \"%s\" those in %s alone are mounted here: "
				"containers in them are served, and whoever is in another cgroup "
				"gets errors: to serve these, too, run lxcfs with the host's "
				"/sys/fs/cgroup (docker: -v /sys/fs/cgroup:/sys/fs/cgroup)",
				name, h->mount_root);
	}
}

int cgroup_layout_new(const struct root *root, struct cgroup_layout **ret)
{
	autotext text = { 0 };
	struct mounts mounts;
	struct cgroup_layout *l;
	int r = read_file_at(root->proc, "self/mountinfo", &text);

	if (r < 0)
		return r;
	r = mounts_parse(slice_of(&text), NULL, &mounts);
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		r = -ENOMEM;
	for (size_t i = 0; i < mounts.n && r == 0; i++) {
		const struct mount *m = &mounts.list[i];

		if (m->visible &&
			(slice_equal(m->type, "cgroup") || slice_equal(m->type, "cgroup2")))
			r = add_mount(root, m, l);
	}
	mounts_free(&mounts);
	if (r < 0) {
		cgroup_layout_free(l);
		return r;
	}
	l->unified = -1;
	for (size_t i = 0; i < l->n; i++)
		if (l->hierarchy[i].unified)
			l->unified = (int)i;
	settle_controllers(l);
	tell_narrow_mounts(l);
	*ret = l;
	return 0;
}

void cgroup_layout_free(struct cgroup_layout *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		close_hierarchy(&l->hierarchy[i]);
	free(l);
}
