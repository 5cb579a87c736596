/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/cpuinfo: the kernel's records of the visible CPUs, byte for byte but for the lines that
 * count what is shown (SPEC 5). Formats are host/cpuinfo_parse.c's business.
 */
#include <errno.h>

#include "cleanup.h"
#include "view.h"

/* What is shown of one package. */
struct package {
	int64_t id;
	uint64_t siblings, cores;
};

struct counts {
	struct package *packages; /* ascending ids */
	size_t n_packages;
	uint64_t processors;
};

struct cpu_place {
	int64_t package, core;
};

static bool shown(const struct host_cpuinfo_part *part, const struct cpumask *visible)
{
	return part->cpu < 0 || cpumask_has(visible, (unsigned)part->cpu);
}

static int compare_i64(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_places(const void *a, const void *b)
{
	const struct cpu_place *x = a, *y = b;
	int r = compare_i64(x->package, y->package);

	return r ? r : compare_i64(x->core, y->core);
}

static int compare_packages(const void *a, const void *b)
{
	return compare_i64(((const struct package *)a)->id, ((const struct package *)b)->id);
}

/* The shown CPUs that say where they are, ordered by package and core. */
static size_t gather_places(
	const struct host_cpuinfo *info, const struct cpumask *visible, struct cpu_place *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < info->n_parts; i++) {
		const struct host_cpuinfo_part *part = &info->parts[i];

		if (shown(part, visible) && part->cpu >= 0 && part->package >= 0)
			ret[n++] = (struct cpu_place){ part->package, part->core };
	}
	qsort(ret, n, sizeof(*ret), compare_places);
	return n;
}

static int count_packages(
	const struct host_cpuinfo *info, const struct cpumask *visible, struct counts *ret)
{
	autofree struct cpu_place *places = calloc(info->n_parts + 1, sizeof(*places));
	autofree struct package *packages = calloc(info->n_parts + 1, sizeof(*packages));
	size_t n, used = 0;

	if (!places || !packages)
		return -ENOMEM;
	n = gather_places(info, visible, places);
	for (size_t i = 0; i < n; i++) {
		bool new_package = i == 0 || places[i].package != places[i - 1].package;

		if (new_package)
			packages[used++].id = places[i].package;
		packages[used - 1].siblings++;
		packages[used - 1].cores += new_package || places[i].core != places[i - 1].core;
	}
	ret->packages = steal_ptr(&packages);
	ret->n_packages = used;
	return 0;
}

/* How many different CPUs there are records of, and how many of them are shown. */
static void count_processors(const struct host_cpuinfo *info, const struct cpumask *visible,
	uint64_t *ret_all, uint64_t *ret_shown)
{
	struct cpumask cpus;

	cpumask_clear(&cpus);
	for (size_t i = 0; i < info->n_parts; i++)
		if (info->parts[i].cpu >= 0)
			cpumask_set(&cpus, (unsigned)info->parts[i].cpu);
	*ret_all = cpumask_count(&cpus);
	cpumask_and(&cpus, visible);
	*ret_shown = cpumask_count(&cpus);
}

/* The number that belongs into a counting line; false: the kernel's stays. */
static bool recount(const struct host_cpuinfo_part *part, enum host_cpuinfo_count count,
	const struct counts *counts, uint64_t *ret)
{
	const struct package key = { .id = part->package }, *package;

	if (count == HOST_CPUINFO_PROCESSORS) {
		*ret = counts->processors;
		return true;
	}
	package =
		bsearch(&key, counts->packages, counts->n_packages, sizeof(key), compare_packages);
	if (!package)
		return false;
	*ret = count == HOST_CPUINFO_SIBLINGS ? package->siblings : package->cores;
	return true;
}

static void print_part(
	const struct host_cpuinfo_part *part, const struct counts *counts, struct text *t)
{
	const char *at = part->text.p, *const end = at + part->text.n;

	for (unsigned i = 0; i < HOST_CPUINFO_COUNTS; i++) {
		const struct slice *number = &part->count[i];
		uint64_t value;

		if (!number->p || number->p < at || !recount(part, i, counts, &value))
			continue;
		text_add(t, at, (size_t)(number->p - at));
		text_u64(t, value, 0);
		at = number->p + number->n;
	}
	text_add(t, at, (size_t)(end - at));
}

static int print_shown(
	const struct host_cpuinfo *info, const struct cpumask *visible, struct text *t)
{
	struct counts counts = { 0 };
	uint64_t all;
	int r;

	count_processors(info, visible, &all, &counts.processors);
	if (counts.processors == all) {
		text_add(t, info->text.data, info->text.len);
		return text_error(t);
	}
	if (counts.processors == 0)
		return -EIO; /* came online this instant; a file without any CPU is no answer */
	r = count_packages(info, visible, &counts);
	for (size_t i = 0; r == 0 && i < info->n_parts; i++)
		if (shown(&info->parts[i], visible))
			print_part(&info->parts[i], &counts, t);
	free(counts.packages);
	return r < 0 ? r : text_error(t);
}

int view_cpuinfo(const struct view_args *a, struct text *t)
{
	autohost const struct host_cpuinfo *info = NULL;
	struct cpumask visible;
	int r = view_visible_cpus(a, &visible);

	if (r == 0)
		r = host_cpuinfo(a->host, a->now_ns, a->compat32, &info);
	return r != 0 ? r : print_shown(info, &visible, t);
}
