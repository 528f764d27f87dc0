-- Tables and rows of the three workloads, about 1.2 million rows at scale 1: psql -v scale=1 -f schema.sql
-- A fixed seed and plain SQL: the same rows every time. Keys and foreign keys are declared as an application would.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT setseed(0.42) \g /dev/null
-- Few are chosen often: what an application's keys look like.
CREATE FUNCTION pg_temp.skewed(n double precision) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 + floor(n * random() * random() * random())::int';

-- ---------------------------------------------------------------------------------------------- TPC-H
\ir ../../workload/tpch/schema.sql

-- ---------------------------------------------------------------------------------------------- TPC-DS
CREATE TABLE date_dim (d_date_sk int PRIMARY KEY, d_date date NOT NULL, d_year int NOT NULL, d_moy int NOT NULL, d_qoy int NOT NULL, d_month_seq int NOT NULL, d_dow int NOT NULL, d_week_seq int NOT NULL);
CREATE TABLE item (i_item_sk int PRIMARY KEY, i_item_id text NOT NULL, i_item_desc text, i_current_price numeric(7,2), i_category text, i_class text, i_brand text, i_brand_id int, i_manufact_id int);
CREATE TABLE store (s_store_sk int PRIMARY KEY, s_store_id text NOT NULL, s_store_name text, s_state text, s_county text);
CREATE TABLE customer_address (ca_address_sk int PRIMARY KEY, ca_city text, ca_county text, ca_state text, ca_zip text);
CREATE TABLE customer_demographics (cd_demo_sk int PRIMARY KEY, cd_gender text, cd_marital_status text, cd_education_status text, cd_dep_count int);
CREATE TABLE ds_customer (c_customer_sk int PRIMARY KEY, c_customer_id text NOT NULL, c_current_addr_sk int REFERENCES customer_address, c_current_cdemo_sk int REFERENCES customer_demographics,
                          c_first_name text, c_last_name text, c_birth_year int);
CREATE TABLE store_sales (ss_item_sk int NOT NULL REFERENCES item, ss_ticket_number int NOT NULL, ss_sold_date_sk int REFERENCES date_dim, ss_customer_sk int REFERENCES ds_customer,
                          ss_store_sk int REFERENCES store, ss_quantity int, ss_list_price numeric(7,2), ss_sales_price numeric(7,2), ss_ext_sales_price numeric(7,2), ss_net_profit numeric(7,2),
                          PRIMARY KEY (ss_item_sk, ss_ticket_number));
CREATE TABLE store_returns (sr_item_sk int NOT NULL REFERENCES item, sr_ticket_number int NOT NULL, sr_returned_date_sk int REFERENCES date_dim, sr_customer_sk int REFERENCES ds_customer,
                            sr_store_sk int REFERENCES store, sr_return_amt numeric(7,2), PRIMARY KEY (sr_item_sk, sr_ticket_number));
CREATE TABLE catalog_sales (cs_item_sk int NOT NULL REFERENCES item, cs_order_number int NOT NULL, cs_sold_date_sk int REFERENCES date_dim, cs_ship_date_sk int REFERENCES date_dim,
                            cs_bill_customer_sk int REFERENCES ds_customer, cs_call_center_sk int, cs_warehouse_sk int, cs_quantity int, cs_list_price numeric(7,2), cs_ext_sales_price numeric(7,2),
                            cs_ext_discount_amt numeric(7,2), cs_net_profit numeric(7,2), PRIMARY KEY (cs_item_sk, cs_order_number));
CREATE TABLE web_sales (ws_item_sk int NOT NULL REFERENCES item, ws_order_number int NOT NULL, ws_sold_date_sk int REFERENCES date_dim, ws_bill_customer_sk int REFERENCES ds_customer,
                        ws_warehouse_sk int, ws_quantity int, ws_list_price numeric(7,2), ws_ext_sales_price numeric(7,2), ws_ext_discount_amt numeric(7,2), PRIMARY KEY (ws_item_sk, ws_order_number));
INSERT INTO date_dim SELECT g, d, extract(year FROM d), extract(month FROM d), extract(quarter FROM d), (extract(year FROM d) - 1900) * 12 + extract(month FROM d) - 1, extract(dow FROM d), g / 7
  FROM (SELECT g, date '1998-01-01' + g AS d FROM generate_series(1, 2190) g) x;
INSERT INTO item SELECT g, 'ITEM' || g / 2, 'item number ' || g, 1 + pg_temp.below(30000) / 100.0, (array['Books','Home','Electronics','Jewelry','Men','Music','Shoes','Sports','Women'])[1 + pg_temp.below(9)],
  'class ' || pg_temp.below(40), 'brand ' || g % 300, g % 300, pg_temp.below(500) FROM generate_series(1, (4000 * :scale)::int) g;
INSERT INTO store SELECT g, 'STORE' || g, 'store ' || g, (array['TN','CA','TX'])[1 + g % 3], 'county ' || g % 5 FROM generate_series(1, 12) g;
INSERT INTO customer_address SELECT g, 'city ' || pg_temp.below(200), 'county ' || pg_temp.below(100), (array['CA','NY','TX','GA','KY','NM','OR','IN','WI'])[1 + pg_temp.below(9)], (10000 + pg_temp.below(8000))::text FROM generate_series(1, (10000 * :scale)::int) g;
INSERT INTO customer_demographics SELECT g, (array['M','F'])[1 + g % 2], (array['M','S','D','W','U'])[1 + g % 5], (array['College','Primary','Secondary','Unknown'])[1 + g % 4], g % 7 FROM generate_series(1, 2000) g;
INSERT INTO ds_customer SELECT g, 'CUST' || g, CASE WHEN g % 40 > 0 THEN 1 + pg_temp.below(10000 * :scale) END, CASE WHEN g % 50 > 0 THEN 1 + pg_temp.below(2000) END, 'first ' || g % 500, 'last ' || g % 3000, 1930 + pg_temp.below(70)
  FROM generate_series(1, (20000 * :scale)::int) g;
INSERT INTO store_sales SELECT pg_temp.skewed(4000 * :scale), g / 4, CASE WHEN g % 60 > 0 THEN 1 + pg_temp.below(2190) END, CASE WHEN g % 50 > 0 THEN pg_temp.skewed(20000 * :scale) END, CASE WHEN g % 70 > 0 THEN 1 + pg_temp.below(12) END,
  1 + pg_temp.below(100), 1 + pg_temp.below(20000) / 100.0, pg_temp.below(20000) / 100.0, pg_temp.below(1000000) / 100.0, pg_temp.below(1000000) / 100.0 - 5000 FROM generate_series(1, (200000 * :scale)::int) g ON CONFLICT DO NOTHING;
INSERT INTO store_returns SELECT ss_item_sk, ss_ticket_number, least(2190, ss_sold_date_sk + 1 + pg_temp.below(60)), ss_customer_sk, ss_store_sk, ss_sales_price FROM store_sales WHERE pg_temp.below(10) = 0;
INSERT INTO catalog_sales SELECT pg_temp.skewed(4000 * :scale), g / 3, CASE WHEN g % 60 > 0 THEN 1 + pg_temp.below(2100) END, 1 + pg_temp.below(2190), CASE WHEN g % 50 > 0 THEN pg_temp.skewed(20000 * :scale) END, pg_temp.below(5), pg_temp.below(5),
  1 + pg_temp.below(100), 1 + pg_temp.below(20000) / 100.0, pg_temp.below(1000000) / 100.0, pg_temp.below(100000) / 100.0, pg_temp.below(1000000) / 100.0 - 5000 FROM generate_series(1, (100000 * :scale)::int) g ON CONFLICT DO NOTHING;
INSERT INTO web_sales SELECT pg_temp.skewed(4000 * :scale), g / 3, CASE WHEN g % 60 > 0 THEN 1 + pg_temp.below(2190) END, CASE WHEN g % 50 > 0 THEN pg_temp.skewed(20000 * :scale) END, pg_temp.below(5),
  1 + pg_temp.below(100), 1 + pg_temp.below(20000) / 100.0, pg_temp.below(1000000) / 100.0, pg_temp.below(100000) / 100.0 FROM generate_series(1, (50000 * :scale)::int) g ON CONFLICT DO NOTHING;
CREATE INDEX ON store_sales (ss_sold_date_sk);
CREATE INDEX ON store_sales (ss_customer_sk);
CREATE INDEX ON store_returns (sr_customer_sk);
CREATE INDEX ON catalog_sales (cs_sold_date_sk);
CREATE INDEX ON catalog_sales (cs_bill_customer_sk);
CREATE INDEX ON catalog_sales (cs_order_number);
CREATE INDEX ON web_sales (ws_sold_date_sk);
CREATE INDEX ON web_sales (ws_bill_customer_sk);
CREATE INDEX ON web_sales (ws_order_number);
CREATE INDEX ON date_dim (d_year, d_moy);
CREATE INDEX ON ds_customer (c_current_addr_sk);

-- ---------------------------------------------------------------------------------------------- an issue tracker, for the ORMs
CREATE TABLE users (id bigint PRIMARY KEY, username text NOT NULL UNIQUE, email text UNIQUE, state text NOT NULL, admin boolean NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE projects (id bigint PRIMARY KEY, name text NOT NULL, owner_id bigint NOT NULL REFERENCES users, visibility_level int NOT NULL, archived boolean NOT NULL, last_activity_at timestamptz);
CREATE TABLE members (id bigint PRIMARY KEY, project_id bigint NOT NULL REFERENCES projects, user_id bigint NOT NULL REFERENCES users, access_level int NOT NULL, UNIQUE (project_id, user_id));
CREATE TABLE issues (id bigint PRIMARY KEY, project_id bigint NOT NULL REFERENCES projects, author_id bigint NOT NULL REFERENCES users, assignee_id bigint REFERENCES users, title text NOT NULL, state text NOT NULL,
                     weight smallint, milestone_id int, due_date date, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE notes (id bigint PRIMARY KEY, noteable_id bigint NOT NULL REFERENCES issues, author_id bigint NOT NULL REFERENCES users, system boolean NOT NULL, body text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE labels (id bigint PRIMARY KEY, title text NOT NULL, project_id bigint REFERENCES projects);
CREATE TABLE label_links (id bigint PRIMARY KEY, label_id bigint NOT NULL REFERENCES labels, issue_id bigint NOT NULL REFERENCES issues, UNIQUE (issue_id, label_id));
INSERT INTO users SELECT g, 'user' || g, CASE WHEN g % 20 > 0 THEN 'user' || g || '@example.com' END, CASE WHEN g % 25 = 0 THEN 'blocked' ELSE 'active' END, g % 500 = 0, timestamptz '2020-01-01 00:00:00+00' + g * interval '1 hour'
  FROM generate_series(1, (20000 * :scale)::int) g;
INSERT INTO projects SELECT g, 'project ' || g, pg_temp.skewed(20000 * :scale), (array[0, 10, 20])[1 + pg_temp.below(3)], g % 30 = 0, timestamptz '2023-01-01 00:00:00+00' + pg_temp.below(1000) * interval '1 hour' FROM generate_series(1, (2000 * :scale)::int) g;
INSERT INTO members SELECT g, pg_temp.skewed(2000 * :scale), 1 + pg_temp.below(20000 * :scale), 10 * (1 + pg_temp.below(5)) FROM generate_series(1, (40000 * :scale)::int) g ON CONFLICT DO NOTHING;
INSERT INTO issues SELECT g, pg_temp.skewed(2000 * :scale), pg_temp.skewed(20000 * :scale), CASE WHEN pg_temp.below(3) = 0 THEN pg_temp.skewed(20000 * :scale) END, 'issue ' || g, CASE WHEN pg_temp.below(4) = 0 THEN 'opened' ELSE 'closed' END,
  CASE WHEN g % 5 = 0 THEN pg_temp.below(10) END, CASE WHEN g % 3 = 0 THEN pg_temp.below(100) END, CASE WHEN g % 7 = 0 THEN date '2023-01-01' + pg_temp.below(700) END, timestamptz '2021-01-01 00:00:00+00' + g * interval '7 minutes',
  timestamptz '2021-01-01 00:00:00+00' + (g + pg_temp.below(50000)) * interval '7 minutes' FROM generate_series(1, (150000 * :scale)::int) g;
INSERT INTO notes SELECT g, pg_temp.skewed(150000 * :scale), pg_temp.skewed(20000 * :scale), pg_temp.below(2) = 0, 'note body ' || g, timestamptz '2021-01-01 00:00:00+00' + g * interval '4 minutes' FROM generate_series(1, (300000 * :scale)::int) g;
INSERT INTO labels SELECT g, 'label ' || g % 90, CASE WHEN g % 4 > 0 THEN 1 + pg_temp.below(2000 * :scale) END FROM generate_series(1, 300) g;
INSERT INTO label_links SELECT g, 1 + pg_temp.below(300), pg_temp.skewed(150000 * :scale) FROM generate_series(1, (120000 * :scale)::int) g ON CONFLICT DO NOTHING;
CREATE INDEX ON projects (owner_id);
CREATE INDEX ON members (user_id);
CREATE INDEX ON issues (project_id, state);
CREATE INDEX ON issues (author_id);
CREATE INDEX ON issues (assignee_id);
CREATE INDEX ON issues (created_at, id);
CREATE INDEX ON issues (milestone_id);
CREATE INDEX ON notes (noteable_id);
CREATE INDEX ON notes (author_id);
CREATE INDEX ON notes (created_at);
CREATE INDEX ON label_links (label_id);
CREATE INDEX ON issues (state);
VACUUM ANALYZE;
