-- gaps: where numbers of a run are missing, by the number of the first record behind the gap.
select host, boot_id, run_id, min(seq) as behind
from (select n.host as host, n.boot_id as boot_id, n.run_id as run_id, n.seq as seq,
             n.seq - row_number() over (partition by n.host, n.boot_id, n.run_id order by n.seq)
                 as island
      from numbers n
      join runs r on n.host = r.host and n.boot_id = r.boot_id and n.run_id = r.run_id
      where r.missing > 0) islands
group by host, boot_id, run_id, island
having min(seq) > 0
