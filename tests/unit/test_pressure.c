/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of triggers, and what captured cgroups say of their pressure. What the kernel takes was
 * tried with Linux 6.18 by a writer without CAP_SYS_RESOURCE.
 */
#include <errno.h>
#include <sys/mman.h>

#include "cgroup_machine.h"
#include "cleanup.h"
#include "pressure.h"

START_TEST(what_the_kernel_takes_from_everybody_is_a_trigger)
{
	static const struct {
		const char *text;
		struct pressure_trigger trigger;
	} cases[] = {
		{ "some 150000 2000000", { false, 150000, 2000000 } },
		{ "full 150000 2000000\n", { true, 150000, 2000000 } },
		{ "some 1 2000000", { false, 1, 2000000 } },
		{ "some 2000000 2000000", { false, 2000000, 2000000 } },
		{ "some 150000 4000000", { false, 150000, 4000000 } },
		{ "some 10000000 10000000", { false, 10000000, 10000000 } },
		{ "some\t150000 \n 2000000", { false, 150000, 2000000 } },
		{ "some150000 2000000", { false, 150000, 2000000 } },
		{ "some 0000150000 2000000", { false, 150000, 2000000 } },
		{ "some 150000 2000000x", { false, 150000, 2000000 } },
		{ "some 150000 2000000 full 1 1", { false, 150000, 2000000 } },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct pressure_trigger t;

		ck_assert_msg(
			pressure_trigger_parse(slice_str(cases[i].text), &t), "%s", cases[i].text);
		ck_assert_int_eq(t.full, cases[i].trigger.full);
		ck_assert_uint_eq(t.threshold_us, cases[i].trigger.threshold_us);
		ck_assert_uint_eq(t.window_us, cases[i].trigger.window_us);
	}
}
END_TEST

START_TEST(anything_else_is_not_and_writes_nothing)
{
	static const char *const cases[] = {
		"",
		"\n",
		"s",
		"some",
		"some ",
		"full 150000",
		" some 150000 2000000",
		"Some 150000 2000000",
		"both 150000 2000000",
		"some,150000 2000000",
		"some +150000 2000000",
		"some -150000 2000000",
		"some 0x10 2000000",
		"some 150000, 2000000",
		"some 0 2000000",          /* no threshold */
		"some 2000001 2000000",    /* more than there is in a window */
		"some 150000 499999",      /* windows: from 500 ms */
		"some 150000 10000001",    /* to 10 s */
		"some 150000 12000000",    /* multiples of 2 s */
		"some 150000 1000000",     /* only they are for everybody */
		"some 150000 3000000",     /* the same */
		"some 150000 0",           /* a multiple of 2 s */
		"some 4295117296 2000000", /* 150000 + 2^32, which the kernel takes: nobody means it
					    */
		"some 150000 4296967296",  /* 2000000 + 2^32 */
		"some 18446744073709701616 2000000", /* 150000 + 2^64 */
		"some 99999999999999999999999999 99999999999999999999999999",
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct pressure_trigger t = { true, 1, 2 };

		ck_assert_msg(!pressure_trigger_parse(slice_str(cases[i]), &t), "%s", cases[i]);
		ck_assert(t.full && t.threshold_us == 1 && t.window_us == 2);
	}
}
END_TEST

START_TEST(a_trigger_ends_at_its_nul)
{
	static const char cut[] = "some 150000 2000000\0"
				  "999",
			  inside[] = "some 150000 \0"
				     "2000000";
	struct pressure_trigger t;

	ck_assert(pressure_trigger_parse((struct slice){ cut, sizeof(cut) - 1 }, &t));
	ck_assert_uint_eq(t.window_us, 2000000);
	ck_assert(!pressure_trigger_parse((struct slice){ inside, sizeof(inside) - 1 }, &t));
	/* Not a byte behind the slice is looked at. */
	ck_assert(!pressure_trigger_parse((struct slice){ cut, 12 }, &t));
}
END_TEST

START_TEST(the_longest_trigger_fits_what_the_kernel_reads)
{
	const struct pressure_trigger t = { true, 10000000, 10000000 };
	char text[PRESSURE_TRIGGER_TEXT];

	pressure_trigger_format(&t, text);
	ck_assert_str_eq(text, "full 10000000 10000000");
}
END_TEST

START_TEST(pressure_is_the_own_cgroups_and_no_ancestors)
{
	static const struct {
		const char *machine, *path, *text; /* NULL: none */
	} cases[] = {
		{ "v2-cpu", "/ct/a", "full avg10=0.07 avg60=0.03 avg300=0.01 total=4321\n" },
		{ "v2-cpu", "/ct/off", NULL }, { "v2-cpu", "/", NULL }, { "hybrid-cpu", "/", NULL },
		{ "v1-comounted", "/ct/a", NULL }, /* has no such hierarchy */
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct machine m = machine_open(cases[i].machine);
		struct cgroup_set *s = set_at(&m, cases[i].path);
		autotext t = { 0 };

		ck_assert_int_eq(cgroup_pressure(s, PRESSURE_IRQ, &t), cases[i].text ? 0 : -ENOENT);
		ck_assert(slice_equal(slice_of(&t), cases[i].text ? cases[i].text : ""));
		cgroup_set_free(s);
		machine_close(&m);
	}
}
END_TEST

START_TEST(stalls_are_counted_by_kind)
{
	static const char file[] =
		"some avg10=1.00 avg60=2.00 avg300=3.00 total=18446744073709551615\n"
		"full avg10=0.50 avg60=0.60 avg300=0.70 total=77\n";
	struct pressure_trigger some = { .full = false }, full = { .full = true };
	int fd = memfd_create("pressure", MFD_CLOEXEC);
	uint64_t us = 5;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cgroup_pressure_total(fd, &some, &us), -EBADMSG);
	ck_assert_uint_eq(us, 5);
	ck_assert_int_eq(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
	ck_assert_int_eq(cgroup_pressure_total(fd, &some, &us), 0);
	ck_assert_uint_eq(us, UINT64_MAX);
	ck_assert_int_eq(cgroup_pressure_total(fd, &full, &us), 0);
	ck_assert_uint_eq(us, 77);
	close(fd);
	ck_assert_int_eq(cgroup_pressure_total(fd, &full, &us), -EBADF);
}
END_TEST

START_TEST(nothing_is_armed_where_there_is_no_file)
{
	const struct pressure_trigger t = { false, 150000, 2000000 };
	struct machine m = machine_open("v2-cpu");
	struct cgroup_set *s = set_at(&m, "/ct/off");
	uint64_t us;

	ck_assert_int_eq(cgroup_pressure_arm(s, PRESSURE_CPU, &t, &us), -ENOENT);
	cgroup_set_free(s);
	machine_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pressure");
	TCase *c = tcase_create("pressure");

	tcase_add_test(c, what_the_kernel_takes_from_everybody_is_a_trigger);
	tcase_add_test(c, anything_else_is_not_and_writes_nothing);
	tcase_add_test(c, a_trigger_ends_at_its_nul);
	tcase_add_test(c, the_longest_trigger_fits_what_the_kernel_reads);
	tcase_add_test(c, pressure_is_the_own_cgroups_and_no_ancestors);
	tcase_add_test(c, stalls_are_counted_by_kind);
	tcase_add_test(c, nothing_is_armed_where_there_is_no_file);
	suite_add_tcase(s, c);
	return unit_run(s);
}
