-- losses: what each run says that it lost itself. Counters only grow.
select host, boot_id, run_id,
       coalesce(max(lost), 0) as lost, coalesce(max(lost_output), 0) as lost_output,
       coalesce(max(throttled), 0) as throttled, coalesce(max(unseen), 0) as unseen,
       max(case when type = 'end' then 1 else 0 end) as ended
from flat
where type in ('header', 'totals', 'end')
group by host, boot_id, run_id
