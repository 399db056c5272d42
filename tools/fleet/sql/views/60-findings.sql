-- findings: one row per finding of a run, with the process and the line it was first seen in.
select f.host as host, f.boot_id as boot_id, f.run_id as run_id, f.finding as finding,
       f.fingerprint as fingerprint, f.category as category, f.severity as severity, f.kind as kind,
       f.restored as restored, f.suppressed_by as suppressed_by,
       f.file as file, f.function as function, f.line as line,
       concat(f.host, ' ', f.boot_id, ' ', f.pid, ' ', f.start_ns) as process,
       f.pid as pid, f.uid as uid, f.torch as torch,
       f.cgroup as cgroup, f.unit as unit, f.container as container, f.runtime as runtime,
       f.pod_uid as pod_uid,
       o.times as times, o.first_seen as first_seen, o.last_seen as last_seen
from (select host, boot_id, run_id, finding,
             max(fingerprint) as fingerprint, max(category) as category,
             max(severity) as severity, max(kind) as kind, max(restored) as restored,
             max(suppressed_by) as suppressed_by, max(file) as file, max(function) as function,
             max(line) as line, max(pid) as pid, max(start_ns) as start_ns, max(uid) as uid,
             max(torch) as torch, max(cgroup) as cgroup,
             max(unit) as unit, max(container) as container, max(runtime) as runtime,
             max(pod_uid) as pod_uid
      from flat
      where type = 'finding'
      group by host, boot_id, run_id, finding) f
join occurrences o on f.host = o.host and f.boot_id = o.boot_id and f.run_id = o.run_id
    and f.finding = o.finding
