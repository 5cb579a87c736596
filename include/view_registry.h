/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of what is served, in the order of the directories: the only place to touch besides a
 * view's own source file. view.h declares its renderers from it, view/registry.c makes the entries.
 *
 *   DIR(node, path, kind, what it says)
 *   FILE(node, path, mode, needs, follows_init, renderer, what it says)
 *
 * Numbers are never changed and never reused, for containers' binds outlive the binary; a file that
 * is no longer rendered keeps its line.
 */
#pragma once

#define VIEW_NEEDS_CPUS (CGROUP_BIT(CGROUP_CPUSET) | CGROUP_BIT(CGROUP_CPU))
#define VIEW_NEEDS_ANY (CGROUP_BIT(CGROUP_CONTROLLERS) - 1)

/* Counted by the kernel without any controller, so never the host's. */
#define VIEW_NEEDS_NONE ~0u

#define VIEW_REGISTRY(DIR, FILE)                                                                   \
	DIR(1, "", VIEW_DIR, "the root of the mount")                                              \
	DIR(2, "proc", VIEW_DIR, "files to be bound over those of /proc")                          \
	DIR(3, "sys", VIEW_DIR, "files to be bound over those of /sys")                            \
	DIR(4, "sys/devices", VIEW_DIR, "on the way to the CPUs")                                  \
	DIR(5, "sys/devices/system", VIEW_DIR, "on the way to the CPUs")                           \
	DIR(6, "sys/devices/system/cpu", VIEW_CPU_DIR, "CPUs as sysfs shows them")                 \
	DIR(7, "proc/pressure", VIEW_DIR, "pressure stall information of the container")           \
	FILE(16, "proc/cpuinfo", 0444, VIEW_NEEDS_CPUS, false, view_cpuinfo,                       \
		"the processors the container may use")                                            \
	FILE(17, "proc/meminfo", 0444, CGROUP_BIT(CGROUP_MEMORY), false, view_meminfo,             \
		"memory the container may use, and what it uses")                                  \
	FILE(18, "proc/stat", 0444, VIEW_NEEDS_CPUS | CGROUP_BIT(CGROUP_CPUACCT), false,           \
		view_stat, "CPU time of the container")                                            \
	FILE(19, "proc/uptime", 0444, VIEW_NEEDS_CPUS | CGROUP_BIT(CGROUP_CPUACCT), true,          \
		view_uptime, "the age of the container, and its idle time")                        \
	FILE(20, "proc/swaps", 0444, CGROUP_BIT(CGROUP_MEMORY), false, view_swaps,                 \
		"swap the container may use, as one device")                                       \
	FILE(21, "proc/diskstats", 0444, CGROUP_BIT(CGROUP_IO), false, view_diskstats,             \
		"I/O of the container, by device")                                                 \
	FILE(22, "proc/loadavg", 0444, VIEW_NEEDS_ANY, true, view_loadavg,                         \
		"how many tasks of the container run or wait for the disk, on average")            \
	FILE(23, "proc/slabinfo", 0400, VIEW_NEEDS_ANY, false, view_slabinfo,                      \
		"kernel memory of the container, in two rows")                                     \
	FILE(24, "proc/pressure/cpu", 0666, VIEW_NEEDS_NONE, false, view_pressure_cpu,             \
		"time the container's tasks were waiting for a CPU")                               \
	FILE(25, "proc/pressure/memory", 0666, VIEW_NEEDS_NONE, false, view_pressure_memory,       \
		"time the container's tasks were waiting for memory")                              \
	FILE(26, "proc/pressure/io", 0666, VIEW_NEEDS_NONE, false, view_pressure_io,               \
		"time the container's tasks were waiting for I/O")                                 \
	FILE(27, "proc/pressure/irq", 0666, VIEW_NEEDS_NONE, false, view_pressure_irq,             \
		"time the container's tasks were lost to interrupts")                              \
	FILE(32, "sys/devices/system/cpu/online", 0444, VIEW_NEEDS_CPUS, false, view_cpu_online,   \
		"CPUs the container may use")                                                      \
	FILE(33, "sys/devices/system/cpu/offline", 0444, VIEW_NEEDS_CPUS, false, view_cpu_offline, \
		"CPUs of the machine it may not use")                                              \
	FILE(34, "sys/devices/system/cpu/present", 0444, VIEW_NEEDS_CPUS, false, view_cpu_present, \
		"CPUs the container may use")
