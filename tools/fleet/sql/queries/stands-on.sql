-- What every answer stands on; one row.
select n.expected as expected, n.reported as reported, n.silent as silent,
       n.strangers as strangers, n.gaps as gaps, n.missing as missing,
       n.gap_nodes as gap_nodes, n.records as records, n.duplicates as duplicates,
       d.damaged as damaged, n.runs as runs, n.open_runs as open_runs, n.watched as watched,
       t.traces as traces, n.skipped as skipped, n.lost as lost, n.throttled as throttled,
       n.unseen as unseen, n.unwritten as unwritten, o.undescribed as undescribed
from (select sum(expected) as expected,
             sum(case when expected = 1 and reported = 1 then 1 else 0 end) as reported,
             sum(case when expected = 1 and reported = 0 then 1 else 0 end) as silent,
             sum(1 - expected) as strangers, sum(gaps) as gaps, sum(missing) as missing,
             sum(case when gaps > 0 then 1 else 0 end) as gap_nodes, sum(records) as records,
             sum(duplicates) as duplicates, sum(runs) as runs, sum(open_runs) as open_runs,
             sum(watched) as watched, sum(skipped) as skipped, sum(lost) as lost,
             sum(throttled) as throttled, sum(unseen) as unseen, sum(unwritten) as unwritten
      from nodes) n
cross join (select count(*) as damaged from flat where type is null or seq is null) d
cross join (select count(*) as traces from traces) t
cross join (select coalesce(sum(1 - described), 0) as undescribed from occurrences) o
