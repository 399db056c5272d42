-- unwritten: what a node could not write itself, as its disk was full: gaps that are explained.
select host, boot_id, run_id, seq, max(times) as records
from flat
where type = 'gap'
group by host, boot_id, run_id, seq
