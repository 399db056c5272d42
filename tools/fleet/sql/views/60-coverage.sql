-- coverage: one row per process that was watched, and per library that could not be.
select type, host, boot_id, run_id, seq, max(pid) as pid, max(start_ns) as start_ns,
       max(uid) as uid, max(torch) as torch, max(unit) as unit, max(container) as container,
       max(reason) as reason
from flat
where type in ('attached', 'skipped')
group by type, host, boot_id, run_id, seq
