// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/status_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define PATIENCE_NS 5000000000ull /* for a reader, in all */
#define AGAIN_NS    1000000ull    /* until it is tried whether it has read */
#define GROUPS_MAX  1024          /* of a peer */

struct connection {
	struct status_socket *socket;
	struct loop_source *source;
	int fd; /* -1: free */
	char *answer;
	size_t length, sent;
	uint64_t deadline;
};

struct status_socket {
	struct loop *loop;
	int order;
	struct loop_source *source;
	int fd;
	gid_t group;
	struct sockaddr_un address;
	status_answer answer;
	void *context;
	struct connection connection[STATUS_SOCKET_CONNECTIONS];
};

static void end_connection(struct connection *connection)
{
	loop_remove(connection->socket->loop, connection->source);
	close(connection->fd);
	free(connection->answer);
	connection->fd = -1;
	connection->answer = NULL;
}

/* Sends what the peer takes now, and comes back for the rest. */
static bool serve_connection(void *context)
{
	struct connection *connection = context;
	uint64_t now = clock_monotonic();
	ssize_t sent = send(connection->fd, connection->answer + connection->sent,
			    connection->length - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent > 0)
		connection->sent += (size_t)sent;
	if (connection->sent == connection->length || now >= connection->deadline ||
	    (sent < 0 && errno != EAGAIN && errno != EINTR)) {
		end_connection(connection);
		return false;
	}
	loop_wake_at(connection->source, now + AGAIN_NS);
	return false;
}

static bool is_in_group(int fd, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The socket's mode says the same, but a descriptor may have been handed on. */
static bool may_ask(const struct status_socket *socket, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	return !peer.uid || peer.uid == geteuid() || peer.gid == socket->group ||
	       is_in_group(fd, socket->group);
}

static struct connection *free_connection(struct status_socket *socket)
{
	for (int i = 0; i < STATUS_SOCKET_CONNECTIONS; i++)
		if (socket->connection[i].fd < 0)
			return &socket->connection[i];
	return NULL;
}

static void answer_peer(struct status_socket *socket, int fd)
{
	struct connection *connection = may_ask(socket, fd) ? free_connection(socket) : NULL;
	size_t length = 0;
	char *text = connection ? socket->answer(socket->context, &length) : NULL;

	if (!text) {
		close(fd);
		return;
	}
	*connection = (struct connection){
		.socket = socket,
		.fd = fd,
		.answer = text,
		.length = length,
		.deadline = clock_monotonic() + PATIENCE_NS,
		.source = loop_add(socket->loop, -1, socket->order, serve_connection, connection),
	};
	if (connection->source)
		serve_connection(connection);
	else
		end_connection(connection);
}

/* One per turn. */
static bool serve_listener(void *context)
{
	struct status_socket *socket = context;
	int fd = accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		answer_peer(socket, fd);
	return false;
}

static int set_address(struct sockaddr_un *address, const char *path, struct err *err)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "'%s' is too long for a socket: at most %zu bytes", path,
			       sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, path);
	return 0;
}

static void make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char *slash;

	str_format(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return;
	*slash = '\0';
	mkdir(folder, 0755);
}

/* Somebody listens there: who. 0: nobody. */
static pid_t listener_of(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer.pid = 0;
	close(fd);
	return peer.pid;
}

static bool is_socket(const char *path)
{
	struct stat found;

	return !lstat(path, &found) && S_ISSOCK(found.st_mode);
}

static int bind_to(struct status_socket *socket, struct err *err)
{
	const char *path = socket->address.sun_path;
	pid_t other = listener_of(&socket->address);
	struct stat made;
	mode_t mask;
	int code;

	if (other)
		return err_set(err, -EADDRINUSE,
			       "gradwatch runs already, as process %d, and listens at '%s': ask it "
			       "with 'gradwatch status', or use another --socket",
			       other, path);
	if (is_socket(path))
		unlink(path);
	make_folder(path);
	mask = umask(0117);
	code = bind(socket->fd, (struct sockaddr *)&socket->address, sizeof(socket->address))
		       ? -errno
		       : 0;
	umask(mask);
	if (!code && listen(socket->fd, STATUS_SOCKET_CONNECTIONS))
		code = -errno;
	if (code)
		return err_set(err, code, "cannot listen at '%s': %s", path, strerror(-code));
	socket->group = stat(path, &made) ? getegid() : made.st_gid;
	return 0;
}

int status_socket_open(struct status_socket **out, const char *path, struct loop *loop, int order,
		       status_answer answer, void *context, struct err *err)
{
	struct status_socket *made = calloc(1, sizeof(*made));
	int code;

	if (!made)
		return err_set(err, -ENOMEM, "out of memory");
	*made = (struct status_socket){
		.loop = loop, .order = order, .answer = answer, .context = context};
	for (int i = 0; i < STATUS_SOCKET_CONNECTIONS; i++)
		made->connection[i].fd = -1;
	made->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	code = made->fd < 0 ? err_set(err, -errno, "cannot make a socket: %s", strerror(errno))
			    : set_address(&made->address, path, err);
	if (!code)
		code = bind_to(made, err);
	if (!code) {
		made->source = loop_add(loop, made->fd, order, serve_listener, made);
		if (!made->source)
			code = err_set(err, -ENOMEM, "out of memory");
	}
	if (code) {
		if (made->fd >= 0)
			close(made->fd);
		free(made);
		return code;
	}
	*out = made;
	return 0;
}

void status_socket_close(struct status_socket *socket)
{
	if (!socket)
		return;
	unlink(socket->address.sun_path);
	for (int i = 0; i < STATUS_SOCKET_CONNECTIONS; i++)
		if (socket->connection[i].fd >= 0)
			end_connection(&socket->connection[i]);
	loop_remove(socket->loop, socket->source);
	close(socket->fd);
	free(socket);
}

/* --- the client's side -------------------------------------------------------------------------
 */

static int connect_to(const char *path, struct err *err)
{
	struct sockaddr_un address;
	int fd, code = set_address(&address, path, err);

	if (code)
		return code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	code = -errno;
	close(fd);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return err_set(err, code,
			       "no gradwatch listens at '%s': start it with --all --socket %s, or "
			       "give the --socket that it has",
			       path, path);
	return err_set(err, code, "cannot ask the gradwatch at '%s': %s%s", path, strerror(-code),
		       code == -EACCES ? ": run as root (sudo gradwatch status)" : "");
}

/* Appends what the peer sends until it ends. 0 or negative errno. */
static int receive(int fd, char **text, size_t *length)
{
	size_t size = 0;
	ssize_t got = 1;

	*text = NULL;
	*length = 0;
	while (got > 0) {
		if (size - *length < 2) {
			char *grown = realloc(*text, size ? 2 * size : 65536);

			if (!grown)
				return -ENOMEM;
			*text = grown;
			size = size ? 2 * size : 65536;
		}
		got = read(fd, *text + *length, size - *length - 1);
		if (got < 0 && errno != EINTR)
			return -errno;
		*length += got > 0 ? (size_t)got : 0;
		got = got < 0 ? 1 : got;
	}
	(*text)[*length] = '\0';
	return 0;
}

char *status_socket_ask(const char *path, size_t *length, struct err *err)
{
	const struct timeval patience = {.tv_sec = 10};
	char *text = NULL;
	int fd = connect_to(path, err), code;

	if (fd < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	code = receive(fd, &text, length);
	close(fd);
	if (!code && *length && text[*length - 1] == '\n')
		return text;
	free(text);
	if (code == -EAGAIN)
		err_set(err, code, "the gradwatch at '%s' has not answered for 10 s", path);
	else
		err_set(err, code ? code : -EPROTO,
			"the gradwatch at '%s' gave no whole answer: %s", path,
			code ? strerror(-code) : "it is busy; try again");
	return NULL;
}
