/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts machines together from tests/fixtures with cp(1), and keeps what their files said.
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

/* What of the fixtures makes each, and where its process is. What no container at MACHINE_CGROUP
 * is shown anything of is left out of the newer ones, so that no input is spent on it. */
static const struct {
	const char *fixtures, *cgroups;
} recipes[MACHINES] = {
	[MACHINE_V2] = {
		"cp -r $from/v2-swap/. . && cp -r $from/v2-cpu/. . && chmod -R u+w . && "
		"cp sys/fs/cgroup/cgroup.controllers sys/fs/cgroup/ct/a/",
		"0::" MACHINE_CGROUP "\n",
	},
	[MACHINE_HYBRID] = {
		"cp -r $from/v1-old/. . && chmod -R u+w . && "
		"rm -r sys/fs/cgroup/cpu,cpuacct sys/fs/cgroup/systemd && "
		"cp -r $from/hybrid-swap/. . && cp -r $from/hybrid-cpu/. . && chmod -R u+w . && "
		"rm -r sys/fs/cgroup/*/ct/[b-z]*/ && "
		"cat $from/hybrid-swap/proc/self/mountinfo $from/hybrid-cpu/proc/self/mountinfo "
		"| sort -nu >proc/self/mountinfo && "
		"echo '42 31 0:39 / /sys/fs/cgroup/hugetlb rw,relatime - cgroup cgroup rw,hugetlb' "
		">>proc/self/mountinfo",
		"9:hugetlb:" MACHINE_CGROUP "\n8:pids:" MACHINE_CGROUP "\n7:blkio:" MACHINE_CGROUP
		"\n4:memory:" MACHINE_CGROUP "\n3:cpuset:" MACHINE_CGROUP
		"\n2:cpuacct:" MACHINE_CGROUP "\n1:cpu:" MACHINE_CGROUP "\n0::" MACHINE_CGROUP
		"\n",
	},
	[MACHINE_V1] = {
		"cp -r $from/v1-old/. . && cp -r $from/v1-comounted/. . && chmod -R u+w . && "
		"cp $from/v2-cpu/proc/stat $from/v2-cpu/proc/uptime proc/ && "
		"cp -r $from/v2-cpu/sys/devices sys/ && rm -r sys/fs/cgroup/*/ct/[b-z]*/ && "
		"find . -name cgroup.clone_children -delete && "
		"echo 0-1 >sys/fs/cgroup/cpuset/ct/a/cpuset.cpus",
		"9:hugetlb:" MACHINE_CGROUP "\n8:pids:" MACHINE_CGROUP "\n7:blkio:" MACHINE_CGROUP
		"\n4:memory:" MACHINE_CGROUP "\n3:cpuset:" MACHINE_CGROUP
		"\n2:cpu,cpuacct:" MACHINE_CGROUP "\n1:name=systemd:" MACHINE_CGROUP "\n",
	},
};

static char top[] = "/tmp/lxcfs-fuzz.XXXXXX";

static struct machine {
	char *path;
	struct root root;
	struct slice cgroups;
	struct {
		char *path;
		struct text text;
		bool parsed;
	} files[FILES_MAX];
	size_t n_files;
} machines[MACHINES];

static struct machine *being_made; /* nftw(3) hands nothing on */

static void need(bool it, const char *what)
{
	if (it)
		return;
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void shell(const struct machine *m, const char *commands)
{
	autofree char *command = NULL;

	need(asprintf(&command, "cd %s && from=" TESTS_DIR "/fixtures && %s", m->path, commands) >=
			0,
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

static void remove_machines(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *name_of(const struct machine *m, const char *path)
{
	return path + strlen(m->path) + 1;
}

static int note_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	struct machine *m = being_made;
	const char *name = name_of(m, path);

	(void)st;
	(void)where;
	if (type != FTW_F || m->n_files == FILES_MAX || strstr(name, "/ns/"))
		return 0;
	m->files[m->n_files].path = strdup(path);
	/* Of pressure, and of v1's own slabinfo, every byte is the kernel's. */
	m->files[m->n_files].parsed = strncmp(name, "sys/fs/cgroup/", 14) == 0 &&
		!strstr(name, ".pressure") && !strstr(name, ".slabinfo");
	need(read_file_at(AT_FDCWD, path, &m->files[m->n_files].text) == 0, path);
	m->n_files++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Its namespaces are the daemon's: whoever is in the root cgroup sees the host there, and who is in
 * another one that cgroup. As in the kernel's, such a link names the inode that it leads to. */
static void add_processes(const struct machine *m)
{
	autofree char *cgroups = NULL;

	shell(m,
		"mkdir -p proc/self/ns proc/100/ns && cd proc && for n in pid cgroup mnt; do "
		">self/ns/$n && i=$n:[$(stat -c %i self/ns/$n)] && mv self/ns/$n self/ns/$i && "
		"ln -s $i self/ns/$n && cp -dl self/ns/$n self/ns/$i 100/ns/ || exit 1; done && "
		"ln -s / 100/root && "
		"cp self/mountinfo 100/ && "
		"printf 'Name:\\ta\\nPPid:\\t1\\nNSpid:\\t100\\n' >100/status && "
		"echo '100 (a) S 1 100 100 0 -1 4194304 0 0 0 0 1 1 0 0 20 0 1 0 5000 1000 10' "
		">100/stat && ln -s / self/root && cp 100/stat 100/status self/");
	need(asprintf(&cgroups,
		     "printf '%%s' '%s' >proc/100/cgroup && "
		     "sed 's,:[^:]*$,:/,' proc/100/cgroup >proc/self/cgroup",
		     m->cgroups.p) >= 0,
		"asprintf");
	shell(m, cgroups);
}

static void make(struct machine *m, enum machine_kind kind)
{
	m->root = ROOT_NONE;
	m->cgroups = slice_str(recipes[kind].cgroups);
	need(asprintf(&m->path, "%s/%d", top, kind) >= 0 && mkdir(m->path, 0700) == 0, top);
	shell(m, recipes[kind].fixtures);
	shell(m,
		"cp $from/cpuinfo/x86_64.txt proc/cpuinfo && "
		"echo 0.50 0.25 0.10 1/100 4321 >proc/loadavg");
	add_processes(m);
	need(root_open(m->path, &m->root) == 0, m->path);
	being_made = m;
	need(nftw(m->path, note_file, 16, FTW_PHYS) == 0, m->path); /* no link leads out of it */
	qsort(m->files, m->n_files, sizeof(m->files[0]), compare);
}

struct machine *machine_get(enum machine_kind kind)
{
	static bool begun;

	if (!begun) {
		need(mkdtemp(top) != NULL, top);
		atexit(remove_machines);
		begun = true;
	}
	if (!machines[kind].path)
		make(&machines[kind], kind);
	return &machines[kind];
}

const struct root *machine_root(const struct machine *m)
{
	return &m->root;
}

struct slice machine_cgroups(const struct machine *m)
{
	return m->cgroups;
}

size_t machine_files(const struct machine *m)
{
	return m->n_files;
}

size_t machine_find(const struct machine *m, struct slice name)
{
	size_t i = 0;

	while (i < m->n_files && !slice_equal(name, name_of(m, m->files[i].path)))
		i++;
	return i;
}

bool machine_is_parsed(const struct machine *m, size_t i)
{
	return m->files[i].parsed;
}

/* In place: the daemon may have it open. */
void machine_replace(struct machine *m, size_t i, const void *bytes, size_t n)
{
	const char *path = m->files[i].path;
	autoclose int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

	need(fd >= 0 && write(fd, bytes, n) == (ssize_t)n, path);
}

void machine_restore(struct machine *m, size_t i)
{
	machine_replace(m, i, m->files[i].text.data, m->files[i].text.len);
}
