-- Which nodes cannot tell, or not all? The others have reported, without a gap, a loss or a skip.
select host, case when reported = 0 then 'silent' when expected = 0 then 'not expected' else '' end
           as state,
       last_seen, gaps, missing, open_runs, watched, skipped, unwritten, lost, throttled,
       unseen
from nodes
where reported = 0 or expected = 0 or watched = 0 or gaps > 0 or skipped > 0 or lost > 0
   or throttled > 0 or unseen > 0
order by case when reported = 0 then 0 else 1 end, missing desc, skipped desc, lost desc, host
