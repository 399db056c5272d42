-- What every answer stands on; one row.
select n.expected as expected, n.reported as reported, n.silent as silent,
       n.strangers as strangers, n.gaps as gaps, n.missing as missing,
       n.gap_nodes as gap_nodes, n.records as records, n.duplicates as duplicates,
       d.damaged as damaged, n.runs as runs, n.open_runs as open_runs, n.watched as watched,
       t.traces as traces, n.skipped as skipped, n.lost as lost, n.throttled as throttled,
       n.unseen as unseen, n.unwritten as unwritten, o.undescribed as undescribed
from (select sum(v.expected) as expected,
             sum(case when v.expected = 1 and v.reported = 1 then 1 else 0 end) as reported,
             sum(case when v.expected = 1 and v.reported = 0 then 1 else 0 end) as silent,
             sum(1 - v.expected) as strangers, sum(v.gaps) as gaps, sum(v.missing) as missing,
             sum(case when v.gaps > 0 then 1 else 0 end) as gap_nodes, sum(v.records) as records,
             sum(v.duplicates) as duplicates, sum(v.runs) as runs, sum(v.open_runs) as open_runs,
             sum(v.watched) as watched, sum(v.skipped) as skipped, sum(v.lost) as lost,
             sum(v.throttled) as throttled, sum(v.unseen) as unseen, sum(v.unwritten) as unwritten
      from nodes v) n
cross join (select count(*) as damaged from flat where type is null or seq is null) d
cross join (select count(*) as traces from traces) t
cross join (select coalesce(sum(1 - described), 0) as undescribed from occurrences) o
