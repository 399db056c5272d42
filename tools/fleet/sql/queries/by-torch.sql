-- Which versions of PyTorch were watched, on how many nodes, and how many violations were there?
select w.torch as torch, w.processes as processes, w.nodes as nodes,
       coalesce(v.findings, 0) as findings, coalesce(v.times, 0) as times
from (select coalesce(c.torch, '-') as torch, count(*) as processes,
             count(distinct c.host) as nodes
      from coverage c
      where c.type = 'attached'
      group by coalesce(c.torch, '-')) w
left join (select coalesce(f.torch, '-') as torch, count(distinct f.fingerprint) as findings,
                  sum(f.times) as times
           from findings f cross join asked s
           where f.last_seen >= s.since and f.severity = 'violation'
           group by coalesce(f.torch, '-')) v
    on w.torch = v.torch
order by times desc, torch
