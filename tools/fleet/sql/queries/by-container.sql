-- In which pods, containers or units were violations? A container of a pod counts
-- with its pod.
select coalesce(f.runtime, case when f.unit is null then '-' else 'systemd' end) as runtime,
       coalesce(f.pod_uid, f.container, f.unit, f.cgroup, '-') as place,
       count(distinct f.fingerprint) as findings, sum(f.times) as times,
       count(distinct f.process) as processes, count(distinct f.host) as nodes,
       min(f.first_seen) as first_seen, max(f.last_seen) as last_seen
from findings f cross join asked s
where f.last_seen >= s.since and f.severity = 'violation'
group by coalesce(f.runtime, case when f.unit is null then '-' else 'systemd' end),
         coalesce(f.pod_uid, f.container, f.unit, f.cgroup, '-')
order by times desc, runtime, place
