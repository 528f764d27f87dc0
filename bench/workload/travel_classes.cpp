#include <array>
#include <memory>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "bench/workload/classes.hpp"

namespace pgsteer::workload {

const std::string_view travel_extra_sql = R"sql(
create table if not exists visits(id int primary key, pages int not null, note text not null);
insert into visits select n, n % 9, 'fresh' from generate_series(1, 5000) n on conflict do nothing;
)sql";

namespace {

Statement simple(std::string sql, bool ordered = true) { return {{{std::move(sql), {}, Protocol::simple}}, ordered, {}}; }

void add_oltp(std::vector<StatementClass>& classes) {
  const auto ids = std::make_shared<const Zipf>(30000, 0.9);
  classes.push_back({"point_read", "one post by key, extended and prepared", [ids](Random& random) {
    const std::string id = std::to_string(ids->rank(random) + 1);
    const Protocol protocol = random.chance(0.5) ? Protocol::prepared : Protocol::extended;
    return Statement{{{"SELECT id, posttypeid, score, viewcount, title FROM posts WHERE id = $1", {id}, protocol}}, true, {}};
  }, 60, 40, 4, false});
  classes.push_back({"point_write", "a transaction: change one row, read it back", [](Random& random) {
    const std::string id = std::to_string(random.below(5000) + 1), pages = std::to_string(random.below(9));
    return Statement{{{"BEGIN", {}, Protocol::simple},
                      {"UPDATE visits SET pages = $2, note = 'changed' WHERE id = $1", {id, pages}, Protocol::extended},
                      {"SELECT pages, note FROM visits WHERE id = $1", {id}, Protocol::extended},
                      {"COMMIT", {}, Protocol::simple}}, true, {}};
  }, 30, 12, 2, true});
  classes.push_back({"list_page", "a page of an ORM: IN list and LEFT JOIN", [ids](Random& random) {
    std::string list;
    for (int i = 0; i < 12; ++i) list += fmt::format("{}{}", i == 0 ? "" : ", ", ids->rank(random) + 1);
    return simple(fmt::format(R"(SELECT "comments"."id", "comments"."score", "comments"."creationdate", "users"."reputation" FROM "comments" LEFT OUTER JOIN "users" ON "users"."id" = "comments"."userid" WHERE "comments"."postid" IN ({}) ORDER BY "comments"."creationdate" DESC, "comments"."id" DESC LIMIT 25)", list));
  }, 20, 10, 2, false});
}

void add_dashboards(std::vector<StatementClass>& classes) {
  classes.push_back({"dashboard", "tiles everybody looks at all day", [](Random& random) {
    const std::uint64_t tile = random.below(3);
    if (tile == 0) return simple("SELECT date_trunc('month', creationdate) AS month, votetypeid, count(*), count(DISTINCT postid) FROM votes GROUP BY 1, 2 ORDER BY 1, 2 /*route='/dashboard/votes'*/");
    if (tile == 1) return simple("SELECT u.location, count(*) AS n, sum(p.score) FROM users u JOIN posts p ON p.owneruserid = u.id JOIN comments c ON c.postid = p.id GROUP BY u.location ORDER BY n DESC, u.location LIMIT 15 /*route='/dashboard/places'*/");
    return simple("SELECT name, class, count(*), count(DISTINCT userid) FROM badges GROUP BY name, class ORDER BY 3 DESC, name, class LIMIT 20 /*route='/dashboard/badges'*/");
  }, 5, 8, 1, false});
  classes.push_back({"fresh", "a tile read right after a write through the proxy", [](Random& random) {
    Statement statement = simple("SELECT pages, count(*), max(note) FROM visits GROUP BY pages ORDER BY pages /*route='/dashboard/visits'*/");
    statement.before.push_back(fmt::format("UPDATE visits SET pages = {} WHERE id = {}", random.below(9), random.below(200) + 1));
    return statement;
  }, 6, 2, 1, true});
}

// Counting queries over many joins, as in the published workloads on this kind of data: the fan-outs multiply on the same
// popular rows.
void add_reports(std::vector<StatementClass>& classes) {
  classes.push_back({"report_answers", "5 tables: discussed answers of reputed users", [](Random& random) {
    return simple(fmt::format("SELECT count(*), max(c.creationdate) FROM users u JOIN badges b ON b.userid = u.id JOIN posts p ON p.owneruserid = u.id JOIN comments c ON c.postid = p.id JOIN postlinks l ON l.postid = p.id WHERE u.reputation > {} AND b.class = {} AND p.score > {} AND c.score >= {}",
                              random.between(5, 60) * 100, random.between(1, 2), random.between(2, 12), random.between(1, 3)));
  }, 5, 1, 6, false});
  classes.push_back({"report_favourites", "4 tables: favourites of badge holders' questions", [](Random& random) {
    return simple(fmt::format("SELECT count(*), max(v.creationdate) FROM badges b JOIN users u ON u.id = b.userid JOIN posts p ON p.owneruserid = u.id JOIN votes v ON v.postid = p.id WHERE b.class = {} AND u.upvotes > {} AND p.viewcount > {} AND v.votetypeid = {}",
                              random.between(1, 2), random.between(1, 20) * 20, random.between(5, 20) * 1000, random.chance(0.5) ? 5 : 3));
  }, 5, 1, 6, false});
  classes.push_back({"report_links", "5 tables: discussions of linked questions", [](Random& random) {
    return simple(fmt::format("SELECT count(*), max(c.creationdate) FROM postlinks l JOIN posts q ON q.id = l.relatedpostid JOIN posts p ON p.id = l.postid JOIN users u ON u.id = p.owneruserid JOIN comments c ON c.postid = q.id WHERE q.viewcount > {} AND p.creationdate > '201{}-0{}-01' AND u.reputation > {}",
                              random.between(2, 20) * 1000, random.between(3, 6), random.between(1, 9), random.between(1, 30) * 50));
  }, 5, 1, 6, false});
}

void add_orm(std::vector<StatementClass>& classes) {
  classes.push_back({"orm_not_in", "NOT IN (subquery) over NOT NULL columns", [](Random& random) {
    return simple(fmt::format("SELECT u.id, u.reputation FROM users u WHERE u.reputation > {} AND u.id NOT IN (SELECT p.id FROM posts p WHERE p.score >= {}) ORDER BY u.id LIMIT 20", random.between(1, 20) * 100, random.between(0, 2)));
  }, 5, 2, 1, false});
  classes.push_back({"orm_count", "(SELECT count(*) …) > 0", [](Random& random) {
    return simple(fmt::format("SELECT u.id, u.reputation FROM users u WHERE u.reputation > {} AND (SELECT count(*) FROM votes v JOIN posts p ON p.id = v.postid WHERE p.owneruserid = u.id) > 0 ORDER BY u.id LIMIT 50", random.between(2, 30) * 100));
  }, 5, 2, 1, false});
  classes.push_back({"orm_cast", "id::text = '…'", [](Random& random) {
    return simple(fmt::format("SELECT id, postid, votetypeid, creationdate FROM votes WHERE id::text = '{}'", random.between(1, 200000)));
  }, 5, 2, 1, false});
  classes.push_back({"orm_orphans", "LEFT JOIN … WHERE pk IS NULL", [](Random& random) {
    return simple(fmt::format("SELECT count(*) FROM posts p LEFT JOIN votes v ON v.postid = p.id WHERE v.id IS NULL AND p.creationdate >= '201{}-0{}-01'", random.between(1, 5), random.between(1, 9)));
  }, 5, 1, 1, false});
  classes.push_back({"orm_coalesce", "COALESCE(col, 0) = 5", [](Random& random) {
    return simple(fmt::format("SELECT id, postid, votetypeid FROM votes WHERE COALESCE(userid, 0) = {} ORDER BY id", random.between(101, 4000)));
  }, 5, 2, 1, false});
}

void add_analytics(std::vector<StatementClass>& classes) {
  classes.push_back({"window", "best three posts of each author by a window", [](Random& random) {
    return simple(fmt::format("SELECT owneruserid, id, score, place FROM (SELECT owneruserid, id, score, row_number() OVER (PARTITION BY owneruserid ORDER BY score DESC, id) AS place FROM posts WHERE creationdate >= '201{}-01-01') ranked WHERE place <= 3 AND score > 40 ORDER BY owneruserid, place", random.between(1, 6)));
  }, 5, 1, 3, false});
  classes.push_back({"search", "words in titles", [](Random& random) {
    static constexpr std::array<std::string_view, 8> words{"visa", "train", "flight", "passport", "hotel", "bus", "airport", "Schengen"};
    return simple(fmt::format("SELECT id, title, score FROM posts WHERE title LIKE '%{}%' ORDER BY score DESC, id LIMIT 20", words[random.below(words.size())]));
  }, 6, 4, 1, false});
  classes.push_back({"time_range", "a month of comments by day", [](Random& random) {
    const std::string day = fmt::format("201{}-{:02}-01", random.between(2, 6), random.between(1, 12));
    return Statement{{{"SELECT creationdate::date AS day, count(*), sum(score) FROM comments WHERE creationdate >= $1::timestamp AND creationdate < $1::timestamp + interval '30 days' GROUP BY 1 ORDER BY 1", {day}, Protocol::extended}}, true, {}};
  }, 6, 2, 3, false});
}

}  // namespace

std::vector<StatementClass> travel_classes() {
  std::vector<StatementClass> classes;
  add_oltp(classes);
  add_dashboards(classes);
  add_reports(classes);
  add_orm(classes);
  add_analytics(classes);
  return classes;
}

std::vector<StatementClass> make_classes(const std::string& dataset, const Scale& scale) {
  if (dataset == "shop") return shop_classes(scale);
  if (dataset == "travel") return travel_classes();
  throw std::invalid_argument("no data set '" + dataset + "': shop or travel");
}

}  // namespace pgsteer::workload
