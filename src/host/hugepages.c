/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's pools of huge pages, one for each size that this machine can have
 * (/sys/kernel/mm/hugepages). What /proc/meminfo tells of the default size is not here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "snapshot.h"

#define DIRECTORY "kernel/mm/hugepages"

static void destroy(struct host_snapshot *base)
{
	free(base);
}

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static DIR *open_dir(const struct root *root)
{
	autoclose int fd = openat(root->sys, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		steal_fd(&fd);
	return d;
}

/* "hugepages-2048kB". */
static bool parse_name(struct slice name, uint64_t *ret_page_kb)
{
	const size_t before = strlen("hugepages-"), behind = strlen("kB");

	return name.n > before + behind && slice_starts(name, "hugepages-") &&
		slice_ends(name, "kB") &&
		slice_u64(
			(struct slice){ name.p + before, name.n - before - behind }, ret_page_kb) &&
		*ret_page_kb > 0;
}

/* Pages there are, reserved and surplus ones among them. */
static int read_pages(DIR *d, const char *name, uint64_t *ret)
{
	char path[NAME_MAX + sizeof("/nr_hugepages")];
	autotext t = { 0 };
	struct slice text, line;
	int r;

	snprintf(path, sizeof(path), "%s/nr_hugepages", name);
	r = read_file_at(dirfd(d), path, &t);
	if (r < 0)
		return r;
	text = slice_of(&t);
	return slice_line(&text, &line) && slice_u64(line, ret) ? 0 : -EBADMSG;
}

static int load(struct host_cache *c, uint64_t now_ns, struct host_snapshot *base)
{
	struct host_hugepages *h = (struct host_hugepages *)base;
	__attribute__((cleanup(close_dir))) DIR *d = open_dir(c->host->root);
	const struct dirent *entry;

	(void)now_ns;
	if (!d)
		return -errno;
	while (errno = 0, (entry = readdir(d))) {
		struct host_hugepages_pool pool;
		int r;

		if (h->n == HOST_HUGEPAGES || !parse_name(slice_str(entry->d_name), &pool.page_kb))
			continue;
		r = read_pages(d, entry->d_name, &pool.pages);
		if (r < 0)
			return r;
		h->pools[h->n++] = pool;
	}
	return -errno;
}

const struct host_kind host_kind_hugepages = {
	.max_age_ns = 10 * NS_PER_MS,
	.size = sizeof(struct host_hugepages),
	.load = load,
	.destroy = destroy,
};

int host_hugepages(struct host *h, uint64_t now_ns, const struct host_hugepages **ret)
{
	const struct host_snapshot *s;
	int r = host_cache_get(&h->hugepages, now_ns, &s);

	if (r == 0)
		*ret = (const struct host_hugepages *)s;
	return r;
}
