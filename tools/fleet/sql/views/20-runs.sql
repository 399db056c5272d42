-- runs: what is there of each run of gradwatch. A record counts once, however often a shipper has
-- sent it; numbers begin with 0.
select f.host as host, f.boot_id as boot_id, f.run_id as run_id,
       count(distinct f.seq) as records, count(*) - count(distinct f.seq) as duplicates,
       max(f.seq) + 1 - count(distinct f.seq) as missing, max(f.time) as last_seen
from flat f
where f.type is not null
group by f.host, f.boot_id, f.run_id
