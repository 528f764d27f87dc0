#!/usr/bin/env python3
"""Holds the floors of DESIGN.md section 2: includes go down only, a library is included only where it is allowed, and every
header compiles alone.

    check.py [--root DIR] [--compiler g++] [--no-compile]     exit 0 when all holds, 1 with one line per fault
    check.py --self-test                                      plants one wrong include of each kind and must see each
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

# Folder -> folders it may include (longest folder name wins; a folder may always include itself).
FLOORS = {
    "protocol": [],
    "rewriter/sql": [],
    "rewriter": ["rewriter/sql"],
    "predictor": ["rewriter/sql"],
    "cache": ["rewriter/sql", "protocol"],
    "policies": ["rewriter", "predictor", "cache", "rewriter/sql"],
    "proxy": ["policies", "rewriter", "predictor", "cache", "rewriter/sql", "protocol"],
    "tests": None,  # anything; nothing includes them
    "bench": None,
}
NOBODY_INCLUDES = ("tests", "bench")

# Library: pattern of the include, and path prefixes where it may stand (besides tests and bench).
LIBRARIES = [
    ("Boost.Asio / Beast", r"boost/(asio|beast)([/.]|$)", ("proxy/", "cache/stores/")),
    ("libpg_query", r"pg_query", ("rewriter/sql/",)),
    ("XGBoost", r"xgboost/", ("predictor/models/",)),
    ("hiredis", r"hiredis/", ("cache/stores/redis", "cache/stores/hiredis")),
    ("libpqxx", r"pqxx/", ("proxy/",)),
    ("SQLite", r"sqlite3", ("predictor/store",)),
    ("spdlog", r"spdlog/", ("proxy/",)),
    ("Boost.JSON", r"boost/json", ("rewriter/",)),
    ("libpq", r"libpq-fe\.h", ("proxy/",)),
    ("CLI11", r"CLI/", ("proxy/cli/",)),
    ("toml++", r"toml(\+\+|plusplus)", ("proxy/", "policies/")),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
SUFFIXES = {".hpp", ".h", ".cpp", ".cc", ".ipp"}


def folder_of(path):
    """The floor element a path belongs to; None for what is no part of the program."""
    found = [name for name in FLOORS if path == name or path.startswith(name + "/")]
    return max(found, key=len) if found else None


def sources(root):
    for top in sorted({name.split("/")[0] for name in FLOORS}):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "node_modules" not in path.parts:
                yield path


def check_file(root, path):
    faults = []
    name = path.relative_to(root).as_posix()
    mine = folder_of(name)
    text = path.read_text(errors="replace")
    for match in INCLUDE.finditer(text):
        target = match.group(2)
        line = text[: match.start(1)].count("\n") + 1
        for library, pattern, allowed in LIBRARIES:
            if FLOORS[mine] is not None and re.match(pattern, target) and not name.startswith(allowed):
                faults.append(f"{name}:{line}: <{target}>: {library} is allowed only in {', '.join(allowed)}")
        if match.group(1) != '"':
            continue
        theirs = folder_of(target)
        if theirs is None:
            if not (path.parent / target).exists() or target.startswith(".."):
                faults.append(f'{name}:{line}: "{target}": project headers are included by their path from the top')
            continue
        if not (root / target).exists() and not (path.parent / target).exists():
            faults.append(f'{name}:{line}: "{target}" does not exist')
        if theirs == mine or FLOORS[mine] is None:
            continue
        if theirs in NOBODY_INCLUDES:
            faults.append(f'{name}:{line}: "{target}": nothing includes {theirs}')
        elif theirs not in FLOORS[mine]:
            allowed = ", ".join(FLOORS[mine]) or "nothing of the project"
            faults.append(f'{name}:{line}: "{target}": {mine} may include {allowed}, not {theirs}')
    return faults


def package_flags():
    """Include directories of the libraries that are not in /usr/include itself."""
    try:
        words = subprocess.run(["pkg-config", "--cflags-only-I", "libpqxx", "libpq", "hiredis", "xgboost"], capture_output=True,
                               text=True, check=False).stdout
    except FileNotFoundError:
        words = ""
    return shlex.split(words) + ["-isystem", "/usr/include/doctest"]


def compile_alone(root, header, compiler, flags):
    command = compiler + ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-DPGSTEER_VERSION=\"0\"",
                          "-DBOOST_ASIO_NO_DEPRECATED", "-DBOOST_ASIO_SEPARATE_COMPILATION", f"-I{root}"] + flags
    # A source of one line, so that #pragma once stands in a header and not in a main file.
    source = f'#include "{header.relative_to(root).as_posix()}"\n'
    run = subprocess.run(command + ["-x", "c++", "-"], input=source, capture_output=True, text=True, cwd=root)
    if run.returncode == 0:
        return []
    errors = [line for line in run.stderr.splitlines() if "error" in line] or run.stderr.splitlines()[:1]
    return [f"{header.relative_to(root).as_posix()} does not compile alone: {errors[0] if errors else 'no message'}"]


def check(root, compiler, compile_headers, jobs=2):
    files = list(sources(root))
    faults = [fault for path in files for fault in check_file(root, path)]
    headers = [path for path in files if path.suffix == ".hpp"]
    if compile_headers:
        flags = package_flags()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for found in pool.map(lambda header: compile_alone(root, header, compiler, flags), headers):
                faults += found
    return faults, len(files), len(headers)


PLANTS = [  # file, its text, words the fault must contain
    ("protocol/planted.hpp", '#include "rewriter/candidate.hpp"\n', "protocol may include"),
    ("rewriter/sql/planted.cpp", '#include "rewriter/candidate.hpp"\n', "rewriter/sql may include"),
    ("predictor/planted.cpp", '#include "cache/cache.hpp"\n', "predictor may include"),
    ("policies/planted.cpp", '#include "proxy/hub.hpp"\n', "policies may include"),
    ("cache/planted.cpp", "#include <boost/asio.hpp>\n", "Boost.Asio"),
    ("rewriter/planted.cpp", "#include <pg_query.h>\n", "libpg_query"),
    ("predictor/planted2.cpp", "#include <xgboost/c_api.h>\n", "XGBoost"),
    ("cache/stores/planted.cpp", "#include <hiredis/hiredis.h>\n", "hiredis"),
    ("policies/planted2.cpp", "#include <spdlog/spdlog.h>\n", "spdlog"),
    ("proxy/planted.cpp", "#  include <boost/json/value.hpp>\n", "Boost.JSON"),
    ("proxy/planted2.cpp", '#include "tests/support/servers.hpp"\n', "nothing includes tests"),
    ("proxy/planted3.cpp", '#include "proxy/no_such_file.hpp"\n', "does not exist"),
    ("predictor/planted3.cpp", "#include <sqlite3.h>\n", "SQLite"),
    ("rewriter/planted2.cpp", "#include <pqxx/pqxx>\n", "libpqxx"),
]


def self_test(root, compiler):
    with tempfile.TemporaryDirectory() as directory:
        copy = pathlib.Path(directory)
        for top in {name.split("/")[0] for name in FLOORS}:
            if (root / top).is_dir():
                shutil.copytree(root / top, copy / top, ignore=lambda d, names: [n for n in names if n == "node_modules"])
        missed = 0
        for name, text, words in PLANTS:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text(text)
            seen = [fault for fault in check_file(copy, copy / name) if words in fault]
            print(f"planted {name}: {seen[0] if seen else 'NOT SEEN'}")
            missed += not seen
        incomplete = copy / "policies" / "planted_incomplete.hpp"
        incomplete.write_text("#pragma once\ninline std::string planted() { return {}; }\n")
        seen = compile_alone(copy, incomplete, compiler, package_flags())
        print(f"planted header without its includes: {seen[0] if seen else 'NOT SEEN'}")
        return missed + (not seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent.parent)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"), help="may be several words: 'ccache g++'")
    parser.add_argument("--no-compile", action="store_true", help="look at includes only")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    compiler = shlex.split(options.compiler)
    if options.self_test:
        missed = self_test(options.root, compiler)
        print(f"{len(PLANTS) + 1 - missed} of {len(PLANTS) + 1} planted faults were seen")
        return 1 if missed else 0
    faults, files, headers = check(options.root, compiler, not options.no_compile)
    for fault in faults:
        print(fault)
    compiled = "looked at includes only" if options.no_compile else f"{headers} headers compiled alone"
    print(f"{files} files, {compiled}: {len(faults)} faults")
    return 1 if faults or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
