"""A throwaway PostgreSQL, a pgsteer in front of it, and connections that know what a statement cost the server."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import psycopg2

BIN = os.environ.get("PGBIN", "/usr/lib/postgresql/15/bin")
AS_ROOT = os.getuid() == 0
HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def settings_of(path):
    lines = [line.split("#")[0].strip() for line in open(path)]
    return [tuple(part.strip() for part in line.split("=", 1)) for line in lines if line]


class Server:
    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="pgsteer-steer-")
        os.chmod(self.work, 0o755)
        self.data, self.port = os.path.join(self.work, "pg"), free_port()
        os.mkdir(self.data)
        if AS_ROOT:
            shutil.chown(self.data, "nobody")
        self.as_server("initdb", "-D", self.data, "-A", "trust", "-N", "-U", "postgres", "-E", "UTF8", "--locale=C")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{self.data}'\n")
            f.write("".join(f"{name} = {value}\n" for name, value in settings_of(os.path.join(HERE, "server.conf"))))
        self.as_server("pg_ctl", "-D", self.data, "-l", os.path.join(self.data, "log"), "-w", "start")

    def as_server(self, program, *arguments):
        argv = [os.path.join(BIN, program), *arguments]
        if AS_ROOT:  # PostgreSQL refuses to run as root
            argv = ["runuser", "-u", "nobody", "--", *argv]
        subprocess.run(argv, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def url(self, database):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database} sslmode=disable"

    def sql(self, database, *statements):
        with Session(self.url(database)) as session:
            for statement in statements:
                session.cursor.execute(statement)

    def stop(self):
        self.as_server("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.work, ignore_errors=True)


class Session:
    """A client. `run` gives (rows, wall ms, CPU ms of the server process and of the process `beside` it)."""

    def __init__(self, url, beside=None):
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.clocks, self.beside, self.stretch = None, beside, 2.0

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.connection.close()

    def find_backend(self):
        self.cursor.execute("select pg_backend_pid()")
        processes = [self.cursor.fetchone()[0]] + ([self.beside] if self.beside else [])
        self.clocks = [(~process << 3) | 2 for process in processes]  # clock_getcpuclockid(3)

    def cpu_ns(self):
        return sum(time.clock_gettime_ns(clock) for clock in self.clocks)

    def run(self, sql, settings=()):
        if not self.clocks:
            self.find_backend()
        for name, value in settings:
            self.cursor.execute(f"set {name} = {value}")
        try:
            cpu, wall = self.cpu_ns(), time.perf_counter_ns()
            self.cursor.execute(sql)
            wall = (time.perf_counter_ns() - wall) / 1e6
            cpu = (self.cpu_ns() - cpu) / 1e6
            self.stretch = 0.8 * self.stretch + 0.2 * max(1.2, wall / max(cpu, 0.1))
            return answer(self.cursor.fetchall()), wall, cpu
        finally:
            for name, _ in settings:
                self.cursor.execute(f"reset {name}")

    def within(self, sql, limit_ms, settings=()):
        """(answer, CPU ms); (None, limit) when it takes longer. The server's limit is wall time, on a busy machine more than that."""
        self.cursor.execute(f"set statement_timeout = {int(limit_ms * min(8, self.stretch) + 2)}")
        try:
            rows, _, cpu = self.run(sql, settings)
            return (rows, cpu) if cpu <= limit_ms else (None, limit_ms)
        except psycopg2.errors.QueryCanceled:
            return None, limit_ms
        finally:
            self.cursor.execute("reset statement_timeout")

    def plan(self, sql, settings=()):
        for name, value in settings:
            self.cursor.execute(f"set {name} = {value}")
        self.cursor.execute("explain (costs off) " + sql)
        text = "\n".join(row[0] for row in self.cursor.fetchall())
        for name, _ in settings:
            self.cursor.execute(f"reset {name}")
        return text


def answer(rows):
    return sorted(str(row) for row in rows)


class Pgsteer:
    """A real pgsteer; `credit_ms` is all that exploring may cost, in the server's time."""

    def __init__(self, program, server, database, directory, seed, credit_ms=0, explore=True, threads=1):
        self.directory, self.port, self.database, self.server = directory, free_port(), database, server
        self.seed, self.threads = seed, threads
        os.makedirs(os.path.join(directory, "policies"), exist_ok=True)
        with open(os.path.join(directory, "policies", "all.toml"), "w") as f:
            f.write('[default]\nmode = "auto"\nrewrite = false\ncache = "off"\nsteer = { budget = "0%" }\n')
        self.configure(credit_ms, explore)
        with open(os.path.join(directory, "log"), "ab") as log:
            self.process = subprocess.Popen([program, "--config", os.path.join(directory, "pgsteer.toml")], stdout=log, stderr=log, cwd="/")
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"pgsteer does not listen:\n{open(os.path.join(directory, 'log')).read()}")

    def configure(self, credit_ms, explore):
        server = f"postgresql://postgres@127.0.0.1:{self.server.port}"
        with open(os.path.join(self.directory, "pgsteer.toml"), "w") as f:
            f.write(f'state_dir = "{self.directory}/state"\n[listen]\nport = {self.port}\n[http]\nport = 0\n[threads]\ncount = {self.threads}\n'
                    f'[upstream]\nurl = "{server}"\nprobe_url = "{server}/{self.database}"\n[policies]\ndirectory = "{self.directory}/policies"\n'
                    f'[learning]\nseed = {self.seed}\nretrain_interval = "0s"\nexplore_idle = "0"\nexplore_credit = "{int(credit_ms)}ms"\n'
                    f'explore = {"true" if explore else "false"}\n')

    def url(self, database):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database} sslmode=disable"

    def console(self, command):
        with Session(self.url("pgsteer")) as session:
            session.cursor.execute(command)
            if not session.cursor.description:
                return []
            names = [column[0] for column in session.cursor.description]
            return [dict(zip(names, row)) for row in session.cursor.fetchall()]

    def reload(self, credit_ms, explore):
        self.configure(credit_ms, explore)
        self.console("RELOAD")

    def feedback(self):
        return {row["name"]: row["value"] for row in self.console("SHOW FEEDBACK")}

    def settle(self, limit_s):
        """Until everything reported is worked off and nothing is left to explore within the budget: what exploring has cost so far."""
        end = time.time() + limit_s
        while time.time() < end:
            state = self.feedback()
            if state["settled"] == "yes":
                break
            time.sleep(0.1)
        time.sleep(0.3)
        return float(self.feedback()["explored_ms"])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
