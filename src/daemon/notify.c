/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One datagram a message. Not libsystemd, which would bring a dozen libraries into the process that
 * must stay small and must not die, for these lines of a protocol that is documented as stable. A
 * manager that does not listen keeps us waiting a second for each message, and no longer.
 */
#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "cleanup.h"
#include "log.h"

#define MESSAGE 512

/* A path, or an abstract name with '@' for its NUL. */
static bool address(struct sockaddr_un *ret, socklen_t *ret_size)
{
	const char *name = getenv("NOTIFY_SOCKET");
	const size_t n = name ? strlen(name) : 0;

	if (n < 2 || (*name != '/' && *name != '@') || n >= sizeof(ret->sun_path))
		return false;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, name, n);
	if (*name == '@')
		ret->sun_path[0] = '\0';
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return true;
}

bool notify_is_heard(void)
{
	struct sockaddr_un a;
	socklen_t size;

	return address(&a, &size);
}

/* `fd`: -1 for none. */
static int send_message(const char *text, int fd)
{
	const struct timeval limit = { .tv_sec = 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec line = { (void *)(uintptr_t)text, strlen(text) };
	struct sockaddr_un to;
	struct msghdr m = { .msg_name = &to, .msg_iov = &line, .msg_iovlen = 1 };
	autoclose int s = -1;

	if (!address(&to, &m.msg_namelen))
		return -ENOTCONN;
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(s, &m, MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == ENOBUFS ? -ENOMEM : -errno; /* which of them is AF_UNIX's matter */
}

int notify(const char *format, ...)
{
	char text[MESSAGE];
	va_list arguments;
	int r;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	r = send_message(text, -1);
	if (r < 0 && r != -ENOTCONN)
		log_limited("notify", "cannot tell the service manager how things stand: %s",
			strerror(-r));
	return r == -ENOTCONN ? 0 : r;
}

/* FDPOLL=0: a manager that polled the device would wake up for every request. */
int notify_store(const struct inherited *in)
{
	char name[INHERIT_NAME], text[MESSAGE];
	unsigned i = 0;
	int fd, r = 0;

	while (r == 0 && inherit_next(in, &i, name, &fd)) {
		snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
		r = send_message(text, fd);
	}
	return r;
}

int notify_unstore(const struct inherited *in)
{
	char name[INHERIT_NAME];
	unsigned i = 0;
	int fd, r = 0;

	while (r == 0 && inherit_next(in, &i, name, &fd))
		r = notify("FDSTOREREMOVE=1\nFDNAME=%s", name);
	return r;
}
