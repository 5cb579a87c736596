/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of cgroups: a bounded number of them stays open, so that a warm read is one pread(2)
 * and no lock. What the bytes mean is not known here.
 *
 * A reader pins a file by one compare-and-swap of its state word: the number of its pins above two
 * bits, OPEN and REFERENCED. `fd` may be used while pinned. Only under the tree's lock does a file
 * become open, and only one without pins is closed, by a compare-and-swap too: so a file in use is
 * never closed under its reader. Which one to close is a clock's second chance: the hand goes round
 * the ring of open files and takes the first that was not read since it last came by. Once there
 * are as many as may be, a new one is looked at first, seven times in eight: more containers that
 * are read in turns than there is room for would else always find what they need just closed.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

#define STATE_OPEN 1u
#define STATE_REFERENCED 2u
#define STATE_PIN 4u

/* Of so many files opened when there is no room, one is kept like the others. */
#define LATE_STAYS 8u

/* A file that may be read now: pinned in the cache, or open for this read alone. */
struct lease {
	struct cgroup_fd *pinned;
	int fd;
};

void cgroup_files_setup(struct cgroup_tree *t)
{
	const struct cgroup_layout *l = t->layout;

	memset(t->slot, CGROUP_NO_SLOT, sizeof(t->slot));
	for (unsigned i = 0; i < l->n; i++) {
		const struct cgroup_version *v = l->hierarchy[i].unified ? &cgroup_v2 : &cgroup_v1;

		for (unsigned f = 0; f < CGROUP_FILES; f++) {
			const struct cgroup_file_name *file = &v->file[f];

			if (file->name &&
				(file->controller == CGROUP_NO_CONTROLLER ||
					l->serves[file->controller] == (int)i))
				t->slot[i][f] = t->n_slots[i]++;
		}
	}
}

/* --- the ring of open files, under the lock -------------------------------------------------- */

static void ring_add(struct cgroup_tree *t, struct cgroup_fd *file)
{
	/* Behind the hand: the last to be looked at. */
	if (t->hand) {
		file->next = t->hand;
		file->previous = t->hand->previous;
		file->previous->next = file;
		file->next->previous = file;
	} else {
		file->next = file->previous = file;
		t->hand = file;
	}
	t->n_files++;
}

static void ring_remove(struct cgroup_tree *t, struct cgroup_fd *file)
{
	if (t->hand == file)
		t->hand = file->next != file ? file->next : NULL;
	file->previous->next = file->next;
	file->next->previous = file->previous;
	t->n_files--;
}

/* Closes the file if its state is exactly `state`, hence without pins of others. */
static bool close_if(struct cgroup_tree *t, struct cgroup_fd *file, uint32_t state)
{
	if (!atomic_compare_exchange_strong(&file->state, &state, 0))
		return false;
	ring_remove(t, file);
	close(file->fd);
	return true;
}

/* Makes room for one more. False when all open files are being read. */
static bool evict_one(struct cgroup_tree *t)
{
	/* Once round to take the referenced bits, once more to find one that stayed without. */
	for (unsigned tries = 2 * t->n_files; tries > 0; tries--) {
		struct cgroup_fd *file = t->hand;

		t->hand = file->next;
		if (close_if(t, file, STATE_OPEN))
			return true;
		atomic_fetch_and(&file->state, ~STATE_REFERENCED);
	}
	return false;
}

void cgroup_files_close(struct cgroup *c)
{
	for (unsigned i = 0; i < c->tree->n_slots[c->hierarchy]; i++) {
		uint32_t state = atomic_load(&c->fds[i].state);

		if (state & STATE_OPEN)
			close_if(c->tree, &c->fds[i], state);
	}
}

/* --- pins ------------------------------------------------------------------------------------ */

static bool pin(struct cgroup_fd *file)
{
	uint32_t state = atomic_load_explicit(&file->state, memory_order_relaxed);

	while (state & STATE_OPEN)
		if (atomic_compare_exchange_weak_explicit(&file->state, &state,
			    (state | STATE_REFERENCED) + STATE_PIN, memory_order_acquire,
			    memory_order_relaxed))
			return true;
	return false;
}

static void lease_end(struct lease *lease)
{
	if (lease->pinned)
		atomic_fetch_sub_explicit(&lease->pinned->state, STATE_PIN, memory_order_release);
	else
		close(lease->fd);
}

/* Gives a freshly opened file to the cache, if there is room. */
static struct lease adopt(struct cgroup_tree *t, struct cgroup_fd *file, int fd)
{
	struct lease lease = { NULL, fd };
	bool full;

	pthread_mutex_lock(&t->lock);
	full = t->n_files >= t->max_files;
	if (!(atomic_load(&file->state) & STATE_OPEN) && (!full || evict_one(t))) {
		const bool passes = full && t->n_late++ % LATE_STAYS != 0;

		file->fd = fd;
		ring_add(t, file);
		if (passes)
			t->hand = file;
		atomic_store(
			&file->state, STATE_OPEN | (passes ? 0 : STATE_REFERENCED) | STATE_PIN);
		lease.pinned = file;
	}
	pthread_mutex_unlock(&t->lock);
	return lease;
}

/* A cached file has said ENODEV: closes it, unless another thread is just finding out the same. */
static void forget(struct cgroup_tree *t, struct cgroup_fd *file)
{
	uint32_t state;

	pthread_mutex_lock(&t->lock);
	state = atomic_load(&file->state);
	if ((state & ~STATE_REFERENCED) == STATE_OPEN)
		close_if(t, file, state);
	pthread_mutex_unlock(&t->lock);
}

/* --- opening --------------------------------------------------------------------------------- */

static const struct cgroup_file_name *name_of(const struct cgroup *c, enum cgroup_file file)
{
	return &cgroup_version(c)->file[file];
}

/* The path of a file below the mount point, `huge_size` in its name where one belongs there. */
static int format_path(const struct cgroup *c, enum cgroup_file file, const char *huge_size,
	char *ret, size_t size)
{
	const char *name = name_of(c, file)->name, *at = strstr(name, "%s");
	int n;

	if (at)
		n = snprintf(ret, size, "%s/%.*s%s%s", c->below, (int)(at - name), name, huge_size,
			at + 2);
	else
		n = snprintf(ret, size, "%s/%s", c->below, name);
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int dirfd_of(const struct cgroup *c)
{
	return c->tree->layout->hierarchy[c->hierarchy].dirfd;
}

static int open_path(const struct cgroup *c, enum cgroup_file file, int flags)
{
	const char *huge_size = "";
	char path[4096];
	int fd;

	if (file >= FILE_HUGETLB_LIMIT)
		huge_size = c->tree->huge_size[(file - FILE_HUGETLB_LIMIT) % CGROUP_HUGE_SIZES];
	if (format_path(c, file, huge_size, path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	if (flags == O_RDWR && c->tree->writer)
		return c->tree->writer(c->tree->writer_data, path);
	fd = openat(dirfd_of(c), path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/*
 * Opens the file of this very cgroup. The directory is looked at after the file: an inode number is
 * never used twice, so when it is the right one now, it was when the file was opened.
 */
int cgroup_open(const struct cgroup *c, enum cgroup_file file, int flags)
{
	autoclose int fd = open_path(c, file, flags);
	int r;

	if (fd < 0 && fd != -ENOENT && fd != -ENODEV) {
		log_limited("cgroup file", "cannot open %s of cgroup %s: %s%s",
			name_of(c, file)->name, c->path, strerror(-fd),
			fd == -EMFILE || fd == -ENFILE ? "; raise the limit of open files" : "");
		return fd;
	}
	r = cgroup_verify(c);
	if (r < 0)
		return r;
	if (fd == -ENOENT && name_of(c, file)->settled)
		atomic_fetch_or(&c->tree->missing[c->hierarchy], UINT64_C(1) << file);
	return fd < 0 ? fd : steal_fd(&fd);
}

/* `fresh`: not from the cache, whose file has just proved to be a removed one. */
static int lease_new(struct cgroup *c, enum cgroup_file file, bool fresh, struct lease *ret)
{
	unsigned slot = c->tree->slot[c->hierarchy][file];
	int fd;

	if (slot == CGROUP_NO_SLOT ||
		(atomic_load_explicit(&c->tree->missing[c->hierarchy], memory_order_relaxed) >>
				file &
			1))
		return -ENOENT;
	if (!fresh && pin(&c->fds[slot])) {
		*ret = (struct lease){ &c->fds[slot], c->fds[slot].fd };
		return 0;
	}
	fd = cgroup_open(c, file, O_RDONLY);
	if (fd < 0)
		return fd;
	*ret = adopt(c->tree, &c->fds[slot], fd);
	return 0;
}

/* --- huge page sizes -------------------------------------------------------------------------- */

/* Entries below n_huge_sizes never change, so no lock is needed to look at them. */
static bool find_huge_size(struct cgroup_tree *t, const char *size, unsigned *ret)
{
	unsigned n = atomic_load(&t->n_huge_sizes);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(t->huge_size[i], size) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static int add_huge_size(struct cgroup_tree *t, const char *size, unsigned *ret)
{
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (!find_huge_size(t, size, ret)) {
		unsigned n = atomic_load(&t->n_huge_sizes);

		if (n < CGROUP_HUGE_SIZES && strlen(size) < sizeof(t->huge_size[n])) {
			strcpy(t->huge_size[n], size);
			atomic_store(&t->n_huge_sizes, n + 1);
			*ret = n;
		} else {
			r = -ENOENT;
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		log_limited("huge page size",
			"cgroup files for huge pages of %s are not read: there are more than %d "
			"page sizes; please report it",
			size, CGROUP_HUGE_SIZES);
	return r;
}

int cgroup_huge_size(struct cgroup *c, const char *size, unsigned *ret)
{
	char path[4096];
	int r;

	if (find_huge_size(c->tree, size, ret))
		return 0;
	/* Only sizes that there are take one of the few places. */
	for (const struct cgroup *a = c; a; a = a->parent) {
		r = format_path(a, FILE_HUGETLB_USAGE, size, path, sizeof(path));
		if (r == 0 && faccessat(dirfd_of(a), path, F_OK, 0) == 0)
			return add_huge_size(c->tree, size, ret);
		if (r == 0 && errno != ENOENT)
			return -errno;
	}
	r = cgroup_verify(c);
	return r < 0 ? r : -ENOENT;
}

/* --- reading --------------------------------------------------------------------------------- */

static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;
static pthread_key_t buffer_key;
static bool buffer_key_made;

static void buffer_free(void *buffer)
{
	text_free(buffer);
	free(buffer);
}

static void buffer_setup(void)
{
	buffer_key_made = pthread_key_create(&buffer_key, buffer_free) == 0;
}

/* The calling thread's buffer, empty; freed when the thread ends. */
static struct text *buffer_get(void)
{
	struct text *buffer;

	pthread_once(&buffer_once, buffer_setup);
	if (!buffer_key_made)
		return NULL;
	buffer = pthread_getspecific(buffer_key);
	if (!buffer) {
		buffer = calloc(1, sizeof(*buffer));
		if (!buffer || pthread_setspecific(buffer_key, buffer) != 0) {
			free(buffer);
			return NULL;
		}
	}
	text_reset(buffer);
	return buffer;
}

static int read_leased(struct cgroup *c, enum cgroup_file file, bool fresh, struct text *t)
{
	struct lease lease = { NULL, -1 };
	struct cgroup_fd *cached;
	int r = lease_new(c, file, fresh, &lease);

	if (r < 0)
		return r;
	r = name_of(c, file)->iterated ? read_fd(lease.fd, t) : read_fd_once(lease.fd, t);
	cached = lease.pinned;
	lease_end(&lease);
	if (r == -ENODEV && cached)
		forget(c->tree, cached);
	return r;
}

int cgroup_read(struct cgroup *c, enum cgroup_file file, struct slice *ret)
{
	struct text *t = buffer_get();
	int r;

	if (!t)
		return -ENOMEM;
	r = read_leased(c, file, false, t);
	/* The cgroup is gone, or only its controller was disabled: opening anew tells which. */
	if (r == -ENODEV)
		r = read_leased(c, file, true, t);
	if (r < 0)
		return r;
	*ret = slice_of(t);
	return 0;
}

int cgroup_bad_text(const struct cgroup *c, enum cgroup_file file)
{
	log_limited("cgroup text", "%s of cgroup %s cannot be understood; please report it",
		name_of(c, file)->name, c->path);
	return -EBADMSG;
}

int cgroup_read_u64(struct cgroup *c, enum cgroup_file file, uint64_t *ret)
{
	struct slice text, line;
	uint64_t value;
	int r = cgroup_read(c, file, &text);

	if (r < 0)
		return r;
	if (!slice_line(&text, &line))
		return cgroup_bad_text(c, file);
	if (slice_equal(line, "max"))
		value = CGROUP_NO_LIMIT;
	else if (!slice_u64(line, &value))
		return cgroup_bad_text(c, file);
	*ret = cgroup_limit(value);
	return 0;
}

int cgroup_read_nearest(
	struct cgroup *c, enum cgroup_file file, struct cgroup **ret_c, uint64_t *ret)
{
	for (; c; c = c->parent) {
		int r = cgroup_read_u64(c, file, ret);

		if (r == 0)
			*ret_c = c;
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

int cgroup_read_limit(struct cgroup *c, enum cgroup_file file, uint64_t *ret)
{
	int r = cgroup_read_u64(c, file, ret);

	if (r != -ENOENT)
		return r;
	*ret = CGROUP_NO_LIMIT;
	return 0;
}
