-- The aggregates of suites/s3.yaml as a person writes them for DuckDB.
select
  count(*),
  count(dep_time),
  count(arr_delay),
  count(tailnum),
  count(time_hour),
  min(year),
  max(month),
  max(distance),
  avg(dep_delay),
  stddev(arr_delay),
  count(distinct carrier),
  count(distinct dest),
  count(case when origin not in ('EWR', 'JFK', 'LGA') then 1 end),
  count(case when not regexp_matches(tailnum, '^N[0-9]{1,5}[A-Z]{0,2}$') then 1 end),
  count(case when dep_delay <= -60 then 1 end),
  count(case when dep_delay > 1000 then 1 end),
  count(case when air_time >= 600 then 1 end),
  count(case when dep_time not between 1 and 2400 then 1 end),
  count(case when hour not between 5 and 23 then 1 end),
  count(case when arr_delay > dep_delay + 60 then 1 end)
from flights;

select count(*) from (select distinct month, day, carrier, flight, origin from flights);

select count(*) from flights f anti join planes p on f.tailnum = p.tailnum
where f.tailnum is not null;

select count(*) from flights f anti join airlines a on f.carrier = a.carrier
where f.carrier is not null;

select count(*) from flights f anti join airports a on f.dest = a.faa
where f.dest is not null;

select count(*) from flights f anti join airports a on f.origin = a.faa
where f.origin is not null;
