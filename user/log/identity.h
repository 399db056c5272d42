/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each record says of where it is from: a fleet's records are told apart by (host, boot_id,
 * run_id, seq), duplicates are removed by it, and what is missing is seen.
 */
#ifndef GRADWATCH_LOG_IDENTITY_H
#define GRADWATCH_LOG_IDENTITY_H

struct log_identity {
	char host[256];
	char boot_id[40]; /* of the kernel: /proc/sys/kernel/random/boot_id */
	char run_id[17];  /* of this run of gradwatch: 16 hexadecimal digits */
};

/* This host, its boot, and a new run. What cannot be read is "". */
void log_identity_make(struct log_identity *identity);

#endif
