-- The aggregates of suites/s1.yaml as a person writes them for DuckDB: one query that
-- the statistics of the file answer, one for what one scan gives, and one for each exact
-- count of distinct values.
select
  count(*),
  count(l_orderkey),
  count(l_suppkey),
  count(l_comment),
  min(l_quantity),
  max(l_quantity),
  min(l_shipdate),
  max(l_receiptdate)
from lineitem;

select
  avg(l_discount),
  sum(l_extendedprice),
  stddev(l_quantity),
  approx_count_distinct(l_orderkey),
  count(case when not regexp_matches(l_shipmode, '^[A-Z]+( [A-Z]+)?$') then 1 end),
  count(case when l_returnflag not in ('A', 'N', 'R') then 1 end),
  count(case when l_shipinstruct not in
    ('COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN') then 1 end),
  count(case when l_shipdate > l_receiptdate then 1 end),
  count(case when l_discount not between 0 and 0.1 then 1 end)
from lineitem;

select count(distinct l_partkey) from lineitem;

select count(distinct l_suppkey) from lineitem;

select count(*) from (select distinct l_orderkey, l_linenumber from lineitem);
