-- flat: each line of the segments, one column per key that a question needs. A line that is no
-- record (cut off, for example), or does not say of which run it is, has no type.
select case when l.host is null or l.boot_id is null or l.run_id is null or l.seq is null
                or l."time" is null then null else l."type" end as type,
       l."time" as time, l.host as host, l.boot_id as boot_id, l.run_id as run_id,
       l.seq as seq,
       l.pid as pid, l.start_ns as start_ns, l.uid as uid,
       l.cgroup as cgroup, l.unit as unit,
       l.container.id as container, l.container.runtime as runtime, l.container.pod_uid as pod_uid,
       l.torch.version as torch,
       l.trace as trace, l.kind as kind,
       l.finding as finding, l."count" as times, l.fingerprint as fingerprint,
       l.category as category, l.severity as severity, l.restored as restored,
       l.suppressed_by as suppressed_by,
       l."user"."file" as file, l."user"."function" as function, l."user"."line" as line,
       l.reason as reason,
       l.lost as lost, l.lost_output as lost_output, l.ledger.throttled as throttled,
       l."coverage".missed + l."coverage".mappings_lost + l."coverage".refused
           + l."coverage".files_refused + l."coverage".unarmed + l."coverage".bad_records as unseen
from line l
