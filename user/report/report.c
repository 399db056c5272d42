// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/report.h"

enum report_change report_change(const struct report *report, const struct summary_finding *finding)
{
	const struct summary_finding *before;

	if (!report->baseline)
		return REPORT_SAME;
	before = summary_find(report->baseline, finding->fingerprint);
	if (!before)
		return REPORT_NEW;
	/* What was accepted, or did no harm, and now does, is new. */
	if (event_is_alarm(&finding->event->finding) && !event_is_alarm(&before->event->finding))
		return REPORT_NEW;
	if (finding->count == before->count)
		return REPORT_SAME;
	return finding->count > before->count ? REPORT_MORE : REPORT_FEWER;
}

const char *report_change_word(const struct report *report, const struct summary_finding *finding)
{
	static const char *const word[] = {
		[REPORT_NEW] = "new",
		[REPORT_MORE] = "more",
		[REPORT_FEWER] = "fewer",
		[REPORT_SAME] = "same",
	};

	return report->baseline ? word[report_change(report, finding)] : "";
}

bool report_counts(const struct report *report, const struct summary_finding *finding)
{
	return !report->baseline || report_change(report, finding) == REPORT_NEW;
}
