/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: what it turns into, and that whatever is wrong is named in one line.
 */
#include <string.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "options.h"
#include "unit.h"

#define MAX_ARGUMENTS 12

static struct options options;
static char errors[4096];

/* Parses "lxcfs" and `words`, which are separated by blanks. Options point into them, so they stay
 * until the next call. */
static int parse(const char *words)
{
	static char line[4096];
	char *argv[MAX_ARGUMENTS + 1] = { NULL };
	int argc = 0, r;
	FILE *out;

	snprintf(line, sizeof(line), "lxcfs %s", words);
	for (char *word = strtok(line, " "); word && argc < MAX_ARGUMENTS; word = strtok(NULL, " "))
		argv[argc++] = word;
	memset(errors, 0, sizeof(errors));
	out = fmemopen(errors, sizeof(errors) - 1, "w");
	r = options_parse(argc, argv, &options, out);
	fclose(out);
	return r;
}

/* Fails with status 2 and one line that holds `name`. */
static void assert_refused(const char *words, const char *name)
{
	char *end;

	ck_assert_msg(parse(words) == 2, "'%s' is accepted", words);
	end = strchr(errors, '\n');
	ck_assert_msg(end && end[1] == '\0', "'%s': not one line: '%s'", words, errors);
	ck_assert_msg(strstr(errors, name), "'%s': no '%s' in '%s'", words, name, errors);
	ck_assert_msg(strstr(errors, ": ") != strrchr(errors, ':'), "no mending in '%s'", errors);
}

static void assert_accepted(const char *words)
{
	ck_assert_msg(parse(words) == 0, "'%s' is refused: %s", words, errors);
	ck_assert_str_eq(errors, "");
}

START_TEST(a_self_check_takes_the_command_line_it_would_serve_by)
{
	assert_accepted("--self-check -d --enable-cfs --pidfile=/x /mnt");
	ck_assert_int_eq(options.action, OPTIONS_SELF_CHECK);
	ck_assert_str_eq(options.dir, "/mnt");
	assert_refused("--self-check", "directory");
	assert_refused("--self-check --no-such-option /mnt", "no-such-option");
}
END_TEST

START_TEST(a_directory_alone_gives_the_defaults)
{
	assert_accepted("/mnt");
	ck_assert_int_eq(options.action, OPTIONS_SERVE);
	ck_assert_str_eq(options.dir, "/mnt");
	ck_assert_str_eq(options.pidfile, "/run/lxcfs.pid");
	ck_assert_str_eq(options.runtime_dir, "/run");
	ck_assert(!options.debug && !options.enable_cfs && !options.disable_swap);
	ck_assert(!options.disable_uptime && !options.disable_loadavg && !options.disable_zswap);
	ck_assert(!options.enable_psi_poll);
	ck_assert_uint_eq(options.mount_flags, 0);
	ck_assert_str_eq(options.mount_data, "");
}
END_TEST

START_TEST(flags_set_what_they_name_in_any_order)
{
	assert_accepted("/mnt -d -u --enable-cfs --disable-uptime --disable-loadavg "
			"--disable-zswap --enable-psi-poll");
	ck_assert_str_eq(options.dir, "/mnt");
	ck_assert(options.debug && options.enable_cfs && options.disable_swap);
	ck_assert(options.disable_uptime && options.disable_loadavg && options.disable_zswap);
	ck_assert(options.enable_psi_poll);
	assert_accepted("--debug --disable-swap /mnt");
	ck_assert(options.debug && options.disable_swap);
}
END_TEST

START_TEST(the_last_of_two_opposite_flags_wins)
{
	assert_accepted("--enable-cfs --disable-cfs --disable-loadavg -l /mnt");
	ck_assert(!options.enable_cfs && !options.disable_loadavg);
	assert_accepted("--enable-loadavg --disable-loadavg /mnt");
	ck_assert(options.disable_loadavg);
}
END_TEST

START_TEST(the_pidfile_lies_in_the_runtime_directory_unless_named)
{
	assert_accepted("--runtime-dir=/run/a /mnt");
	ck_assert_str_eq(options.pidfile, "/run/a/lxcfs.pid");
	assert_accepted("--runtime-dir=/run/a -p /tmp/x.pid /mnt");
	ck_assert_str_eq(options.pidfile, "/tmp/x.pid");
	assert_accepted("--pidfile=/tmp/y.pid /mnt");
	ck_assert_str_eq(options.pidfile, "/tmp/y.pid");
	ck_assert_str_eq(options.runtime_dir, "/run");
}
END_TEST

START_TEST(what_older_versions_took_is_still_taken)
{
	assert_accepted("-f -l -s -p /run/x.pid -o allow_other,nonempty /mnt");
	assert_accepted("-s -f -o allow_other /mnt --enable-pidfd");
	ck_assert_int_eq(parse("--enable-cgroup --enable-nsdelegate --foreground -l /mnt"), 0);
}
END_TEST

START_TEST(what_has_no_effect_any_more_is_told_once_each)
{
	ck_assert_int_eq(parse("--enable-cgroup --enable-nsdelegate /mnt"), 0);
	ck_assert_str_eq(errors,
		"lxcfs: --enable-cgroup has no effect any more: leave it out\n"
		"lxcfs: --enable-nsdelegate has no effect any more: leave it out\n");
}
END_TEST

START_TEST(inspect_takes_one_process_and_perhaps_json)
{
	assert_accepted("--inspect 4711");
	ck_assert_int_eq(options.action, OPTIONS_INSPECT);
	ck_assert_int_eq(options.inspect, 4711);
	ck_assert(!options.json);
	assert_accepted("--json --inspect=1 --runtime-dir=/run/a");
	ck_assert_int_eq(options.inspect, 1);
	ck_assert(options.json);
	ck_assert_str_eq(options.pidfile, "/run/a/lxcfs.pid");
	assert_refused("--inspect", "--inspect");
	assert_refused("--inspect=", "''");
	assert_refused("--inspect self", "'self'");
	assert_refused("--inspect -1", "'-1'");
	assert_refused("--inspect 0", "'0'");
	assert_refused("--inspect 99999999999", "'99999999999'");
	assert_refused("--inspect 1 /mnt", "'/mnt'");
	assert_refused("--json /mnt", "--json");
}
END_TEST

START_TEST(help_version_and_list_need_no_directory)
{
	static const struct {
		const char *words;
		enum options_action action;
	} cases[] = { { "-h", OPTIONS_HELP }, { "--help", OPTIONS_HELP }, { "-n", OPTIONS_HELP },
		{ "-v", OPTIONS_VERSION }, { "--version", OPTIONS_VERSION },
		{ "--list-files", OPTIONS_LIST_FILES } };

	for (size_t i = 0; i < countof(cases); i++) {
		assert_accepted(cases[i].words);
		ck_assert_int_eq(options.action, cases[i].action);
	}
}
END_TEST

START_TEST(what_runtimes_call_knows_where_everybody_mounts)
{
	assert_accepted("--cdi");
	ck_assert_int_eq(options.action, OPTIONS_CDI);
	ck_assert_str_eq(options.dir, "/var/lib/lxcfs");
	assert_accepted("--oci-hook /mnt");
	ck_assert_int_eq(options.action, OPTIONS_OCI_HOOK);
	ck_assert_str_eq(options.dir, "/mnt");
	assert_accepted("--oci-add-hook=/bundle /mnt");
	ck_assert_int_eq(options.action, OPTIONS_OCI_ADD_HOOK);
	ck_assert_str_eq(options.bundle, "/bundle");
	assert_refused("--oci-add-hook= /mnt", "--oci-add-hook");
	assert_refused("--cdi /mnt /other", "/other");
}
END_TEST

START_TEST(wrong_options_are_named)
{
	assert_refused("--bogus /mnt", "--bogus");
	assert_refused("-x /mnt", "-x");
	assert_refused("--debug -xd /mnt", "'-x'");
	assert_refused("--debug=1 /mnt", "--debug=1");
	assert_refused("/mnt -p", "-p");
	assert_refused("/mnt --pidfile", "--pidfile");
	assert_refused("/mnt --pidfile=", "--pidfile");
	assert_refused("/mnt --runtime-dir=", "--runtime-dir");
	assert_refused("/mnt /other", "/other");
	assert_refused("-f", "DIR");
}
END_TEST

START_TEST(mount_words_go_where_they_belong)
{
	assert_accepted("-o ro,noatime,allow_other,fsname=x,subtype=y,max_idle_threads=3 /mnt");
	ck_assert_uint_eq(options.mount_flags, MS_RDONLY | MS_NOATIME);
	ck_assert_str_eq(options.mount_data, "");
	assert_accepted(
		"-o ro -o rw,,direct_io,entry_timeout=0.5,no_splice_read,x-systemd.a=b /mnt");
	ck_assert_uint_eq(options.mount_flags, 0);
}
END_TEST

START_TEST(security_contexts_keep_their_commas_and_order)
{
	assert_accepted("-o context=\"system_u:object_r:a_t:s0:c1,c2\",ro,rootcontext=b /mnt");
	ck_assert_str_eq(
		options.mount_data, ",context=\"system_u:object_r:a_t:s0:c1,c2\",rootcontext=b");
	ck_assert_uint_eq(options.mount_flags, MS_RDONLY);
}
END_TEST

START_TEST(unknown_mount_words_are_named)
{
	assert_refused("-o allow_other,bogus=1,ro /mnt", "'bogus=1'");
	assert_refused("-o contexts=1 /mnt", "'contexts=1'");
	assert_refused("-o roo /mnt", "'roo'");
}
END_TEST

START_TEST(mount_words_that_do_not_fit_are_refused_whole)
{
	static char words[2048] = "-o context=";

	memset(words + strlen(words), 'a', 1100);
	strcat(words, " /mnt");
	assert_refused(words, "too long");
	ck_assert_str_eq(options.mount_data, "");
}
END_TEST

START_TEST(the_usage_names_every_option_of_the_manual)
{
	static const char *const names[] = { "-d, --debug", "-f, --foreground", "-h, --help",
		"-l, --enable-loadavg", "--disable-loadavg", "-o OPTS", "-p, --pidfile=FILE",
		"-u, --disable-swap", "-v, --version", "--enable-cfs", "--disable-cfs",
		"--enable-pidfd", "--enable-psi-poll", "--disable-zswap", "--disable-uptime",
		"--no-seccomp", "--disable-polling", "--runtime-dir=DIR", "--list-files",
		"--inspect=PID", "--json", "--cdi", "--oci-hook", "--oci-add-hook=BUNDLE" };
	static char usage[8192];
	FILE *out = fmemopen(usage, sizeof(usage) - 1, "w");

	options_usage(out);
	fclose(out);
	for (size_t i = 0; i < countof(names); i++)
		ck_assert_msg(strstr(usage, names[i]), "no '%s'", names[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *c = tcase_create("options");

	tcase_add_test(c, a_directory_alone_gives_the_defaults);
	tcase_add_test(c, a_self_check_takes_the_command_line_it_would_serve_by);
	tcase_add_test(c, flags_set_what_they_name_in_any_order);
	tcase_add_test(c, the_last_of_two_opposite_flags_wins);
	tcase_add_test(c, the_pidfile_lies_in_the_runtime_directory_unless_named);
	tcase_add_test(c, what_older_versions_took_is_still_taken);
	tcase_add_test(c, what_has_no_effect_any_more_is_told_once_each);
	tcase_add_test(c, inspect_takes_one_process_and_perhaps_json);
	tcase_add_test(c, help_version_and_list_need_no_directory);
	tcase_add_test(c, what_runtimes_call_knows_where_everybody_mounts);
	tcase_add_test(c, wrong_options_are_named);
	tcase_add_test(c, mount_words_go_where_they_belong);
	tcase_add_test(c, security_contexts_keep_their_commas_and_order);
	tcase_add_test(c, unknown_mount_words_are_named);
	tcase_add_test(c, mount_words_that_do_not_fit_are_refused_whole);
	tcase_add_test(c, the_usage_names_every_option_of_the_manual);
	suite_add_tcase(suite, c);
	return unit_run(suite);
}
