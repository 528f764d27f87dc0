-- Tables and rows shaped like TPC-H's, about 0.4 million rows at scale 1; the same rows every time. :scale stands for a number. Used by bench/rewrite/run through psql, which goes
-- on with pg_temp.below(n), and by `pgsteer bench --workload analytic`; `orders` has a name of its own beside the shop's.
CREATE FUNCTION pg_temp.below(n double precision) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT floor(random() * n)::int';
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name text NOT NULL, r_comment text);
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name text NOT NULL, n_regionkey int NOT NULL REFERENCES region, n_comment text);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name text NOT NULL, p_mfgr text NOT NULL, p_brand text NOT NULL, p_type text NOT NULL,
                   p_size int NOT NULL, p_container text NOT NULL, p_retailprice numeric(15,2) NOT NULL);
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name text NOT NULL, s_address text NOT NULL, s_nationkey int NOT NULL REFERENCES nation,
                       s_phone text NOT NULL, s_acctbal numeric(15,2) NOT NULL, s_comment text NOT NULL);
CREATE TABLE partsupp (ps_partkey int NOT NULL REFERENCES part, ps_suppkey int NOT NULL REFERENCES supplier, ps_availqty int NOT NULL,
                       ps_supplycost numeric(15,2) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name text NOT NULL, c_address text NOT NULL, c_nationkey int NOT NULL REFERENCES nation,
                       c_phone text NOT NULL, c_acctbal numeric(15,2) NOT NULL, c_mktsegment text NOT NULL, c_comment text NOT NULL);
CREATE TABLE tpch_orders (o_orderkey int PRIMARY KEY, o_custkey int NOT NULL REFERENCES customer, o_orderstatus text NOT NULL,
                     o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority text NOT NULL, o_clerk text NOT NULL,
                     o_shippriority int NOT NULL, o_comment text NOT NULL);
CREATE TABLE lineitem (l_orderkey int NOT NULL REFERENCES tpch_orders, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL,
                       l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
                       l_tax numeric(15,2) NOT NULL, l_returnflag text NOT NULL, l_linestatus text NOT NULL, l_shipdate date NOT NULL,
                       l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct text NOT NULL, l_shipmode text NOT NULL,
                       PRIMARY KEY (l_orderkey, l_linenumber));
INSERT INTO region SELECT g, (array['AFRICA','AMERICA','ASIA','EUROPE','MIDDLE EAST'])[g + 1] FROM generate_series(0, 4) g;
INSERT INTO nation SELECT g, (array['ALGERIA','ARGENTINA','BRAZIL','CANADA','EGYPT','ETHIOPIA','FRANCE','GERMANY','INDIA','INDONESIA','IRAN','IRAQ','JAPAN',
  'JORDAN','KENYA','MOROCCO','MOZAMBIQUE','PERU','CHINA','ROMANIA','SAUDI ARABIA','VIETNAM','RUSSIA','UNITED KINGDOM','UNITED STATES'])[g + 1], g % 5 FROM generate_series(0, 24) g;
INSERT INTO part SELECT g, (array['almond','azure','blush','forest','green','ivory','khaki','lace'])[1 + pg_temp.below(8)] || ' ' || (array['lemon','linen','mint','navy','olive','orchid'])[1 + pg_temp.below(6)],
  'Manufacturer#' || 1 + g % 5, 'Brand#' || 1 + g % 5 || 1 + pg_temp.below(5),
  (array['STANDARD','SMALL','MEDIUM','LARGE','ECONOMY','PROMO'])[1 + pg_temp.below(6)] || ' ' || (array['ANODIZED','BURNISHED','PLATED','POLISHED','BRUSHED'])[1 + pg_temp.below(5)] || ' ' || (array['TIN','NICKEL','BRASS','STEEL','COPPER'])[1 + pg_temp.below(5)],
  1 + pg_temp.below(50), (array['SM','LG','MED','JUMBO','WRAP'])[1 + pg_temp.below(5)] || ' ' || (array['CASE','BOX','BAG','JAR','PACK'])[1 + pg_temp.below(5)], 900 + g % 1000
  FROM generate_series(1, (10000 * :scale)::int) g;
INSERT INTO supplier SELECT g, 'Supplier#' || g, 'address ' || g, pg_temp.below(25), 10 + g % 25 || '-' || g, pg_temp.below(1100000) / 100.0 - 1000,
  CASE WHEN g % 50 = 0 THEN 'some Customer bad Complaints' ELSE 'quick' END FROM generate_series(1, (500 * :scale)::int) g;
INSERT INTO partsupp SELECT p, 1 + (p + s * (1 + (500 * :scale)::int / 4)) % (500 * :scale)::int, 1 + pg_temp.below(9999), 1 + pg_temp.below(100000) / 100.0
  FROM generate_series(1, (10000 * :scale)::int) p, generate_series(0, 3) s ON CONFLICT DO NOTHING;
INSERT INTO customer SELECT g, 'Customer#' || g, 'address ' || g, pg_temp.below(25), 10 + pg_temp.below(25) || '-' || g, pg_temp.below(1100000) / 100.0 - 1000,
  (array['AUTOMOBILE','BUILDING','FURNITURE','HOUSEHOLD','MACHINERY'])[1 + pg_temp.below(5)], 'comment' FROM generate_series(1, (7500 * :scale)::int) g;
INSERT INTO tpch_orders SELECT g, 3 * (1 + pg_temp.below(2500 * :scale)), (array['F','O','P'])[1 + pg_temp.below(3)], 1000 + pg_temp.below(40000000) / 100.0,
  date '1992-01-01' + pg_temp.below(2400), (array['1-URGENT','2-HIGH','3-MEDIUM','4-NOT SPECIFIED','5-LOW'])[1 + pg_temp.below(5)], 'Clerk#' || pg_temp.below(100), 0,
  CASE WHEN pg_temp.below(50) = 0 THEN 'a special handling requests note' ELSE 'note ' || g END FROM generate_series(1, (75000 * :scale)::int) g;
INSERT INTO lineitem SELECT o, 1 + pg_temp.below(10000 * :scale), 1 + pg_temp.below(500 * :scale), n, 1 + pg_temp.below(50), 900 + pg_temp.below(10000000) / 100.0, pg_temp.below(11) / 100.0,
  pg_temp.below(9) / 100.0, (array['R','A','N'])[1 + pg_temp.below(3)], (array['O','F'])[1 + pg_temp.below(2)], d + 10, d + 5 + pg_temp.below(60), d + 12 + pg_temp.below(30),
  (array['DELIVER IN PERSON','COLLECT COD','NONE','TAKE BACK RETURN'])[1 + pg_temp.below(4)], (array['AIR','REG AIR','RAIL','SHIP','TRUCK','MAIL','FOB'])[1 + pg_temp.below(7)]
  FROM (SELECT o_orderkey AS o, o_orderdate + pg_temp.below(100) AS d, n FROM tpch_orders, generate_series(1, 4) n) x;
CREATE INDEX ON lineitem (l_partkey, l_suppkey);
CREATE INDEX ON lineitem (l_shipdate);
CREATE INDEX ON tpch_orders (o_custkey);
CREATE INDEX ON tpch_orders (o_orderdate);
CREATE INDEX ON customer (c_nationkey);
CREATE INDEX ON supplier (s_nationkey);
CREATE INDEX ON partsupp (ps_suppkey);
