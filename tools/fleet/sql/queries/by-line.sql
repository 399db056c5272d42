-- Which lines made wrong graphs? One row per fingerprint, violations first.
select f.severity as severity, f.fingerprint as fingerprint, f.kind as kind,
       f.category as category, max(f.file) as file, max(f.function) as function,
       max(f.line) as line, sum(f.times) as times, count(distinct f.process) as processes,
       count(distinct f.host) as nodes, min(f.first_seen) as first_seen,
       max(f.last_seen) as last_seen
from findings f cross join asked s
where f.last_seen >= s.since
group by f.severity, f.fingerprint, f.kind, f.category
order by case f.severity when 'violation' then 0 when 'low' then 1 when 'note' then 2 else 3 end,
         times desc, fingerprint, kind, category, severity
