-- nodes: each node that is expected or that has reported (since the time asked for), with what it
-- could not tell.
select a.host as host,
       max(a.expected) as expected, max(a.reported) as reported, max(a.last_seen) as last_seen,
       sum(a.runs) as runs, sum(a.open_runs) as open_runs, sum(a.records) as records,
       sum(a.gaps) as gaps, sum(a.missing) as missing, sum(a.duplicates) as duplicates,
       sum(a.watched) as watched, sum(a.skipped) as skipped, sum(a.lost) as lost,
       sum(a.throttled) as throttled, sum(a.unseen) as unseen, sum(a.unwritten) as unwritten
from (
    select host, 1 as expected, 0 as reported, '' as last_seen, 0 as runs, 0 as open_runs,
           0 as records, 0 as gaps, 0 as missing, 0 as duplicates, 0 as watched, 0 as skipped,
           0 as lost, 0 as throttled, 0 as unseen, 0 as unwritten
    from expected
    union all
    select r.host, 0, max(case when r.last_seen >= s.since then 1 else 0 end), max(r.last_seen),
           count(*), 0, sum(r.records), 0, sum(r.missing), sum(r.duplicates), 0, 0, 0, 0, 0, 0
    from runs r cross join asked s
    group by r.host
    union all
    select host, 0, 0, '', 0, 0, 0, count(*), 0, 0, 0, 0, 0, 0, 0, 0
    from gaps group by host
    union all
    select host, 0, 0, '', 0, 0, 0, 0, 0, 0,
           sum(case when type = 'attached' then 1 else 0 end),
           sum(case when type = 'skipped' then 1 else 0 end), 0, 0, 0, 0
    from coverage group by host
    union all
    select host, 0, 0, '', 0, sum(1 - ended), 0, 0, 0, 0, 0, 0,
           sum(lost + lost_output), sum(throttled), sum(unseen), 0
    from losses group by host
    union all
    select host, 0, 0, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sum(records)
    from unwritten group by host
) a
group by a.host
