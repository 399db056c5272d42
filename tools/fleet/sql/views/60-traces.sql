-- traces: one row per trace, from its beginning or its end, whichever is there.
select host, boot_id, run_id, trace, max(kind) as kind,
       max(pid) as pid, max(start_ns) as start_ns, max(uid) as uid, max(torch) as torch,
       max(unit) as unit, max(container) as container, min(time) as first_seen
from flat
where type in ('trace_begin', 'trace_end')
group by host, boot_id, run_id, trace
