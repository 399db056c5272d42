-- numbers: each record once, however often a shipper has sent it.
select host, boot_id, run_id, seq, count(*) as copies
from flat
where type is not null and seq is not null
group by host, boot_id, run_id, seq
