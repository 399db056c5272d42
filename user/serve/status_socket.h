/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Unix socket: who connects is given the status as one line of JSON, and the connection is
 * closed. Served by the loop; a reader that is slow is waited for, a few seconds, and nobody waits
 * for it.
 */
#ifndef GRADWATCH_SERVE_STATUS_SOCKET_H
#define GRADWATCH_SERVE_STATUS_SOCKET_H

#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

#define STATUS_SOCKET_DEFAULT     "/run/gradwatch/gradwatch.sock"
#define STATUS_SOCKET_CONNECTIONS 8 /* at one time; more are closed at once */

struct status_socket;

/* The answer, malloc'ed; NULL: out of memory. */
typedef char *(*status_answer)(void *context, size_t *length);

/*
 * Listens at path, mode 0660, of this process's user and group; makes the folder that it is in, if
 * that is missing. A socket that nobody listens at is replaced. Peers are root, this user, and
 * members of the socket's group. -EADDRINUSE: another gradwatch listens there.
 */
int status_socket_open(struct status_socket **out, const char *path, struct loop *loop, int order,
		       status_answer answer, void *context, struct err *err);

/* Removes the socket. NULL-safe. */
void status_socket_close(struct status_socket *socket);

/*
 * The client's side: what the gradwatch at path answers, malloc'ed and ended by NUL. NULL with the
 * cause and the fix.
 */
char *status_socket_ask(const char *path, size_t *length, struct err *err);

#endif
