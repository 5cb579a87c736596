/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's own files. The first byte chooses one, the rest is its text; what cpuinfo is cut into
 * must be the whole of it, in order.
 */
#include "../../src/host/formats.h"
#include "fuzz.h"
#include "host.h"

static void cpuinfo(struct text text)
{
	struct host_cpuinfo c = { .text = text };

	if (host_cpuinfo_parse(&c) == 0) {
		const char *at = c.text.data;

		for (size_t i = 0; i < c.n_parts; i++) {
			FUZZ_ASSERT(c.parts[i].text.p == at);
			at += c.parts[i].text.n;
		}
		FUZZ_ASSERT(c.n_parts == 0 || at == c.text.data + c.text.len);
	}
	free(c.parts);
	text_free(&c.text);
}

static void stat(struct text text)
{
	struct host_stat s = { .text = text };

	if (host_stat_parse(&s) == 0)
		FUZZ_ASSERT(s.n_cpus > 0 && s.columns <= HOST_STAT_COLUMNS);
	free(s.cpus);
	text_free(&s.text);
}

static void meminfo(struct text text)
{
	struct host_meminfo m = { .text = text };

	host_meminfo_parse(&m);
	free(m.lines);
	text_free(&m.text);
}

static void diskstats(struct text text)
{
	struct host_diskstats d = { .text = text };

	if (host_diskstats_parse(&d) == 0)
		for (size_t i = 0; i < d.n_disks; i++)
			FUZZ_ASSERT(d.disks[i].columns <= HOST_DISK_COLUMNS);
	free(d.disks);
	text_free(&d.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(struct text) = { cpuinfo, stat, meminfo, diskstats };

	if (size > 0)
		parsers[data[0] % countof(parsers)](fuzz_text(data + 1, size - 1));
	return 0;
}
