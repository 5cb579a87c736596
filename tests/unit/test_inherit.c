/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors under names, in and out of the environment; a connection that another process left,
 * and what of it is not believed; the service manager's watchdog.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/daemon/inherit.h"
#include "../../src/daemon/notify.h"
#include "../../src/daemon/takeover.h"
#include "../../src/daemon/watchdog.h"
#include "clock.h"
#include "unit.h"

static struct inherited in;
static unsigned n;

static void setup(void)
{
	inherit_none(&in);
}

static unsigned listen_to(const char *fds, const char *names)
{
	inherit_none(&in);
	return inherit_parse_listen(fds, names, &in, &n);
}

static unsigned words(const char *text)
{
	inherit_none(&in);
	return inherit_parse_words(text, &in);
}

/* --- names ------------------------------------------------------------------------------ */

START_TEST(names_of_the_service_manager_are_found_in_any_order)
{
	ck_assert_uint_eq(
		listen_to("5",
			"lxcfs1-clone1:lxcfs1-memory:lxcfs1-mount:lxcfs1-device:lxcfs1-clone0"),
		0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(in.clones[1], 3);
	ck_assert_int_eq(in.memory, 4);
	ck_assert_int_eq(in.mount, 5);
	ck_assert_int_eq(in.device, 6);
	ck_assert_int_eq(in.clones[0], 7);
	ck_assert_int_eq(in.pidfile, -1);
	ck_assert_int_eq(in.clones[2], -1);
}
END_TEST

START_TEST(names_that_are_not_ours_are_counted)
{
	ck_assert_uint_eq(listen_to("3", "stored:lxcfs2-memory:lxcfs1-device"), 2);
	ck_assert_int_eq(in.memory, -1);
	ck_assert_int_eq(in.device, 5);
	ck_assert_uint_eq(listen_to("2", "lxcfs1-memory:lxcfs1-memory"), 1);
	ck_assert_int_eq(in.memory, 3);
	ck_assert_uint_eq(listen_to("2", "lxcfs1-clone16:lxcfs1-clone"), 2);
	ck_assert_uint_eq(listen_to("2", "lxcfs1-clone-1:lxcfs1-clone1x"), 2);
	ck_assert_uint_eq(listen_to("2", NULL), 2);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(listen_to("3", "lxcfs1-memory"), 2);
	ck_assert_uint_eq(listen_to("1", "lxcfs1-memory:lxcfs1-device"), 0);
	ck_assert_int_eq(in.device, -1);
}
END_TEST

START_TEST(a_number_of_descriptors_that_cannot_be_right_gives_none)
{
	static const char *const wrong[] = { "", "x", "-1", "1025", "99999999999999999999", "2 " };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(listen_to(wrong[i], "lxcfs1-memory") == 1, "'%s'", wrong[i]);
		ck_assert_uint_eq(n, 0);
		ck_assert_int_eq(in.memory, -1);
	}
	ck_assert_uint_eq(listen_to("0", ""), 0);
}
END_TEST

START_TEST(words_with_numbers_are_found)
{
	ck_assert_uint_eq(words("lxcfs1-memory=5 lxcfs1-clone15=20 lxcfs1-pidfile=3"), 0);
	ck_assert_int_eq(in.memory, 5);
	ck_assert_int_eq(in.clones[15], 20);
	ck_assert_int_eq(in.pidfile, 3);
	ck_assert_uint_eq(words(""), 0);
	ck_assert_uint_eq(words("lxcfs1-memory lxcfs1-device= =5 lxcfs1-mount=2 lxcfs1-pidfile=-1 "
				"lxcfs1-clone0=99999999999 other=5 lxcfs1-clone1=6x"),
		8);
	ck_assert_int_eq(in.memory, -1);
	ck_assert_int_eq(in.mount, -1);
}
END_TEST

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_gt(fd, 2);
	return fd;
}

START_TEST(what_one_process_leaves_the_next_one_takes)
{
	struct inherited left, taken;
	unsigned strangers;

	inherit_none(&left);
	left.memory = open_null();
	left.device = open_null();
	left.clones[0] = open_null();
	left.clones[15] = open_null();
	left.pidfile = open_null();
	ck_assert_int_eq(inherit_leave(&left), 0);
	ck_assert_int_eq(fcntl(left.device, F_GETFD), 0);
	ck_assert_int_eq(inherit_take(&taken, &strangers), INHERIT_BEFORE);
	ck_assert_uint_eq(strangers, 0);
	ck_assert_mem_eq(&taken, &left, sizeof(left));
	ck_assert_int_eq(fcntl(left.device, F_GETFD), FD_CLOEXEC);
	ck_assert_ptr_null(getenv(INHERIT_VARIABLE));
	ck_assert_int_eq(inherit_take(&taken, &strangers), INHERIT_NOTHING);
	ck_assert_int_eq(inherit_leave(&left), 0);
	inherit_keep(&left);
	ck_assert_ptr_null(getenv(INHERIT_VARIABLE));
	ck_assert_int_eq(fcntl(left.clones[15], F_GETFD), FD_CLOEXEC);
	inherit_close(&left);
	ck_assert_int_eq(left.clones[15], -1);
}
END_TEST

START_TEST(what_is_for_another_process_is_left_alone)
{
	struct inherited taken;
	unsigned strangers;

	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "lxcfs1-memory", 1);
	ck_assert_int_eq(inherit_take(&taken, &strangers), INHERIT_NOTHING);
	ck_assert_int_eq(taken.memory, -1);
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
}
END_TEST

/* In a process of its own, for the numbers begin where Check's are. Its exit status. */
static int take_from_manager(void)
{
	struct inherited taken;
	unsigned strangers;
	char pid[16];
	const int null = open_null();

	for (int fd = 3; fd <= 6; fd++)
		if (fd != null)
			dup2(null, fd);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_FDNAMES", "lxcfs1-memory:stored:lxcfs1-device", 1);
	if (inherit_take(&taken, &strangers) != INHERIT_MANAGER || strangers != 1)
		return 1;
	if (taken.memory != 3 || taken.device != 5)
		return 2;
	if (fcntl(3, F_GETFD) != FD_CLOEXEC || fcntl(5, F_GETFD) != FD_CLOEXEC)
		return 3;
	return fcntl(4, F_GETFD) >= 0 ? 4 : fcntl(6, F_GETFD) < 0 ? 5 : 0;
}

START_TEST(of_what_the_manager_gives_only_what_is_nobodys_is_closed)
{
	int status;
	const pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(take_from_manager());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* --- a connection that was left ----------------------------------------------------------- */

static void assert_refused(const char *reason)
{
	autotext why = { 0 };

	ck_assert_int_lt(takeover_check(&in, &why), 0);
	text_add(&why, "", 1);
	ck_assert_msg(strstr(why.data, reason), "'%s', wanted '%s'", why.data, reason);
}

START_TEST(what_is_missing_or_no_connection_is_refused)
{
	assert_refused("missing");
	in.memory = open_null();
	assert_refused("missing");
	in.device = open_null();
	in.clones[0] = open_null();
	assert_refused("something else");
	inherit_close(&in);
}
END_TEST

static struct handover_init granted(void)
{
	struct {
		struct fuse_out_header header;
		struct fuse_init_out out;
	} reply = { .header = { .len = sizeof(reply) },
		.out = { .major = 7,
			.minor = 31,
			.flags = FUSE_ASYNC_READ | FUSE_MAX_PAGES,
			.max_write = 4096,
			.max_pages = 256 } };
	struct handover_init init = { .request_len = 80, .reply_len = sizeof(reply) };

	memcpy(init.reply, &reply, sizeof(reply));
	return init;
}

static struct fuse_init_out *out_of(struct handover_init *init)
{
	return (void *)(init->reply + sizeof(struct fuse_out_header));
}

static void assert_unfit(const struct handover_init *init, const char *reason)
{
	autotext why = { 0 };

	ck_assert_int_lt(connection_fits(init, &why), 0);
	text_add(&why, "", 1);
	ck_assert_msg(strstr(why.data, reason), "'%s', wanted '%s'", why.data, reason);
}

START_TEST(only_what_this_version_can_serve_fits)
{
	autotext why = { 0 };
	struct handover_init init = granted();

	ck_assert_int_eq(connection_fits(&init, &why), 0);
	ck_assert_uint_eq(why.len, 0);
	out_of(&init)->minor = 99;
	assert_unfit(&init, "7.99");
	init = granted();
	out_of(&init)->minor = 22;
	assert_unfit(&init, "7.22");
	init = granted();
	out_of(&init)->major = 8;
	assert_unfit(&init, "8.31");
	init = granted();
	out_of(&init)->flags |= FUSE_WRITEBACK_CACHE;
	assert_unfit(&init, "flags");
	init = granted();
	out_of(&init)->flags2 = 1;
	assert_unfit(&init, "flags");
	init = granted();
	out_of(&init)->max_write = 131072;
	assert_unfit(&init, "131072 bytes");
	init = granted();
	out_of(&init)->max_pages = 257;
	assert_unfit(&init, "257 pages");
	init = granted();
	init.reply_len = 24;
	assert_unfit(&init, "nothing");
	memset(&init, 0, sizeof(init));
	assert_unfit(&init, "nothing");
}
END_TEST

/* --- the service manager ------------------------------------------------------------------ */

static char directory[] = "/tmp/lxcfs-notify-XXXXXX";
static char socket_path[64];
static int manager;

static void listen_as_manager(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/notify", directory);
	strcpy(a.sun_path, socket_path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", socket_path, 1);
}

static void stop_listening(void)
{
	close(manager);
	unlink(socket_path);
	rmdir(directory);
	unsetenv("NOTIFY_SOCKET");
}

/* The next message, with the descriptor that came with it (-1: none); "" when there is none. */
static const char *message(int *ret_fd)
{
	static char text[1024];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t length = recvmsg(manager, &m, MSG_CMSG_CLOEXEC);

	text[length > 0 ? length : 0] = '\0';
	*ret_fd = -1;
	if (length > 0 && CMSG_FIRSTHDR(&m))
		memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*ret_fd));
	return text;
}

START_TEST(a_message_arrives_as_it_was_sent)
{
	int fd;

	listen_as_manager();
	ck_assert(notify_is_heard());
	notify("READY=1\nMAINPID=%d", 7);
	ck_assert_str_eq(message(&fd), "READY=1\nMAINPID=7");
	ck_assert_int_eq(fd, -1);
	stop_listening();
	ck_assert(!notify_is_heard());
	notify("READY=1");
	in.memory = open_null();
	ck_assert_int_eq(notify_store(&in), -ENOTCONN);
	inherit_close(&in);
}
END_TEST

START_TEST(descriptors_arrive_under_their_names)
{
	int fd;

	listen_as_manager();
	in.memory = open_null();
	in.clones[3] = open_null();
	ck_assert_int_eq(notify_store(&in), 0);
	ck_assert_str_eq(message(&fd), "FDSTORE=1\nFDPOLL=0\nFDNAME=lxcfs1-memory");
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_str_eq(message(&fd), "FDSTORE=1\nFDPOLL=0\nFDNAME=lxcfs1-clone3");
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_str_eq(message(&fd), "");
	notify_unstore(&in);
	ck_assert_str_eq(message(&fd), "FDSTOREREMOVE=1\nFDNAME=lxcfs1-memory");
	ck_assert_str_eq(message(&fd), "FDSTOREREMOVE=1\nFDNAME=lxcfs1-clone3");
	inherit_close(&in);
	stop_listening();
}
END_TEST

START_TEST(a_watchdog_of_another_process_is_none)
{
	ck_assert_uint_eq(watchdog_parse("30000000", NULL, 7), 30 * NS_PER_S);
	ck_assert_uint_eq(watchdog_parse("30000000", "7", 7), 30 * NS_PER_S);
	ck_assert_uint_eq(watchdog_parse("30000000", "8", 7), 0);
	ck_assert_uint_eq(watchdog_parse("30000000", "", 7), 0);
	ck_assert_uint_eq(watchdog_parse(NULL, "7", 7), 0);
	ck_assert_uint_eq(watchdog_parse("soon", "7", 7), 0);
	ck_assert_uint_eq(watchdog_parse("0", "7", 7), 0);
	ck_assert_uint_eq(watchdog_parse("18446744073709551615", "7", 7), 0);
}
END_TEST

/* One look, now; whether the manager was told that all is well. */
static bool look(struct watchdog *w, struct handover *h, const struct connection *c, bool *replace)
{
	int fd;

	w->due_ns = 0;
	*replace = watchdog_look(w, h, c);
	return strcmp(message(&fd), "WATCHDOG=1") == 0;
}

START_TEST(the_watchdog_is_fed_while_requests_come_and_go_or_none_is_there)
{
	struct watchdog w = { .period_ns = NS_PER_S };
	const struct connection c = { .device = open_null(), .n = 2 };
	struct fuse_in_header request = { .len = 40, .unique = 2 };
	struct handover *h;
	bool replace;
	int fd, none;

	ck_assert_int_eq(handover_new(&fd, &h), 0);
	listen_as_manager();
	/* poll(2) says of /dev/null that there is something to read: as if requests were queued */
	memcpy(h->slots[0].request, &request, sizeof(request));
	ck_assert(look(&w, h, &c, &replace) && !replace);
	ck_assert(!look(&w, h, &c, &replace) && !replace);
	request.unique = 4;
	memcpy(h->slots[1].request, &request, sizeof(request));
	ck_assert(look(&w, h, &c, &replace) && !replace);
	ck_assert(!look(&w, h, &c, &replace) && !replace);
	ck_assert(!look(&w, h, &c, &replace) && replace);
	ck_assert(!look(&w, h, &c, &replace) && !replace);
	close(c.device);
	handover_slot_done(&h->slots[0]);
	handover_slot_done(&h->slots[1]);
	ck_assert(look(&w, h, &(struct connection){ .device = -1, .n = 2 }, &replace) && !replace);
	ck_assert(!watchdog_look(&w, h, &c)); /* not due */
	ck_assert_str_eq(message(&none), "");
	stop_listening();
	handover_free(h);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inherit");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, names_of_the_service_manager_are_found_in_any_order);
	tcase_add_test(c, names_that_are_not_ours_are_counted);
	tcase_add_test(c, a_number_of_descriptors_that_cannot_be_right_gives_none);
	tcase_add_test(c, words_with_numbers_are_found);
	tcase_add_test(c, what_one_process_leaves_the_next_one_takes);
	tcase_add_test(c, what_is_for_another_process_is_left_alone);
	tcase_add_test(c, of_what_the_manager_gives_only_what_is_nobodys_is_closed);
	tcase_add_test(c, what_is_missing_or_no_connection_is_refused);
	tcase_add_test(c, only_what_this_version_can_serve_fits);
	tcase_add_test(c, a_message_arrives_as_it_was_sent);
	tcase_add_test(c, descriptors_arrive_under_their_names);
	tcase_add_test(c, a_watchdog_of_another_process_is_none);
	tcase_add_test(c, the_watchdog_is_fed_while_requests_come_and_go_or_none_is_there);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
