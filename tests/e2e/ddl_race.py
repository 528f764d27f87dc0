"""Statements whose rewrites rest on NOT NULL, a primary key and a foreign key, while DDL takes all three away and puts them
back. Every statement carries a marker row that the same transaction changes: an answer says by itself whether it was computed
in a state with the constraints (even) or without (odd), and what it must look like there. Prints "rounds rewritten wrong"."""
import sys, threading, time
import psycopg2

proxy, direct, log, seconds, through = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5]


def connect(port):
    connection = psycopg2.connect(host='127.0.0.1', port=port, user='postgres', dbname='postgres')
    connection.autocommit = True
    return connection


# statement, a piece of its rewritten text, and whether an answer is wrong
def null_rows(rows):
    return any(v % 2 for _, v in rows)  # a NULL among the elements: NOT IN keeps no row


def repeated(rows):
    return len(rows) != len(set(rows))


def orphan(rows):
    return any(row[0] == 9999 for row in rows)


statements = [
    ('SELECT p.id, m.v FROM parent p, marker m WHERE p.id NOT IN (SELECT c.parent_id FROM child c)', 'NOT EXISTS', null_rows),
    ('SELECT DISTINCT u.id, u.w, m.id, m.v FROM uniq u, marker m', 'SELECT u.id, u.w, m.id, m.v', repeated),
    ('SELECT c.id, m.v FROM child c JOIN parent p ON p.id = c.parent_id, marker m WHERE c.id > 7890', 'FROM child AS c, marker AS m', orphan),
]
take = """BEGIN; ALTER TABLE child ALTER parent_id DROP NOT NULL; ALTER TABLE child DROP CONSTRAINT child_fk; ALTER TABLE uniq DROP CONSTRAINT uniq_pk;
          INSERT INTO child VALUES (9998, NULL), (9999, 123456); INSERT INTO uniq SELECT id, w FROM uniq WHERE id < 20; UPDATE marker SET v = v + 1; COMMIT"""
give = """BEGIN; DELETE FROM child WHERE id >= 9998; DELETE FROM uniq u USING uniq o WHERE u.id = o.id AND u.ctid > o.ctid; UPDATE marker SET v = v + 1;
          ALTER TABLE child ALTER parent_id SET NOT NULL; ALTER TABLE child ADD CONSTRAINT child_fk FOREIGN KEY (parent_id) REFERENCES parent;
          ALTER TABLE uniq ADD CONSTRAINT uniq_pk PRIMARY KEY (id); COMMIT"""
if through != 'through':  # of another shape: nothing that was learned (or withdrawn) before counts
    statements = [(text + ' WHERE m.id > 0' if 'WHERE' not in text else text + ' AND m.id > 0', piece, wrong) for text, piece, wrong in statements]
lock = 'BEGIN; LOCK TABLE parent, child, uniq, marker;'
take, give = take.replace('BEGIN;', lock), give.replace('BEGIN;', lock)
stop = threading.Event()
allowed_until = [0.0]  # DDL past us: wrong answers are promised to end within seconds
wrong, answers = [], [0]


def worker():
    connection = connect(proxy)
    cursor = connection.cursor()
    while not stop.is_set():
        for text, _, is_wrong in statements:
            started = time.time()
            try:
                cursor.execute(text)
            except psycopg2.errors.DeadlockDetected:
                continue
            rows = cursor.fetchall()
            answers[0] += 1
            if is_wrong(rows) and started > allowed_until[0]:
                wrong.append((time.time(), text, rows[:5]))


def rewritten_since(position):
    text = open(log, errors='replace').read()[position:]
    return [needle in text for _, needle, _ in statements]


def log_size():
    return len(open(log, errors='replace').read())


def change(cursor, script):
    while True:  # the readers lock the tables in two orders
        try:
            return cursor.execute(script)
        except psycopg2.errors.DeadlockDetected:
            cursor.execute('ROLLBACK')


ddl = connect(proxy if through == 'through' else direct)
cursor = ddl.cursor()
threads = [threading.Thread(target=worker) for _ in range(3)]
for thread in threads:
    thread.start()
rounds, seen = 0, [False] * len(statements)
end = time.time() + seconds
while time.time() < end and not wrong:
    position, patience = log_size(), time.time() + 20
    while not all(now := rewritten_since(position)) and time.time() < patience:
        time.sleep(0.2)
    seen = [a or b for a, b in zip(seen, now)]
    if through != 'through':
        allowed_until[0] = time.time() + 3600
    change(cursor, take)
    if through != 'through':
        allowed_until[0] = time.time() + 5
    time.sleep(1.0 if through == 'through' else 7)
    change(cursor, give)
    rounds += 1
stop.set()
for thread in threads:
    thread.join()
for _, text, rows in wrong[:3]:
    print('wrong:', text, rows, file=sys.stderr)
print(rounds, sum(seen), len(wrong), answers[0])
