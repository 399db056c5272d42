-- runs: what is there of each run of gradwatch; numbers begin with 0.
select host, boot_id, run_id,
       count(*) as records, sum(copies) - count(*) as duplicates, max(seq) as last_seq,
       max(seq) + 1 - count(*) as missing
from numbers
group by host, boot_id, run_id
