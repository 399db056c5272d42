-- What every answer stands on; one row.
select n.expected as expected, n.reported as reported, n.silent as silent,
       n.strangers as strangers, n.gaps as gaps, n.missing as missing,
       n.gap_nodes as gap_nodes, n.records as records, n.duplicates as duplicates,
       d.damaged as damaged, n.runs as runs, n.open_runs as open_runs, n.watched as watched,
       t.traces as traces, n.skipped as skipped, n.lost as lost, n.throttled as throttled,
       n.unseen as unseen, n.unwritten as unwritten, o.undescribed as undescribed
from (select coalesce(sum(v.expected), 0) as expected,
             coalesce(sum(case when v.expected = 1 and v.reported = 1 then 1 else 0 end), 0)
                 as reported,
             coalesce(sum(case when v.expected = 1 and v.reported = 0 then 1 else 0 end), 0)
                 as silent,
             coalesce(sum(1 - v.expected), 0) as strangers,
             coalesce(sum(case when v.gaps > 0 then 1 else 0 end), 0) as gap_nodes,
             coalesce(sum(v.gaps), 0) as gaps,
             coalesce(sum(v.missing), 0) as missing,
             coalesce(sum(v.records), 0) as records,
             coalesce(sum(v.duplicates), 0) as duplicates,
             coalesce(sum(v.runs), 0) as runs,
             coalesce(sum(v.open_runs), 0) as open_runs,
             coalesce(sum(v.watched), 0) as watched,
             coalesce(sum(v.skipped), 0) as skipped,
             coalesce(sum(v.lost), 0) as lost,
             coalesce(sum(v.throttled), 0) as throttled,
             coalesce(sum(v.unseen), 0) as unseen,
             coalesce(sum(v.unwritten), 0) as unwritten
      from nodes v) n
cross join (select count(*) as damaged from flat where type is null) d
cross join (select count(*) as traces from traces) t
cross join (select coalesce(sum(1 - described), 0) as undescribed from occurrences) o
