-- Whose processes had violations?
select f.uid as uid, count(distinct f.fingerprint) as findings, sum(f.times) as times,
       count(distinct f.process) as processes, count(distinct f.host) as nodes,
       min(f.first_seen) as first_seen, max(f.last_seen) as last_seen
from findings f cross join asked s
where f.last_seen >= s.since and f.severity = 'violation'
group by f.uid
order by times desc, uid
