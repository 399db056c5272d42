-- Which versions of PyTorch were watched, on how many nodes, and how many violations were there?
select c.torch as torch, c.processes as processes, c.nodes as nodes,
       coalesce(f.findings, 0) as findings, coalesce(f.times, 0) as times
from (select coalesce(torch, '-') as torch, count(*) as processes, count(distinct host) as nodes
      from coverage where type = 'attached' group by coalesce(torch, '-')) c
left join (select coalesce(f.torch, '-') as torch, count(distinct f.fingerprint) as findings,
                  sum(f.times) as times
           from findings f cross join asked s
           where f.last_seen >= s.since and f.severity = 'violation'
           group by coalesce(f.torch, '-')) f
    on c.torch = f.torch
order by times desc, torch
