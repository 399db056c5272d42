-- occurrences: how often each finding of a run has occurred, whether or not its own record is there.
select host, boot_id, run_id, finding,
       max(times) as times, min(time) as first_seen, max(time) as last_seen,
       max(case when type = 'finding' then 1 else 0 end) as described
from flat
where type in ('finding', 'again', 'repeated')
group by host, boot_id, run_id, finding
