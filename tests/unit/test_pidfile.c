/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock that keeps two daemons from one pidfile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/daemon/pidfile.h"
#include "unit.h"

static char dir[] = "/tmp/lxcfs-pidfile-XXXXXX";
static char path[64];

static void setup(void)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void assert_content(const char *expected)
{
	char text[64] = { 0 };
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	ck_assert_str_eq(text, expected);
}

static void write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

START_TEST(it_names_this_process_and_goes_with_it)
{
	struct pidfile p = PIDFILE_NONE;
	char expected[32];
	pid_t holder;

	write_file("4194304999 left by a killed daemon\n");
	ck_assert_int_eq(pidfile_lock(path, &p, &holder), 0);
	ck_assert_int_eq(pidfile_write(&p), 0);
	snprintf(expected, sizeof(expected), "%d\n", getpid());
	assert_content(expected);
	pidfile_remove(&p);
	ck_assert_int_eq(access(path, F_OK), -1);
	pidfile_remove(&p);
}
END_TEST

START_TEST(a_second_daemon_is_refused_and_told_who_holds_it)
{
	struct pidfile first = PIDFILE_NONE, second = PIDFILE_NONE;
	pid_t holder = -1;

	ck_assert_int_eq(pidfile_lock(path, &first, &holder), 0);
	ck_assert_int_eq(pidfile_lock(path, &second, &holder), -EBUSY);
	ck_assert_int_eq(holder, 0);
	ck_assert_int_eq(pidfile_write(&first), 0);
	ck_assert_int_eq(pidfile_lock(path, &second, &holder), -EBUSY);
	ck_assert_int_eq(holder, getpid());
	pidfile_remove(&second);
	ck_assert_int_eq(access(path, F_OK), 0);
	pidfile_remove(&first);
}
END_TEST

START_TEST(the_file_of_a_later_daemon_is_not_removed)
{
	struct pidfile first = PIDFILE_NONE, second = PIDFILE_NONE;
	pid_t holder;

	ck_assert_int_eq(pidfile_lock(path, &first, &holder), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(pidfile_lock(path, &second, &holder), 0);
	pidfile_remove(&first);
	ck_assert_int_eq(access(path, F_OK), 0);
	pidfile_remove(&second);
}
END_TEST

START_TEST(a_worker_that_closes_its_copy_does_not_unlock)
{
	struct pidfile p = PIDFILE_NONE, other = PIDFILE_NONE;
	pid_t holder, child;

	ck_assert_int_eq(pidfile_lock(path, &p, &holder), 0);
	child = fork();
	if (child == 0) {
		close(p.fd);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	ck_assert_int_eq(pidfile_lock(path, &other, &holder), -EBUSY);
	pidfile_remove(&p);
}
END_TEST

START_TEST(a_path_that_cannot_be_made_is_an_error)
{
	struct pidfile p = PIDFILE_NONE;
	pid_t holder;

	ck_assert_int_eq(pidfile_lock("/proc/none/pid", &p, &holder), -ENOENT);
	ck_assert_int_eq(p.fd, -1);
}
END_TEST

START_TEST(who_holds_the_lock_can_be_handed_it)
{
	struct pidfile p = PIDFILE_NONE, taken = PIDFILE_NONE;
	pid_t holder;
	int other;

	ck_assert_int_eq(pidfile_lock(path, &p, &holder), 0);
	ck_assert_int_eq(pidfile_take(path, p.fd, &taken), 0);
	ck_assert_int_eq(taken.fd, p.fd);
	other = open(path, O_RDWR);
	ck_assert_int_eq(pidfile_take(path, other, &taken), -EAGAIN);
	close(other);
	pidfile_remove(&taken);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pidfile");
	TCase *c = tcase_create("pidfile");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, it_names_this_process_and_goes_with_it);
	tcase_add_test(c, who_holds_the_lock_can_be_handed_it);
	tcase_add_test(c, a_second_daemon_is_refused_and_told_who_holds_it);
	tcase_add_test(c, the_file_of_a_later_daemon_is_not_removed);
	tcase_add_test(c, a_worker_that_closes_its_copy_does_not_unlock);
	tcase_add_test(c, a_path_that_cannot_be_made_is_an_error);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
