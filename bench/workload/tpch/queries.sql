-- TPC-H's 22 shapes. Format: "-- name: NAME  WHAT", then one statement up to a semicolon. {a|b} picks one, {3..9} a number, {x=a|b} names what was
-- picked and {x} repeats it; "-- ordered" before the statement: its ORDER BY is total.

-- name: h01  pricing summary: one scan, many aggregates
-- ordered
select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, sum(l_extendedprice) as sum_base_price, sum(l_extendedprice * (1 - l_discount)) as sum_disc_price,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge, avg(l_quantity) as avg_qty, avg(l_extendedprice) as avg_price, avg(l_discount) as avg_disc, count(*) as count_order
from lineitem where l_shipdate <= date '1998-08-01' - interval '{60..120} day' group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus;

-- name: h02  cheapest supplier: a correlated min
-- ordered
select s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment from part, supplier, partsupp, nation, region
where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = {1..50} and p_type like '%{TIN|NICKEL|BRASS|STEEL}' and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = '{r=EUROPE|ASIA|AFRICA}'
  and ps_supplycost = (select min(ps_supplycost) from partsupp, supplier, nation, region where p_partkey = ps_partkey and s_suppkey = ps_suppkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = '{r}')
order by s_acctbal desc, n_name, s_name, p_partkey limit 100;

-- name: h03  unshipped orders by value
-- ordered
select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, o_shippriority from customer, tpch_orders, lineitem
where c_mktsegment = '{BUILDING|AUTOMOBILE|MACHINERY}' and c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate < date '1995-03-{10..28}' and l_shipdate > date '1995-03-{10..28}'
group by l_orderkey, o_orderdate, o_shippriority order by revenue desc, o_orderdate, l_orderkey limit 10;

-- name: h04  late orders by priority: EXISTS
-- ordered
select o_orderpriority, count(*) as order_count from tpch_orders where o_orderdate >= date '1993-0{1..9}-01' and o_orderdate < date '1993-12-01'
  and exists (select * from lineitem where l_orderkey = o_orderkey and l_commitdate < l_receiptdate) group by o_orderpriority order by o_orderpriority;

-- name: h05  revenue per nation: six tables
-- ordered
select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue from customer, tpch_orders, lineitem, supplier, nation, region
where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = '{ASIA|EUROPE}'
  and o_orderdate >= date '1994-01-01' and o_orderdate < date '199{5..6}-01-01' group by n_name order by revenue desc, n_name;

-- name: h06  forecast: one scan
select sum(l_extendedprice * l_discount) as revenue from lineitem where l_shipdate >= date '199{3..5}-01-01' and l_shipdate < date '1996-06-01' and l_discount between 0.05 and 0.07 and l_quantity < {20..30};

-- name: h07  trade between two nations
-- ordered
select supp_nation, cust_nation, l_year, sum(volume) as revenue from (
  select n1.n_name as supp_nation, n2.n_name as cust_nation, extract(year from l_shipdate) as l_year, l_extendedprice * (1 - l_discount) as volume
  from supplier, lineitem, tpch_orders, customer, nation n1, nation n2
  where s_suppkey = l_suppkey and o_orderkey = l_orderkey and c_custkey = o_custkey and s_nationkey = n1.n_nationkey and c_nationkey = n2.n_nationkey
    and ((n1.n_name = '{a=FRANCE|INDIA}' and n2.n_name = '{b=GERMANY|JAPAN}') or (n1.n_name = '{b}' and n2.n_name = '{a}')) and l_shipdate between date '1995-01-01' and date '1996-12-31') shipping
group by supp_nation, cust_nation, l_year order by supp_nation, cust_nation, l_year;

-- name: h08  market share
-- ordered
select o_year, sum(case when nation = '{n=BRAZIL|PERU}' then volume else 0 end) / sum(volume) as mkt_share from (
  select extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) as volume, n2.n_name as nation from part, supplier, lineitem, tpch_orders, customer, nation n1, nation n2, region
  where p_partkey = l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey and o_custkey = c_custkey and c_nationkey = n1.n_nationkey and n1.n_regionkey = r_regionkey and r_name = 'AMERICA'
    and s_nationkey = n2.n_nationkey and o_orderdate between date '1995-01-01' and date '1996-12-31' and p_type = 'ECONOMY {ANODIZED|PLATED} STEEL') all_nations group by o_year order by o_year;

-- name: h09  profit by product type
-- ordered
select nation, o_year, sum(amount) as sum_profit from (
  select n_name as nation, extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as amount from part, supplier, lineitem, partsupp, tpch_orders, nation
  where s_suppkey = l_suppkey and ps_suppkey = l_suppkey and ps_partkey = l_partkey and p_partkey = l_partkey and o_orderkey = l_orderkey and s_nationkey = n_nationkey and p_name like '%{green|forest|lace}%') profit
group by nation, o_year order by nation, o_year desc;

-- name: h10  returned items by customer
-- ordered
select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) as revenue, c_acctbal, n_name, c_address, c_phone, c_comment from customer, tpch_orders, lineitem, nation
where c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate >= date '1993-{10..12}-01' and o_orderdate < date '1994-03-01' and l_returnflag = 'R' and c_nationkey = n_nationkey
group by c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment order by revenue desc, c_custkey limit 20;

-- name: h11  important stock: HAVING over a scalar subquery
-- ordered
select ps_partkey, sum(ps_supplycost * ps_availqty) as value from partsupp, supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = '{n=GERMANY|KENYA|CHINA}' group by ps_partkey
having sum(ps_supplycost * ps_availqty) > (select sum(ps_supplycost * ps_availqty) * 0.001 from partsupp, supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = '{n}') order by value desc, ps_partkey;

-- name: h12  shipping modes and priority
-- ordered
select l_shipmode, sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' then 1 else 0 end) as high_line_count, sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> '2-HIGH' then 1 else 0 end) as low_line_count
from tpch_orders, lineitem where o_orderkey = l_orderkey and l_shipmode in ('MAIL', '{SHIP|AIR|RAIL}') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate and l_receiptdate >= date '199{3..6}-01-01' and l_receiptdate < date '1997-01-01'
group by l_shipmode order by l_shipmode;

-- name: h13  customers by number of orders: LEFT JOIN, two groupings
-- ordered
select c_count, count(*) as custdist from (select c_custkey, count(o_orderkey) from customer left outer join tpch_orders on c_custkey = o_custkey and o_comment not like '%{special|unusual}%requests%' group by c_custkey) as c_orders (c_custkey, c_count)
group by c_count order by custdist desc, c_count desc;

-- name: h14  promotion effect
select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end) / sum(l_extendedprice * (1 - l_discount)) as promo_revenue from lineitem, part
where l_partkey = p_partkey and l_shipdate >= date '1995-{1..9}-01' and l_shipdate < date '1995-10-01';

-- name: h15  top supplier: a CTE used twice
-- ordered
with revenue as (select l_suppkey as supplier_no, sum(l_extendedprice * (1 - l_discount)) as total_revenue from lineitem where l_shipdate >= date '1996-0{1..6}-01' and l_shipdate < date '1996-07-01' group by l_suppkey)
select s_suppkey, s_name, s_address, s_phone, total_revenue from supplier, revenue where s_suppkey = supplier_no and total_revenue = (select max(total_revenue) from revenue) order by s_suppkey;

-- name: h16  suppliers per part kind: NOT IN, count(DISTINCT)
-- ordered
select p_brand, p_type, p_size, count(distinct ps_suppkey) as supplier_cnt from partsupp, part where p_partkey = ps_partkey and p_brand <> 'Brand#4{1..5}' and p_type not like 'MEDIUM POLISHED%' and p_size in (49, 14, 23, 45, 19, 3, 36, {1..9})
  and ps_suppkey not in (select s_suppkey from supplier where s_comment like '%Customer%Complaints%') group by p_brand, p_type, p_size order by supplier_cnt desc, p_brand, p_type, p_size;

-- name: h17  small orders: a correlated average
select sum(l_extendedprice) / 7.0 as avg_yearly from lineitem, part where p_partkey = l_partkey and p_brand = 'Brand#2{1..5}' and p_container = 'MED {BOX|BAG|JAR}'
  and l_quantity < (select 0.2 * avg(l_quantity) from lineitem where l_partkey = p_partkey);

-- name: h18  large orders: IN over GROUP BY HAVING
-- ordered
select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) from customer, tpch_orders, lineitem where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > {170..185})
  and c_custkey = o_custkey and o_orderkey = l_orderkey group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice order by o_totalprice desc, o_orderdate, o_orderkey limit 100;

-- name: h19  discounted revenue: OR of conjunctions
select sum(l_extendedprice * (1 - l_discount)) as revenue from lineitem, part where
  (p_partkey = l_partkey and p_brand = 'Brand#1{1..5}' and p_container in ('SM CASE', 'SM BOX', 'SM PACK') and l_quantity >= 1 and l_quantity <= 11 and p_size between 1 and 5 and l_shipmode in ('AIR', 'REG AIR') and l_shipinstruct = 'DELIVER IN PERSON')
  or (p_partkey = l_partkey and p_brand = 'Brand#2{1..5}' and p_container in ('MED BAG', 'MED BOX', 'MED PACK') and l_quantity >= 10 and l_quantity <= 20 and p_size between 1 and 10 and l_shipmode in ('AIR', 'REG AIR') and l_shipinstruct = 'DELIVER IN PERSON')
  or (p_partkey = l_partkey and p_brand = 'Brand#3{1..5}' and p_container in ('LG CASE', 'LG BOX', 'LG PACK') and l_quantity >= 20 and l_quantity <= 30 and p_size between 1 and 15 and l_shipmode in ('AIR', 'REG AIR') and l_shipinstruct = 'DELIVER IN PERSON');

-- name: h20  excess stock: IN in IN, a correlated sum
-- ordered
select s_name, s_address from supplier, nation where s_suppkey in (select ps_suppkey from partsupp where ps_partkey in (select p_partkey from part where p_name like '{forest|ivory}%')
    and ps_availqty > (select 0.5 * sum(l_quantity) from lineitem where l_partkey = ps_partkey and l_suppkey = ps_suppkey and l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'))
  and s_nationkey = n_nationkey and n_name = '{CANADA|IRAN}' order by s_name;

-- name: h21  waiting suppliers: EXISTS and NOT EXISTS
-- ordered
select s_name, count(*) as numwait from supplier, lineitem l1, tpch_orders, nation where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F' and l1.l_receiptdate > l1.l_commitdate
  and exists (select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey)
  and not exists (select * from lineitem l3 where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey and l3.l_receiptdate > l3.l_commitdate)
  and s_nationkey = n_nationkey and n_name = '{SAUDI ARABIA|PERU}' group by s_name order by numwait desc, s_name limit 100;

-- name: h22  sleeping customers: a scalar average and NOT EXISTS
-- ordered
select cntrycode, count(*) as numcust, sum(c_acctbal) as totacctbal from (select substring(c_phone from 1 for 2) as cntrycode, c_acctbal from customer where substring(c_phone from 1 for 2) in ('13', '31', '23', '29', '30', '18', '1{0..9}')
    and c_acctbal > (select avg(c_acctbal) from customer where c_acctbal > 0.00 and substring(c_phone from 1 for 2) in ('13', '31', '23', '29', '30', '18', '17'))
    and not exists (select * from tpch_orders where o_custkey = c_custkey)) as custsale group by cntrycode order by cntrycode;
