#include "bench/workload/generator.hpp"

namespace pgsteer::workload {

const std::string_view schema_sql = R"sql(
create table categories(id int not null, parent_id int, name text not null, department text not null);
create table products(id int not null, category_id int not null, name text not null, brand text not null,
  price numeric(10,2) not null, stock int not null, rating real, created_at timestamp not null, discontinued_at timestamp);
create table customers(id int not null, email text not null, name text not null, city text not null, country text not null,
  segment text not null, referred_by int, created_at timestamp not null);
create table orders(id int not null, customer_id int not null, status text not null, channel text not null, coupon_id int,
  total_cents int not null, created_at timestamp not null, shipped_at timestamp);
create table order_items(order_id int not null, line int not null, product_id int not null, quantity int not null,
  unit_cents int not null, discount_cents int);
create table reviews(id int not null, product_id int not null, customer_id int not null, rating int not null,
  helpful int not null, created_at timestamp not null, body text);
create table users(id int not null, customer_id int, name text not null, reputation int not null, location text,
  created_at timestamp not null, last_seen_at timestamp not null);
create table posts(id int not null, kind int not null, author_id int, parent_id int, product_id int, score int not null,
  views int, title text, created_at timestamp not null, closed_at timestamp);
create table comments(id int not null, post_id int not null, user_id int not null, score int not null, created_at timestamp not null);
create table votes(id int not null, post_id int not null, user_id int, kind int not null, created_at timestamp not null);
create table tags(id int not null, name text not null);
create table post_tags(post_id int not null, tag_id int not null);
create table badges(id int not null, user_id int not null, name text not null, class int not null, created_at timestamp not null);
create table carts(id int not null, customer_id int not null, items int not null, note text not null);
)sql";

const std::string_view constraints_sql = R"sql(
alter table categories add primary key (id)
alter table products add primary key (id)
alter table customers add primary key (id)
alter table orders add primary key (id)
alter table order_items add primary key (order_id, line)
alter table reviews add primary key (id)
alter table users add primary key (id)
alter table posts add primary key (id)
alter table comments add primary key (id)
alter table votes add primary key (id)
alter table tags add primary key (id)
alter table post_tags add primary key (post_id, tag_id)
alter table badges add primary key (id)
alter table carts add primary key (id)
create index products_category_id on products(category_id)
create unique index customers_email on customers(email)
create index orders_customer_id on orders(customer_id)
create index orders_created_at_id on orders(created_at, id)
create index orders_coupon_id on orders(coupon_id)
create index order_items_product_id on order_items(product_id)
create index reviews_product_id on reviews(product_id)
create index reviews_customer_id on reviews(customer_id)
create index users_customer_id on users(customer_id)
create index posts_author_id on posts(author_id)
create index posts_parent_id on posts(parent_id)
create index posts_product_id on posts(product_id)
create index posts_created_at on posts(created_at)
create index comments_post_id on comments(post_id)
create index comments_user_id on comments(user_id)
create index votes_post_id on votes(post_id)
create index votes_user_id on votes(user_id)
create index post_tags_tag_id on post_tags(tag_id)
create index badges_user_id on badges(user_id)
create index carts_customer_id on carts(customer_id)
alter table products add foreign key (category_id) references categories
alter table orders add foreign key (customer_id) references customers
alter table order_items add foreign key (order_id) references orders
alter table order_items add foreign key (product_id) references products
alter table reviews add foreign key (product_id) references products
alter table reviews add foreign key (customer_id) references customers
alter table users add foreign key (customer_id) references customers
alter table posts add foreign key (author_id) references users
alter table comments add foreign key (post_id) references posts
alter table comments add foreign key (user_id) references users
alter table votes add foreign key (post_id) references posts
alter table post_tags add foreign key (post_id) references posts
alter table post_tags add foreign key (tag_id) references tags
alter table badges add foreign key (user_id) references users
alter table carts add foreign key (customer_id) references customers
)sql";

}  // namespace pgsteer::workload
