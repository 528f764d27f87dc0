-- What Rails, Django and Hibernate write, over an issue tracker. Format: see tpch.sql.

-- name: r01  Rails: find
SELECT "users".* FROM "users" WHERE "users"."id" = {1..19000} LIMIT 1;

-- name: r02  Rails: a page of issues
-- ordered
SELECT "issues".* FROM "issues" WHERE "issues"."project_id" = {1..1900} AND "issues"."state" = 'opened' ORDER BY "issues"."created_at" DESC, "issues"."id" DESC LIMIT 20 OFFSET {0..40};

-- name: r03  Rails: joins.distinct.count
SELECT COUNT(DISTINCT "issues"."id") FROM "issues" LEFT OUTER JOIN "notes" ON "notes"."noteable_id" = "issues"."id" WHERE "issues"."project_id" IN ({1..20}, {21..60}, {61..200});

-- name: r04  Rails: left_joins.where(nil): without notes
SELECT COUNT(*) FROM "issues" LEFT OUTER JOIN "notes" ON "notes"."noteable_id" = "issues"."id" WHERE "notes"."id" IS NULL AND "issues"."author_id" < {500..2000};

-- name: r05  Rails: where.not(id: Subquery)
SELECT COUNT(*) FROM "users" WHERE "users"."id" NOT IN (SELECT "issues"."author_id" FROM "issues" WHERE "issues"."state" = 'opened') AND "users"."state" = '{active|blocked}';

-- name: r06  Rails: joins.distinct, ordered and limited
-- ordered
SELECT DISTINCT "projects".* FROM "projects" INNER JOIN "issues" ON "issues"."project_id" = "projects"."id" WHERE "issues"."weight" > {3..8} ORDER BY "projects"."id" ASC LIMIT 20;

-- name: r07  Rails: nested id IN (GitLab)
-- ordered
SELECT "issues".* FROM "issues" WHERE "issues"."id" IN (SELECT "issues"."id" FROM "issues" WHERE "issues"."author_id" = {1..300}) AND "issues"."state" = 'closed' ORDER BY "issues"."id" DESC LIMIT 50;

-- name: r08  Rails: visible projects: EXISTS OR (GitLab)
-- ordered
SELECT "projects".* FROM "projects" WHERE (EXISTS (SELECT 1 FROM "members" WHERE "members"."user_id" = {1..19000} AND "members"."project_id" = "projects"."id") OR "projects"."visibility_level" IN (20)) AND "projects"."archived" = FALSE ORDER BY "projects"."id" DESC LIMIT 20;

-- name: r09  Rails: either author or commenter
SELECT COUNT(*) FROM "issues" WHERE ("issues"."author_id" = {u=17|230|4711} OR "issues"."id" IN (SELECT "notes"."noteable_id" FROM "notes" WHERE "notes"."author_id" = {u}));

-- name: r10  Rails: an OR across a join
SELECT COUNT(*) FROM "issues" INNER JOIN "users" ON "users"."id" = "issues"."author_id" WHERE ("users"."username" = 'user{1..900}' OR "issues"."milestone_id" = {1..99} AND "issues"."weight" = 3);

-- name: r11  Rails: latest per project: id IN (MAX .. GROUP BY)
-- ordered
SELECT "issues"."id", "issues"."title" FROM "issues" WHERE "issues"."id" IN (SELECT MAX("issues"."id") FROM "issues" GROUP BY "issues"."project_id") AND "issues"."project_id" = {1..1900} ORDER BY "issues"."id";

-- name: r12  kaminari: count over an ordered subquery
SELECT COUNT(*) FROM (SELECT "issues"."id" FROM "issues" LEFT OUTER JOIN "users" ON "users"."id" = "issues"."assignee_id" WHERE "issues"."created_at" > '202{1..2}-06-01' ORDER BY "issues"."updated_at" DESC) subquery_for_count;

-- name: r13  includes: a preload
SELECT "notes".* FROM "notes" WHERE "notes"."noteable_id" IN ({1..99}, {100..199}, {200..299}, {300..399}, {400..499}, {500..599}, {600..699}, {700..799});

-- name: r14  having: projects with many members
SELECT COUNT(*) FROM "projects" WHERE "projects"."id" IN (SELECT "members"."project_id" FROM "members" GROUP BY "members"."project_id" HAVING COUNT(*) > {20..60}) AND "projects"."owner_id" < 500;

-- name: r15  keyset pagination
-- ordered
SELECT "issues".* FROM "issues" WHERE ("issues"."created_at" < '202{1..2}-0{1..9}-11 10:00:00+00' OR "issues"."created_at" = '2022-03-01 10:00:00+00' AND "issues"."id" < 90000) ORDER BY "issues"."created_at" DESC, "issues"."id" DESC LIMIT 20;

-- name: r16  keyset pagination, one value
-- ordered
SELECT "issues".* FROM "issues" WHERE ("issues"."created_at" < '{t=2021-08-03|2022-01-11|2022-04-05} 10:00:00+00' OR "issues"."created_at" = '{t} 10:00:00+00' AND "issues"."id" < 90000) ORDER BY "issues"."created_at" DESC, "issues"."id" DESC LIMIT 20;

-- name: d01  Django: select_related page
-- ordered
SELECT "issues"."id", "issues"."title", "issues"."updated_at", "users"."id", "users"."username" FROM "issues" INNER JOIN "users" ON ("issues"."author_id" = "users"."id") ORDER BY "issues"."updated_at" DESC, "issues"."id" DESC LIMIT {20..40};

-- name: d02  Django: select_related of a nullable key
-- ordered
SELECT "issues"."id", "issues"."title", "users"."username" FROM "issues" LEFT OUTER JOIN "users" ON ("issues"."assignee_id" = "users"."id") WHERE "issues"."state" = 'opened' ORDER BY "issues"."updated_at" DESC, "issues"."id" DESC LIMIT 25 OFFSET {0..100};

-- name: d03  Django: pagination's count with select_related
SELECT COUNT(*) AS "__count" FROM "issues" INNER JOIN "users" ON ("issues"."author_id" = "users"."id") INNER JOIN "projects" ON ("issues"."project_id" = "projects"."id") WHERE "issues"."weight" = {1..9};

-- name: d04  Django: exclude over a relation
SELECT COUNT(*) AS "__count" FROM "issues" WHERE NOT (EXISTS(SELECT 1 AS "a" FROM "notes" U1 WHERE (U1."author_id" = {1..50} AND U1."noteable_id" = ("issues"."id")) LIMIT 1));

-- name: d05  Django: exclude(relation=None): EXISTS on the same table
SELECT COUNT(*) AS "__count" FROM "issues" WHERE (NOT (EXISTS(SELECT 1 AS "a" FROM "issues" U0 LEFT OUTER JOIN "notes" U1 ON (U0."id" = U1."noteable_id") WHERE (U1."id" IS NULL AND U0."id" = ("issues"."id")) LIMIT 1)) AND "issues"."author_id" BETWEEN 3000 AND 30{20..30});

-- name: d06  Django: filter over two relations, distinct
-- ordered
SELECT DISTINCT "issues"."id", "issues"."title" FROM "issues" INNER JOIN "label_links" ON ("issues"."id" = "label_links"."issue_id") INNER JOIN "labels" ON ("label_links"."label_id" = "labels"."id") WHERE ("labels"."title" = 'label {1..80}' OR "issues"."milestone_id" = {1..90}) ORDER BY "issues"."id" LIMIT 50;

-- name: d07  Django admin: list_filter's choices
-- ordered
SELECT DISTINCT "issues"."state" FROM "issues" ORDER BY "issues"."state" ASC LIMIT {1000..1003};

-- name: d08  Django: __date lookup
SELECT COUNT(*) AS "__count" FROM "notes" WHERE ("notes"."created_at" AT TIME ZONE 'UTC')::date = '2022-0{1..9}-1{1..9}'::date;

-- name: d09  Django: __date in the session's zone
SELECT COUNT(*) FROM "notes" WHERE "notes"."created_at"::date = '2022-0{1..9}-1{1..9}';

-- name: d10  Django: annotate with a Subquery
-- ordered
SELECT "issues"."id", (SELECT U0."username" FROM "users" U0 WHERE U0."id" = ("issues"."assignee_id") LIMIT 1) AS "assignee" FROM "issues" WHERE "issues"."project_id" = {1..400} ORDER BY "issues"."id";

-- name: d11  Django: annotate(Count) over two relations
SELECT "projects"."id", "projects"."name", COUNT(DISTINCT "issues"."id") AS "n" FROM "projects" LEFT OUTER JOIN "issues" ON ("projects"."id" = "issues"."project_id") WHERE "projects"."owner_id" = {1..100} GROUP BY "projects"."id" HAVING COUNT(DISTINCT "issues"."id") > 1;

-- name: d12  Metabase: months since
-- ordered
SELECT date_trunc('month', "issues"."created_at") AS "m", count(*) FROM "issues" WHERE date_trunc('month', "issues"."created_at") >= '2022-1{0..2}-01'::timestamptz GROUP BY 1 ORDER BY 1;

-- name: j01  Hibernate: criteria with a fetch join
-- ordered
select i1_0.id, i1_0.title, p1_0.id, p1_0.name from issues i1_0 join projects p1_0 on p1_0.id = i1_0.project_id left join users a1_0 on a1_0.id = i1_0.assignee_id where p1_0.name = 'project {1..1900}' and i1_0.state = 'opened' order by i1_0.id fetch first 50 rows only;

-- name: j02  Hibernate: member of, size() > 0
select count(p1_0.id) from projects p1_0 where (select count(1) from members m1_0 where p1_0.id = m1_0.project_id and m1_0.access_level = {10|20|50}) > 0;

-- name: j03  Hibernate: a key as text
select count(*) from issues i1_0 where cast(i1_0.author_id as text) = '{1..19000}';

-- name: j04  Hibernate: coalesce in a condition
select count(*) from issues i1_0 where coalesce(i1_0.milestone_id, -1) = {1..99} and i1_0.state = 'opened';

-- name: j05  Hibernate: not exists through an outer join on its own key
select count(*) from users u1_0 where u1_0.id not in (select distinct m1_0.user_id from members m1_0 join projects p1_0 on p1_0.id = m1_0.project_id where p1_0.visibility_level = {0|10|20});

-- name: j06  Hibernate: a null-safe comparison
select count(*) from issues a1_0 join issues b1_0 on a1_0.project_id = b1_0.project_id and (a1_0.milestone_id = b1_0.milestone_id or a1_0.milestone_id is null and b1_0.milestone_id is null) where a1_0.author_id = {1..100} and b1_0.weight = 3;

-- name: j07  Hibernate: last note per issue
-- ordered
select n1_0.id, n1_0.body from notes n1_0 where n1_0.author_id = {1..200} and n1_0.created_at = (select max(n2_0.created_at) from notes n2_0 where n2_0.noteable_id = n1_0.noteable_id) order by n1_0.id;

-- name: j08  a report view joined to one row
select p.name, s.n from projects p join (select project_id, count(*) as n from issues group by project_id) s on s.project_id = p.id where p.name = 'project {1..1900}';

-- name: j09  three latest issues of each of an owner's projects
select p.id, s.id from projects p join (select id, project_id, row_number() over (partition by project_id order by created_at desc, id) as rn from issues) s on s.project_id = p.id where s.rn <= 3 and p.owner_id = {1..200};

-- name: j10  several counts side by side
select (select count(*) from issues where state = 'opened'), (select count(*) from issues where weight > {2..7}), (select max(created_at) from issues where state = 'closed');

-- name: j11  a feed: UNION ALL, ordered and limited
-- ordered
select i.id, i.created_at from issues i join users u on u.id = i.author_id where u.state = 'active' union all select n.id, n.created_at from notes n where n.system order by 2 desc, 1 limit {10..30};
