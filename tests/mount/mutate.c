/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tries every call that could change a file, a directory or a name on everything below a directory,
 * and tells of whatever is not refused in the way that SPEC 3 says. Must not write anything that
 * the host would mind, should a call get through.
 *
 *   mutate triggers|no-triggers DIR
 *       "OPERATION PATH RESULT" for each surprise, and at the end "paths N calls N writable N"
 *       triggers: what pressure files answer to a write is a trigger's error, not EOPNOTSUPP
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH 32  /* of directories held open by nftw(3) */
#define ENOUGH 20 /* surprises to tell of */

/* What is tried on one path. `fd` reads it (of a symbolic link or what cannot be opened: O_PATH),
 * `pressure` also writes it, and is -1 for all other files. */
struct target {
	const char *path;
	mode_t type;
	int fd;
	int pressure;
};

static bool with_triggers;
static char previous[8192]; /* path that was walked */
static long paths, calls, writable, surprises;

/* That nothing was there to be copied is no success. */
static int copied(ssize_t n)
{
	if (n == 0)
		errno = EINVAL;
	return n > 0 ? 0 : -1;
}

/* A name that does not exist: beside the target, or in it. */
static const char *new_name(const struct target *t)
{
	static char name[8192];

	snprintf(name, sizeof(name), "%s%s", t->path, S_ISDIR(t->type) ? "/mutate" : ".mutate");
	return name;
}

/* The target through /proc/self/fd, as chmod(2) and open(2) follow it. */
static const char *through_fd(const struct target *t)
{
	static char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", t->fd);
	return name;
}

static int closed(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd;
}

/* --- by path ------------------------------------------------------------------------------ */

static int open_wo(const struct target *t)
{
	return closed(open(t->path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
}

static int open_rw(const struct target *t)
{
	return closed(open(t->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK));
}

static int open_append(const struct target *t)
{
	return closed(open(t->path, O_WRONLY | O_APPEND | O_NOFOLLOW));
}

static int open_direct(const struct target *t)
{
	return closed(open(t->path, O_RDWR | O_DIRECT | O_SYNC | O_NOFOLLOW));
}

/* Linux truncates for O_RDONLY, too. */
static int open_trunc(const struct target *t)
{
	return closed(open(t->path, O_RDONLY | O_TRUNC | O_NOFOLLOW));
}

static int open_wo_trunc(const struct target *t)
{
	return closed(open(t->path, O_WRONLY | O_TRUNC | O_NOFOLLOW));
}

static int open_creat(const struct target *t)
{
	return closed(open(t->path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0666));
}

static int open_excl(const struct target *t)
{
	return closed(open(t->path, O_WRONLY | O_CREAT | O_EXCL, 0666));
}

static int open_access3(const struct target *t)
{
	return closed(open(t->path, O_ACCMODE | O_NOFOLLOW | O_NONBLOCK));
}

static int open_again(const struct target *t)
{
	return closed(open(through_fd(t), O_RDWR | O_NONBLOCK));
}

static int open_tmpfile(const struct target *t)
{
	return closed(open(t->path, O_TMPFILE | O_RDWR, 0600));
}

static int do_truncate(const struct target *t)
{
	return truncate(t->path, 0);
}

static int do_truncate_up(const struct target *t)
{
	return truncate(t->path, 1 << 20);
}

static int do_chmod(const struct target *t)
{
	return chmod(t->path, 0777);
}

static int chmod_through(const struct target *t)
{
	return chmod(through_fd(t), 06777);
}

static int do_chown(const struct target *t)
{
	return lchown(t->path, 0, 0);
}

static int chgrp(const struct target *t)
{
	return fchownat(t->fd, "", (uid_t)-1, 0, AT_EMPTY_PATH);
}

static int utimes_now(const struct target *t)
{
	return utimensat(AT_FDCWD, t->path, NULL, AT_SYMLINK_NOFOLLOW);
}

static int utimes_set(const struct target *t)
{
	const struct timespec old[2] = { { 1, 1 }, { 1, 1 } };

	return utimensat(AT_FDCWD, t->path, old, AT_SYMLINK_NOFOLLOW);
}

static int do_unlink(const struct target *t)
{
	return unlink(t->path);
}

static int do_rmdir(const struct target *t)
{
	return rmdir(t->path);
}

static int do_rename(const struct target *t)
{
	static char name[8192];

	snprintf(name, sizeof(name), "%s.mutate", t->path);
	return rename(t->path, name);
}

/* With the path before it. */
static int rename_exchange(const struct target *t)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, t->path, AT_FDCWD, previous, RENAME_EXCHANGE);
}

static int do_link(const struct target *t)
{
	return link(t->path, new_name(t));
}

static int link_fd(const struct target *t)
{
	return linkat(t->fd, "", AT_FDCWD, new_name(t), AT_EMPTY_PATH);
}

/* --- a new name --------------------------------------------------------------------------- */

static int new_file(const struct target *t)
{
	return closed(open(new_name(t), O_WRONLY | O_CREAT, 0666));
}

static int new_dir(const struct target *t)
{
	return mkdir(new_name(t), 0777);
}

static int new_symlink(const struct target *t)
{
	return symlink("/", new_name(t));
}

static int new_fifo(const struct target *t)
{
	return mknod(new_name(t), S_IFIFO | 0666, 0);
}

static int new_device(const struct target *t)
{
	return mknod(new_name(t), S_IFCHR | 0666, 0x103);
}

/* By its directory's descriptor, for an address has no room for a long path. */
static int new_socket(const struct target *t)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = new_name(t), *name = strrchr(path, '/') + 1;
	char dir[8192];
	int dir_fd, fd, r, e;

	snprintf(dir, sizeof(dir), "%.*s", (int)(name - path), path);
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address));
	e = errno;
	close(fd);
	close(dir_fd);
	errno = e;
	return r;
}

/* --- attributes --------------------------------------------------------------------------- */

static int xattr_user(const struct target *t)
{
	return lsetxattr(t->path, "user.mutate", "1", 1, 0);
}

static int xattr_trusted(const struct target *t)
{
	return lsetxattr(t->path, "trusted.mutate", "1", 1, XATTR_CREATE);
}

static int xattr_security(const struct target *t)
{
	return lsetxattr(t->path, "security.mutate", "1", 1, 0);
}

static int xattr_acl(const struct target *t)
{
	/* version 2; user::rwx group::rwx other::rwx */
	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 7, 0,
		255, 255, 255, 255, 32, 0, 7, 0, 255, 255, 255, 255 };

	return lsetxattr(t->path, "system.posix_acl_access", acl, sizeof(acl), 0);
}

static int xattr_fd(const struct target *t)
{
	return fsetxattr(t->fd, "trusted.mutate", "1", 1, 0);
}

static int xattr_remove(const struct target *t)
{
	return lremovexattr(t->path, "trusted.mutate");
}

static int ioc_setflags(const struct target *t)
{
	int flags = FS_IMMUTABLE_FL;

	return ioctl(t->fd, FS_IOC_SETFLAGS, &flags);
}

static int ioc_setxattr(const struct target *t)
{
	struct fsxattr x = { .fsx_projid = 7 };

	return ioctl(t->fd, FS_IOC_FSSETXATTR, &x);
}

static int ioc_clone(const struct target *t)
{
	return ioctl(t->fd, FICLONE, t->fd);
}

static int ioc_unknown(const struct target *t)
{
	char argument[256] = { 0 };

	return ioctl(t->fd, _IOWR('x', 0x5a, argument), argument);
}

/* --- through a descriptor that reads ------------------------------------------------------ */

static int do_write(const struct target *t)
{
	return (int)write(t->fd, "0", 1);
}

static int do_pwritev(const struct target *t)
{
	const struct iovec v = { (char[]){ "0" }, 1 };

	return (int)pwritev2(t->fd, &v, 1, 0, 0);
}

static int do_ftruncate(const struct target *t)
{
	return ftruncate(t->fd, 0);
}

static int do_fchmod(const struct target *t)
{
	return fchmod(t->fd, 0777);
}

static int do_fchown(const struct target *t)
{
	return fchown(t->fd, 0, 0);
}

static int do_futimens(const struct target *t)
{
	return futimens(t->fd, NULL);
}

static int do_fallocate(const struct target *t)
{
	return fallocate(t->fd, 0, 0, 4096);
}

static int punch_hole(const struct target *t)
{
	return fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static int copy_range(const struct target *t)
{
	off_t from = 0, to = 0;

	return copied(copy_file_range(t->fd, &from, t->fd, &to, 1, 0));
}

static int send_to(const struct target *t)
{
	off_t from = 0;

	return copied(sendfile(t->fd, STDIN_FILENO, &from, 1));
}

static int unmapped(void *map)
{
	if (map == MAP_FAILED)
		return -1;
	munmap(map, 4096);
	return 0;
}

static int map_shared(const struct target *t)
{
	return unmapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0));
}

/* A mapping that only reads may not be made one that writes. */
static int map_then_protect(const struct target *t)
{
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, t->fd, 0);
	int r, e;

	if (map == MAP_FAILED)
		return -1;
	r = mprotect(map, 4096, PROT_READ | PROT_WRITE);
	e = errno;
	munmap(map, 4096);
	errno = e;
	return r;
}

/* --- through one that writes: pressure files ---------------------------------------------- */

static int pressure_truncate(const struct target *t)
{
	return ftruncate(t->pressure, 0);
}

static int pressure_allocate(const struct target *t)
{
	return fallocate(t->pressure, 0, 0, 4096);
}

static int pressure_map(const struct target *t)
{
	return unmapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, t->pressure, 0));
}

static int pressure_write(const struct target *t)
{
	return (int)write(t->pressure, "mutate", 6);
}

static int pressure_pwrite(const struct target *t)
{
	return (int)pwrite(t->pressure, "mutate", 6, 4096);
}

static int pressure_copy(const struct target *t)
{
	off_t from = 0, to = 0;

	return copied(copy_file_range(t->fd, &from, t->pressure, &to, 16, 0));
}

/* --- the table ---------------------------------------------------------------------------- */

enum on { FILES = 1, DIRS = 2, LINKS = 4, ALL = 7, PRESSURE = 8 };

/* Refused means EROFS, EACCES or EPERM; `vfs` are the errors with which the kernel refuses before
 * it asks the file system (0 fills up). */
static const struct mutation {
	const char *name;
	int (*run)(const struct target *t);
	unsigned on;
	int vfs[5];
} mutations[] = {
	{ "open-write-only", open_wo, ALL, { EISDIR, ELOOP } },
	{ "open-read-write", open_rw, ALL, { EISDIR, ELOOP } },
	{ "open-append", open_append, ALL, { EISDIR, ELOOP } },
	{ "open-direct", open_direct, ALL, { EISDIR, ELOOP, EINVAL } },
	{ "open-read-truncate", open_trunc, ALL, { EISDIR, ELOOP } },
	{ "open-truncate", open_wo_trunc, ALL, { EISDIR, ELOOP } },
	{ "open-create", open_creat, ALL, { EISDIR, ELOOP } },
	{ "open-exclusive", open_excl, ALL, { EEXIST } },
	{ "open-access-3", open_access3, ALL, { EISDIR, ELOOP } },
	{ "open-through-fd", open_again, FILES | DIRS, { EISDIR } },
	{ "open-tmpfile", open_tmpfile, FILES | DIRS, { ENOTDIR, EOPNOTSUPP } },
	{ "truncate", do_truncate, FILES | DIRS, { EISDIR } },
	{ "truncate-up", do_truncate_up, FILES | DIRS, { EISDIR } },
	{ "chmod", do_chmod, FILES | DIRS, { 0 } },
	{ "chmod-through-fd", chmod_through, FILES | DIRS, { 0 } },
	{ "chown", do_chown, ALL, { 0 } },
	{ "chgrp", chgrp, ALL, { 0 } },
	{ "utimes-now", utimes_now, ALL, { 0 } },
	{ "utimes-set", utimes_set, ALL, { 0 } },
	{ "unlink", do_unlink, ALL, { EISDIR, EBUSY } },
	{ "rmdir", do_rmdir, ALL, { ENOTDIR, EBUSY } },
	{ "rename", do_rename, ALL, { EBUSY, EXDEV } },
	/* the first has none before it */
	{ "rename-exchange", rename_exchange, ALL, { EBUSY, EXDEV, EINVAL, ENOTEMPTY, ENOENT } },
	{ "link", do_link, ALL, { EXDEV } },
	{ "link-fd", link_fd, ALL, { EXDEV, ENOENT } },
	{ "create", new_file, ALL, { 0 } },
	{ "mkdir", new_dir, ALL, { 0 } },
	{ "symlink", new_symlink, ALL, { 0 } },
	{ "mknod-fifo", new_fifo, ALL, { 0 } },
	{ "mknod-device", new_device, ALL, { 0 } },
	{ "bind-socket", new_socket, ALL, { 0 } },
	{ "setxattr-user", xattr_user, ALL, { 0 } },
	{ "setxattr-trusted", xattr_trusted, ALL, { 0 } },
	{ "setxattr-security", xattr_security, ALL, { 0 } },
	{ "setxattr-acl", xattr_acl, ALL, { EOPNOTSUPP } },
	{ "fsetxattr", xattr_fd, FILES | DIRS, { 0 } },
	{ "removexattr", xattr_remove, ALL, { 0 } },
	{ "ioctl-setflags", ioc_setflags, FILES | DIRS, { ENOTTY, EOPNOTSUPP } },
	{ "ioctl-fssetxattr", ioc_setxattr, FILES | DIRS, { ENOTTY, EOPNOTSUPP } },
	{ "ioctl-clone", ioc_clone, FILES | DIRS, { EBADF, EISDIR, EINVAL, EOPNOTSUPP, EXDEV } },
	{ "ioctl-unknown", ioc_unknown, FILES | DIRS, { ENOTTY } },
	{ "write", do_write, FILES | DIRS, { EBADF } },
	{ "pwritev2", do_pwritev, FILES | DIRS, { EBADF } },
	{ "ftruncate", do_ftruncate, FILES | DIRS, { EINVAL, EBADF } },
	{ "fchmod", do_fchmod, FILES | DIRS, { 0 } },
	{ "fchown", do_fchown, FILES | DIRS, { 0 } },
	{ "futimens", do_futimens, FILES | DIRS, { 0 } },
	{ "fallocate", do_fallocate, FILES | DIRS, { EBADF } },
	{ "punch-hole", punch_hole, FILES | DIRS, { EBADF } },
	{ "copy-file-range", copy_range, FILES | DIRS, { EBADF, EISDIR, EINVAL } },
	{ "sendfile", send_to, FILES | DIRS, { EBADF, EINVAL } },
	{ "mmap-shared", map_shared, FILES | DIRS, { ENODEV } },
	{ "mprotect", map_then_protect, FILES | DIRS, { ENODEV } },
	{ "pressure-ftruncate", pressure_truncate, PRESSURE, { 0 } },
	{ "pressure-fallocate", pressure_allocate, PRESSURE, { 0 } },
	{ "pressure-mmap", pressure_map, PRESSURE, { ENODEV } },
	{ "pressure-write", pressure_write, PRESSURE, { EOPNOTSUPP, EINVAL } },
	{ "pressure-pwrite", pressure_pwrite, PRESSURE, { EOPNOTSUPP, EINVAL } },
	{ "pressure-copy", pressure_copy, PRESSURE, { EOPNOTSUPP, EINVAL } },
};

/* By path, a pressure file may be opened for writing, and the kernel's own takes O_TRUNC; it is
 * never made. */
static bool may_succeed(const struct mutation *m, const struct target *t)
{
	return t->pressure >= 0 && !strncmp(m->name, "open-", 5) && m->run != open_excl &&
		m->run != open_tmpfile;
}

static bool refused(const struct mutation *m, int error)
{
	if (error == EROFS || error == EACCES || error == EPERM)
		return true;
	for (size_t i = 0; i < sizeof(m->vfs) / sizeof(m->vfs[0]) && m->vfs[i]; i++)
		if (error == m->vfs[i])
			return m->run != pressure_write ||
				error == (with_triggers ? EINVAL : EOPNOTSUPP);
	return false;
}

static void try_one(const struct mutation *m, const struct target *t)
{
	int error;

	errno = 0;
	calls++;
	error = m->run(t) >= 0 ? 0 : errno;
	if (error == 0 ? may_succeed(m, t) : refused(m, error))
		return;
	if (surprises++ < ENOUGH)
		printf("%s %s %s\n", m->name, t->path, error ? strerrorname_np(error) : "done");
}

static unsigned kind_of(const struct target *t)
{
	const unsigned kind = S_ISDIR(t->type) ? DIRS : S_ISLNK(t->type) ? LINKS : FILES;

	return t->pressure >= 0 ? kind | PRESSURE : kind;
}

static int on_path(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	struct target t = { .path = path, .type = st->st_mode, .pressure = -1 };

	(void)flag;
	(void)ftw;
	t.fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	if (t.fd < 0)
		t.fd = open(path, O_PATH | O_NOFOLLOW);
	if (strstr(path, "/pressure/"))
		t.pressure = open(path, O_RDWR);
	paths++;
	if (t.pressure >= 0)
		writable++;
	for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++)
		if (mutations[i].on & kind_of(&t))
			try_one(&mutations[i], &t);
	closed(t.fd);
	closed(t.pressure);
	snprintf(previous, sizeof(previous), "%s", path);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: mutate triggers|no-triggers DIR\n");
		return 2;
	}
	with_triggers = !strcmp(argv[1], "triggers");
	if (nftw(argv[2], on_path, DEPTH, FTW_PHYS) != 0) {
		fprintf(stderr, "mutate: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	printf("paths %ld calls %ld writable %ld\n", paths, calls, writable);
	return 0;
}
