-- occurrences: how often each finding of a run has occurred, whether or not its own record is
-- there. A record that tells no more than an earlier one tells of no occurrence.
select m.host as host, m.boot_id as boot_id, m.run_id as run_id, m.finding as finding,
       m.times as times, m.described as described, m.first_seen as first_seen,
       min(l.time) as last_seen
from (select f.host as host, f.boot_id as boot_id, f.run_id as run_id, f.finding as finding,
             max(f.times) as times, min(f.time) as first_seen,
             max(case when f.type = 'finding' then 1 else 0 end) as described
      from flat f
      where f.type in ('finding', 'again', 'repeated')
      group by f.host, f.boot_id, f.run_id, f.finding) m
join flat l on l.host = m.host and l.boot_id = m.boot_id and l.run_id = m.run_id
    and l.finding = m.finding and l.times = m.times
where l.type in ('finding', 'again', 'repeated')
group by m.host, m.boot_id, m.run_id, m.finding, m.times, m.described, m.first_seen
