/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts the machine together from tests/fixtures with cp(1), and keeps what its files said.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define FILES_MAX 256

static char top[] = "/tmp/lxcfs-fuzz.XXXXXX";
static struct root root = ROOT_NONE;
static struct {
	char *path;
	struct text text;
	bool parsed;
} files[FILES_MAX];
static size_t n_files;

static void need(bool it, const char *what)
{
	if (it)
		return;
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void shell(const char *format)
{
	autofree char *command = NULL;

	need(asprintf(&command, "cd %s && from=" TESTS_DIR "/fixtures && %s", top, format) >= 0,
		"asprintf");
	need(system(command) == 0, command);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_machine(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int note_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	const char *below = path + strlen(top) + 1;

	(void)st;
	(void)where;
	if (type != FTW_F || n_files == FILES_MAX || strstr(below, "/ns/"))
		return 0;
	files[n_files].path = strdup(path);
	/* Of pressure every byte is the kernel's. */
	files[n_files].parsed =
		strncmp(below, "sys/fs/cgroup/", 14) == 0 && !strstr(below, ".pressure");
	need(read_file_at(AT_FDCWD, path, &files[n_files].text) == 0, path);
	n_files++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

const struct root *machine_root(void)
{
	if (root.top >= 0)
		return &root;
	need(mkdtemp(top) != NULL, top);
	atexit(remove_machine);
	shell("cp -r $from/v2-swap/. . && cp -r $from/v2-cpu/. . && chmod -R u+w . && "
	      "cp $from/cpuinfo/x86_64.txt proc/cpuinfo && echo 0.50 0.25 0.10 1/100 4321 "
	      ">proc/loadavg && "
	      "cp sys/fs/cgroup/cgroup.controllers sys/fs/cgroup/ct/a/");
	/* Its namespaces are the daemon's: whoever is in the root cgroup sees the host there, and
	 * who is in another one that cgroup. */
	shell("mkdir -p proc/self/ns proc/100/ns && cd proc && for n in pid cgroup mnt; do "
	      "echo >self/ns/$n && ln self/ns/$n 100/ns/$n; done && ln -s / 100/root && "
	      "cp self/mountinfo 100/ && echo 0::/ct/a >100/cgroup && echo 0::/ >self/cgroup && "
	      "printf 'Name:\\ta\\nPPid:\\t1\\nNSpid:\\t100\\n' >100/status && "
	      "echo '100 (a) S 1 100 100 0 -1 4194304 0 0 0 0 1 1 0 0 20 0 1 0 5000 1000 10' "
	      ">100/stat && ln -s / self/root && cp 100/stat 100/status self/");
	need(root_open(top, &root) == 0, top);
	need(nftw(top, note_file, 16, FTW_PHYS) == 0, top); /* no link leads out of it */
	qsort(files, n_files, sizeof(files[0]), compare);
	return &root;
}

size_t machine_files(void)
{
	return n_files;
}

bool machine_is_parsed(size_t i)
{
	return files[i].parsed;
}

/* In place: the daemon may have it open. */
void machine_replace(size_t i, const void *bytes, size_t n)
{
	autoclose int fd = open(files[i].path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

	need(fd >= 0 && write(fd, bytes, n) == (ssize_t)n, files[i].path);
}

void machine_restore(size_t i)
{
	machine_replace(i, files[i].text.data, files[i].text.len);
}
