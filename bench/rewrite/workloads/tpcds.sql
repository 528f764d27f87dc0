-- Well-known shapes of TPC-DS over its tables, columns that play no part left out. Format: see tpch.sql.

-- name: ds01  returners above 1.2 times their store's average: a CTE used twice, correlated
-- ordered
with customer_total_return as (select sr_customer_sk as ctr_customer_sk, sr_store_sk as ctr_store_sk, sum(sr_return_amt) as ctr_total_return from store_returns, date_dim where sr_returned_date_sk = d_date_sk and d_year = {1999..2002} group by sr_customer_sk, sr_store_sk)
select c_customer_id from customer_total_return ctr1, store, ds_customer where ctr1.ctr_total_return > (select avg(ctr_total_return) * 1.2 from customer_total_return ctr2 where ctr1.ctr_store_sk = ctr2.ctr_store_sk)
  and s_store_sk = ctr1.ctr_store_sk and s_state = 'TN' and ctr1.ctr_customer_sk = c_customer_sk order by c_customer_id limit 100;

-- name: ds03  brand revenue in one month over the years
-- ordered
select dt.d_year, item.i_brand_id brand_id, item.i_brand brand, sum(ss_ext_sales_price) sum_agg from date_dim dt, store_sales, item where dt.d_date_sk = store_sales.ss_sold_date_sk and store_sales.ss_item_sk = item.i_item_sk
  and item.i_manufact_id = {1..499} and dt.d_moy = 11 group by dt.d_year, item.i_brand, item.i_brand_id order by dt.d_year, sum_agg desc, brand_id limit 100;

-- name: ds04  year over year by channel: self joins of a CTE
-- ordered
with year_total as (
  select c_customer_id customer_id, d_year dyear, sum(ss_ext_sales_price) year_total, 's' sale_type from ds_customer, store_sales, date_dim where c_customer_sk = ss_customer_sk and ss_sold_date_sk = d_date_sk and c_birth_year < 1945 group by c_customer_id, d_year
  union all
  select c_customer_id, d_year, sum(ws_ext_sales_price), 'w' from ds_customer, web_sales, date_dim where c_customer_sk = ws_bill_customer_sk and ws_sold_date_sk = d_date_sk and c_birth_year < 1945 group by c_customer_id, d_year)
select t_s_secyear.customer_id from year_total t_s_firstyear, year_total t_s_secyear, year_total t_w_firstyear, year_total t_w_secyear
where t_s_secyear.customer_id = t_s_firstyear.customer_id and t_s_firstyear.customer_id = t_w_secyear.customer_id and t_s_firstyear.customer_id = t_w_firstyear.customer_id
  and t_s_firstyear.sale_type = 's' and t_w_firstyear.sale_type = 'w' and t_s_secyear.sale_type = 's' and t_w_secyear.sale_type = 'w' and t_s_firstyear.dyear = {y=2000|2001} and t_s_secyear.dyear = {y} + 1
  and t_w_firstyear.dyear = {y} and t_w_secyear.dyear = {y} + 1 and t_s_firstyear.year_total > 0 and t_w_firstyear.year_total > 0 and t_w_secyear.year_total > t_s_secyear.year_total order by t_s_secyear.customer_id limit 100;

-- name: ds06  items dearer than 1.2 times their category's average
-- ordered
select a.ca_state state, count(*) cnt from customer_address a, ds_customer c, store_sales s, date_dim d, item i where a.ca_address_sk = c.c_current_addr_sk and c.c_customer_sk = s.ss_customer_sk and s.ss_sold_date_sk = d.d_date_sk and s.ss_item_sk = i.i_item_sk
  and d.d_month_seq = (select distinct d_month_seq from date_dim where d_year = 2001 and d_moy = {1..9}) and i.i_current_price > 1.2 * (select avg(j.i_current_price) from item j where j.i_category = i.i_category)
group by a.ca_state having count(*) >= 10 order by cnt, a.ca_state limit 100;

-- name: ds09  a CASE over fifteen scalar aggregates
select case when (select count(*) from store_sales where ss_quantity between 1 and 20) > {1000..90000} then (select avg(ss_ext_sales_price) from store_sales where ss_quantity between 1 and 20) else (select avg(ss_net_profit) from store_sales where ss_quantity between 1 and 20) end bucket1,
       case when (select count(*) from store_sales where ss_quantity between 21 and 40) > {1000..90000} then (select avg(ss_ext_sales_price) from store_sales where ss_quantity between 21 and 40) else (select avg(ss_net_profit) from store_sales where ss_quantity between 21 and 40) end bucket2,
       case when (select count(*) from store_sales where ss_quantity between 41 and 60) > {1000..90000} then (select avg(ss_ext_sales_price) from store_sales where ss_quantity between 41 and 60) else (select avg(ss_net_profit) from store_sales where ss_quantity between 41 and 60) end bucket3
from item where i_item_sk = 1;

-- name: ds10  who bought in a store and online or by catalogue: EXISTS, and EXISTS OR EXISTS
-- ordered
select cd_gender, cd_marital_status, cd_education_status, count(*) cnt1 from ds_customer c, customer_address ca, customer_demographics where c.c_current_addr_sk = ca.ca_address_sk and ca_county in ('county 1', 'county {2..60}') and cd_demo_sk = c.c_current_cdemo_sk
  and exists (select * from store_sales, date_dim where c.c_customer_sk = ss_customer_sk and ss_sold_date_sk = d_date_sk and d_year = 2002 and d_moy between 1 and 4)
  and (exists (select * from web_sales, date_dim where c.c_customer_sk = ws_bill_customer_sk and ws_sold_date_sk = d_date_sk and d_year = 2002 and d_moy between 1 and 4)
    or exists (select * from catalog_sales, date_dim where c.c_customer_sk = cs_bill_customer_sk and cs_sold_date_sk = d_date_sk and d_year = 2002 and d_moy between 1 and 4))
group by cd_gender, cd_marital_status, cd_education_status order by cd_gender, cd_marital_status, cd_education_status limit 100;

-- name: ds14  brands sold in all three channels: INTERSECT
-- ordered
select i_category, count(*) from item where i_brand_id in (select iss.i_brand_id from store_sales, item iss, date_dim d1 where ss_item_sk = iss.i_item_sk and ss_sold_date_sk = d1.d_date_sk and d1.d_year = {y=1999|2000|2001}
    intersect select ics.i_brand_id from catalog_sales, item ics, date_dim d2 where cs_item_sk = ics.i_item_sk and cs_sold_date_sk = d2.d_date_sk and d2.d_year = {y}
    intersect select iws.i_brand_id from web_sales, item iws, date_dim d3 where ws_item_sk = iws.i_item_sk and ws_sold_date_sk = d3.d_date_sk and d3.d_year = {y}) group by i_category order by i_category;

-- name: ds16  orders shipped from several warehouses: EXISTS with <>, NOT EXISTS, count(DISTINCT)
select count(distinct cs_order_number) as order_count, sum(cs_ext_sales_price) as total, sum(cs_net_profit) as profit from catalog_sales cs1, date_dim where d_date between '200{0..2}-02-01' and '2002-12-31' and cs1.cs_ship_date_sk = d_date_sk
  and exists (select * from catalog_sales cs2 where cs1.cs_order_number = cs2.cs_order_number and cs1.cs_warehouse_sk <> cs2.cs_warehouse_sk) and not exists (select * from store_returns where cs1.cs_order_number = sr_ticket_number);

-- name: ds22  profit by product with a rollup
-- ordered
select i_category, i_class, avg(cs_quantity) qoh from catalog_sales, date_dim, item where cs_sold_date_sk = d_date_sk and cs_item_sk = i_item_sk and d_month_seq between {1200..1210} and 1222 group by rollup (i_category, i_class) order by qoh, i_category, i_class limit 100;

-- name: ds23  best customers and frequent items: CTEs used several times
with frequent_ss_items as (select i_item_sk item_sk, d_date solddate, count(*) cnt from store_sales, date_dim, item where ss_sold_date_sk = d_date_sk and ss_item_sk = i_item_sk and d_year in (2000, 200{1..2}) group by i_item_sk, d_date having count(*) > 1),
     best_ss_customer as (select c_customer_sk, sum(ss_quantity * ss_sales_price) ssales from store_sales, ds_customer where ss_customer_sk = c_customer_sk group by c_customer_sk having sum(ss_quantity * ss_sales_price) > 200000)
select sum(sales) from (select cs_quantity * cs_list_price sales from catalog_sales, date_dim where d_year = 2000 and d_moy = {1..9} and cs_sold_date_sk = d_date_sk and cs_item_sk in (select item_sk from frequent_ss_items) and cs_bill_customer_sk in (select c_customer_sk from best_ss_customer)
  union all select ws_quantity * ws_list_price from web_sales, date_dim where d_year = 2000 and d_moy = {1..9} and ws_sold_date_sk = d_date_sk and ws_item_sk in (select item_sk from frequent_ss_items) and ws_bill_customer_sk in (select c_customer_sk from best_ss_customer)) x;

-- name: ds31  growth by county, quarter against quarter: a CTE joined three times
-- ordered
with ss as (select ca_county, d_qoy, d_year, sum(ss_ext_sales_price) as store_sales from store_sales, date_dim, customer_address, ds_customer where ss_sold_date_sk = d_date_sk and ss_customer_sk = c_customer_sk and c_current_addr_sk = ca_address_sk group by ca_county, d_qoy, d_year)
select ss1.ca_county, ss1.d_year, ss2.store_sales / ss1.store_sales q1_q2, ss3.store_sales / ss2.store_sales q2_q3 from ss ss1, ss ss2, ss ss3 where ss1.d_qoy = 1 and ss1.d_year = {y=2000|2001} and ss1.ca_county = ss2.ca_county and ss2.d_qoy = 2 and ss2.d_year = {y}
  and ss2.ca_county = ss3.ca_county and ss3.d_qoy = 3 and ss3.d_year = {y} order by ss1.ca_county;

-- name: ds32  excess discount: a correlated average over a date window
select sum(cs_ext_discount_amt) as "excess discount amount" from catalog_sales, item, date_dim where i_manufact_id = {1..499} and i_item_sk = cs_item_sk and d_date between '2000-01-27' and '2001-04-26' and d_date_sk = cs_sold_date_sk
  and cs_ext_discount_amt > (select 1.3 * avg(cs_ext_discount_amt) from catalog_sales, date_dim where cs_item_sk = i_item_sk and d_date between '2000-01-27' and '2001-04-26' and d_date_sk = cs_sold_date_sk);

-- name: ds38  customers of all channels: INTERSECT under count
select count(*) from (select distinct c_last_name, c_first_name, d_date from store_sales, date_dim, ds_customer where ss_sold_date_sk = d_date_sk and ss_customer_sk = c_customer_sk and d_month_seq between {1200..1210} and 1215
  intersect select distinct c_last_name, c_first_name, d_date from catalog_sales, date_dim, ds_customer where cs_sold_date_sk = d_date_sk and cs_bill_customer_sk = c_customer_sk and d_month_seq between 1200 and 1215
  intersect select distinct c_last_name, c_first_name, d_date from web_sales, date_dim, ds_customer where ws_sold_date_sk = d_date_sk and ws_bill_customer_sk = c_customer_sk and d_month_seq between 1200 and 1215) hot_cust;

-- name: ds41  items whose kind exists: a correlated count above zero
-- ordered
select distinct i_item_id from item i1 where i_manufact_id between {100..400} and 440 and (select count(*) as item_cnt from item where i_manufact_id = i1.i_manufact_id and (i_category = 'Women' or i_category = 'Men') and i_current_price > 100) > 0 order by i_item_id limit 100;

-- name: ds44  best and worst items: rank over two sides
-- ordered
select asceding.rnk, i1.i_item_id best_performing, i2.i_item_id worst_performing from
  (select item_sk, rank() over (order by rank_col asc) rnk from (select ss_item_sk item_sk, avg(ss_net_profit) rank_col from store_sales where ss_store_sk = {s=1|4|9} group by ss_item_sk) v1) asceding,
  (select item_sk, rank() over (order by rank_col desc) rnk from (select ss_item_sk item_sk, avg(ss_net_profit) rank_col from store_sales where ss_store_sk = {s} group by ss_item_sk) v2) descending, item i1, item i2
where asceding.rnk < 11 and asceding.rnk = descending.rnk and i1.i_item_sk = asceding.item_sk and i2.i_item_sk = descending.item_sk order by asceding.rnk, i1.i_item_id, i2.i_item_id;

-- name: ds45  zip codes or special items: OR over IN
-- ordered
select ca_zip, sum(ws_ext_sales_price) from web_sales, ds_customer, customer_address, date_dim, item where ws_bill_customer_sk = c_customer_sk and c_current_addr_sk = ca_address_sk and ws_item_sk = i_item_sk
  and (substr(ca_zip, 1, 5) in ('10017', '1{1000..7000}', '12348') or i_item_id in (select i_item_id from item where i_item_sk in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29))) and ws_sold_date_sk = d_date_sk and d_qoy = 2 and d_year = 2001 group by ca_zip order by ca_zip limit 100;

-- name: ds54  months since purchase: DISTINCT over UNION ALL
select count(*), sum(revenue) from (select c_customer_sk, sum(ss_ext_sales_price) as revenue from (
    select distinct c_customer_sk, c_current_addr_sk from (select cs_sold_date_sk sold_date_sk, cs_bill_customer_sk customer_sk, cs_item_sk item_sk from catalog_sales union all select ws_sold_date_sk, ws_bill_customer_sk, ws_item_sk from web_sales) cs_or_ws_sales, item, date_dim, ds_customer
    where sold_date_sk = d_date_sk and item_sk = i_item_sk and i_category = '{Women|Books|Music}' and c_customer_sk = cs_or_ws_sales.customer_sk and d_moy = 12 and d_year = 1998) my_customers, store_sales, customer_address, date_dim
  where c_current_addr_sk = ca_address_sk and c_customer_sk = ss_customer_sk and ss_sold_date_sk = d_date_sk and d_month_seq between 1189 and 1195 group by c_customer_sk) my_revenue;

-- name: ds65  items that sell below a tenth of their store's average
-- ordered
select s_store_name, i_item_desc, sc.revenue from store, item, (select ss_store_sk, avg(revenue) as ave from (select ss_store_sk, ss_item_sk, sum(ss_sales_price) as revenue from store_sales, date_dim where ss_sold_date_sk = d_date_sk and d_month_seq between {1176..1180} and 1187 group by ss_store_sk, ss_item_sk) sa group by ss_store_sk) sb,
  (select ss_store_sk, ss_item_sk, sum(ss_sales_price) as revenue from store_sales, date_dim where ss_sold_date_sk = d_date_sk and d_month_seq between 1176 and 1187 group by ss_store_sk, ss_item_sk) sc
where sb.ss_store_sk = sc.ss_store_sk and sc.revenue <= 0.1 * sb.ave and s_store_sk = sc.ss_store_sk and i_item_sk = sc.ss_item_sk order by s_store_name, i_item_desc, sc.revenue limit 100;

-- name: ds67  top sellers per category: rank over a rollup
-- ordered
select * from (select i_category, i_class, d_year, sumsales, rank() over (partition by i_category order by sumsales desc) rk from (
    select i_category, i_class, d_year, sum(coalesce(ss_sales_price * ss_quantity, 0)) sumsales from store_sales, date_dim, item where ss_sold_date_sk = d_date_sk and ss_item_sk = i_item_sk and d_month_seq between {1200..1206} and 1211 group by rollup (i_category, i_class, d_year)) dw1) dw2
where rk <= 5 order by i_category, i_class, d_year, sumsales, rk limit 100;

-- name: ds87  store customers of no other channel: EXCEPT
select count(*) from ((select distinct c_last_name, c_first_name, d_date from store_sales, date_dim, ds_customer where ss_sold_date_sk = d_date_sk and ss_customer_sk = c_customer_sk and d_month_seq between {1200..1206} and 1211)
  except (select distinct c_last_name, c_first_name, d_date from catalog_sales, date_dim, ds_customer where cs_sold_date_sk = d_date_sk and cs_bill_customer_sk = c_customer_sk and d_month_seq between 1200 and 1211)
  except (select distinct c_last_name, c_first_name, d_date from web_sales, date_dim, ds_customer where ws_sold_date_sk = d_date_sk and ws_bill_customer_sk = c_customer_sk and d_month_seq between 1200 and 1211)) cool_cust;

-- name: ds88  store traffic by hours: scalar counts side by side
select * from (select count(*) h1 from store_sales, ds_customer, store where ss_customer_sk = c_customer_sk and ss_store_sk = s_store_sk and ss_quantity between 1 and {10..20} and s_store_name = 'store 3') s1,
  (select count(*) h2 from store_sales, ds_customer, store where ss_customer_sk = c_customer_sk and ss_store_sk = s_store_sk and ss_quantity between 30 and 40 and s_store_name = 'store 3') s2,
  (select count(*) h3 from store_sales, ds_customer, store where ss_customer_sk = c_customer_sk and ss_store_sk = s_store_sk and ss_quantity between 50 and 60 and s_store_name = 'store 3') s3;

-- name: ds97  who bought where: FULL JOIN of two groupings
with ssci as (select ss_customer_sk customer_sk, ss_item_sk item_sk from store_sales, date_dim where ss_sold_date_sk = d_date_sk and d_month_seq between {1190..1200} and 1211 group by ss_customer_sk, ss_item_sk),
     csci as (select cs_bill_customer_sk customer_sk, cs_item_sk item_sk from catalog_sales, date_dim where cs_sold_date_sk = d_date_sk and d_month_seq between 1200 and 1211 group by cs_bill_customer_sk, cs_item_sk)
select sum(case when ssci.customer_sk is not null and csci.customer_sk is null then 1 else 0 end) store_only, sum(case when ssci.customer_sk is null and csci.customer_sk is not null then 1 else 0 end) catalog_only,
       sum(case when ssci.customer_sk is not null and csci.customer_sk is not null then 1 else 0 end) store_and_catalog from ssci full outer join csci on (ssci.customer_sk = csci.customer_sk and ssci.item_sk = csci.item_sk);
