-- gaps: where numbers of a run are missing, by the number of the first record behind the gap.
select i.host as host, i.boot_id as boot_id, i.run_id as run_id, min(i.seq) as behind
from (select n.host as host, n.boot_id as boot_id, n.run_id as run_id, n.seq as seq,
             n.seq - row_number() over (partition by n.host, n.boot_id, n.run_id order by n.seq)
                 as island
      from (select distinct f.host as host, f.boot_id as boot_id, f.run_id as run_id, f.seq as seq
            from flat f
            join runs r on f.host = r.host and f.boot_id = r.boot_id and f.run_id = r.run_id
            where r.missing > 0) n) i
group by i.host, i.boot_id, i.run_id, i.island
having min(i.seq) > 0
