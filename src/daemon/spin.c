/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trials of spinning. A period's waits are added up, a long one as no more than LONG_NS: that
 * reader was thinking. Most periods go the way that is kept; now and then one goes the other, and
 * the better one is kept. Where nothing changes the next trial is twice as far away. A whole
 * period, not single waits in turns: where the scheduler puts the two sides depends on what the
 * last waits were like.
 */
#include "spin.h"

#define LONG_NS (200 * NS_PER_US)
#define RESTS_ASKING 16u    /* at most so many periods: asking in vain costs more than sleeping */
#define RESTS_SLEEPING 512u /* and so many */
#define RESTS_ROBBED 64u    /* all CPUs are busy: it would be at somebody's cost */

static bool asks(const struct spin *s)
{
	return !s->never && s->kept != s->trial;
}

static void rest_for(struct spin *s, unsigned periods)
{
	const unsigned most = s->kept ? RESTS_ASKING : RESTS_SLEEPING;

	s->trial = false;
	s->rest = s->rests = periods < most ? periods : most;
}

/* To ask must be quicker by an eighth: it takes a CPU, and chance shall not decide. */
static bool asking_pays(uint64_t asking_ns, uint64_t sleeping_ns)
{
	return asking_ns < sleeping_ns - sleeping_ns / 8;
}

static void judge_trial(struct spin *s)
{
	const bool ask =
		s->kept ? asking_pays(s->kept_ns, s->sum_ns) : asking_pays(s->sum_ns, s->kept_ns);

	if (ask == s->kept) {
		rest_for(s, s->rests ? s->rests * 2 : 1);
		return;
	}
	s->kept = ask;
	s->kept_ns = s->sum_ns;
	rest_for(s, 1);
}

static void end_period(struct spin *s)
{
	if (s->trial)
		judge_trial(s);
	else {
		s->kept_ns = s->kept_ns ? (3 * s->kept_ns + s->sum_ns) / 4 : s->sum_ns;
		if (s->rest > 0)
			s->rest--;
		else
			s->trial = true;
	}
	s->waits = 0;
	s->sum_ns = 0;
}

/* Asking was at somebody's cost. */
static void robbed(struct spin *s)
{
	s->kept = false;
	s->kept_ns = 0;
	s->waits = 0;
	s->sum_ns = 0;
	rest_for(s, RESTS_ROBBED);
}

bool spin_begin(struct spin *s, uint64_t now_ns)
{
	s->began_ns = s->last_ns = now_ns;
	return asks(s);
}

bool spin_again(struct spin *s, uint64_t now_ns)
{
	if (now_ns - s->last_ns > SPIN_ROBBED_NS) {
		robbed(s);
		return false;
	}
	s->last_ns = now_ns;
	return now_ns - s->began_ns <= SPIN_NS;
}

uint64_t spin_end(struct spin *s, uint64_t now_ns)
{
	const uint64_t took = now_ns - s->began_ns;

	s->sum_ns += took < LONG_NS ? took : LONG_NS;
	if (++s->waits == SPIN_PERIOD)
		end_period(s);
	return took;
}
