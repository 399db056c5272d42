-- Which lines made wrong graphs? One row per fingerprint, the worst first.
select case g.worst when 0 then 'violation' when 1 then 'low' when 2 then 'note' when 3 then 'info'
            else 'suppressed' end as severity,
       g.fingerprint as fingerprint, g.kind as kind, g.category as category, g.file as file,
       g.function as function, g.line as line, g.times as times, g.processes as processes,
       g.nodes as nodes, g.first_seen as first_seen, g.last_seen as last_seen
from (select f.fingerprint as fingerprint,
             min(case f.severity when 'violation' then 0 when 'low' then 1 when 'note' then 2
                                 when 'info' then 3 else 4 end) as worst,
             max(f.kind) as kind, max(f.category) as category, max(f.file) as file,
             max(f.function) as function, max(f.line) as line, sum(f.times) as times,
             count(distinct f.process) as processes, count(distinct f.host) as nodes,
             min(f.first_seen) as first_seen, max(f.last_seen) as last_seen
      from findings f cross join asked s
      where f.last_seen >= s.since
      group by f.fingerprint) g
order by g.worst, g.times desc, g.fingerprint
