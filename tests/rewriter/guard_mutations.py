#!/usr/bin/python3
"""Takes the guards of guards.txt out of the rules one at a time and asks the tests whether they notice.

guard_mutations.py [--statements 1200] [--only TEXT] [--part 1/2] [BUILD-DIR]      (default build/release, with test_rewriter built there)

Every mutant is one source file compiled anew and linked in front of the library, in a temporary directory: nothing of the
source tree or the build changes. Prints a table: rule, guard, seconds until the differential test (of that rule's generators,
at most --statements of them) saw a difference, and whether a golden file or another test without a server notices. Ends with 1 when
nothing did for some guard. A guard costs about ten seconds of one processor.
"""
import argparse, collections, json, os, re, shlex, subprocess, sys, tempfile, time

root = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
arguments = argparse.ArgumentParser()
arguments.add_argument('build', nargs='?', default='build/release')
arguments.add_argument('--statements', type=int, default=1200)
arguments.add_argument('--only', default='')
arguments.add_argument('--part', default='1/1')
options = arguments.parse_args()
build = os.path.join(root, options.build)
commands = {os.path.normpath(os.path.join(c['directory'], c['file'])): c
            for c in json.load(open(os.path.join(build, 'compile_commands.json')))}
link = subprocess.check_output(['ninja', '-C', build, '-t', 'commands', '-s', 'tests/test_rewriter'], text=True)
link = [line for line in link.splitlines() if '-o tests/test_rewriter' in line][-1]
link = re.search(r'(\S*c\+\+ .*?-o tests/test_rewriter.*?)(?: && :)?$', link).group(1)


def guards():
    for line in open(os.path.join(root, 'tests/rewriter/guards.txt')):
        if line.strip() and not line.startswith('#'):
            parts = line.rstrip('\n').split(' | ')
            if len(parts) == 4: parts.append('')
            file, rule, guard, old, new = parts
            yield file, rule, guard, old.strip().replace('\\n', '\n'), new.strip().replace('\\n', '\n')


def run(binary, filter, extra):
    started = time.time()
    done = subprocess.run([binary, filter], env=dict(os.environ, **extra), capture_output=True, text=True, cwd=root)
    return done, time.time() - started


unseen = total = number = 0
part, parts = map(int, options.part.split('/'))
counts = collections.Counter()
with tempfile.TemporaryDirectory() as work:
    for file, rule, guard, old, new in guards():
        if options.only and options.only not in file + ' ' + rule + ' ' + guard: continue
        number += 1
        if number % parts != part % parts: continue
        total += 1
        path = os.path.join(root, 'rewriter', file)
        text = open(path).read()
        if old not in text:
            print(f'{rule:28} {guard:55} the table is out of date: text not found', flush=True)
            unseen += 1
            continue
        mutant = os.path.join(work, 'mutant.cpp')
        open(mutant, 'w').write(text.replace(old, new, 1))
        command = commands[path]['command']
        words = [w for w in shlex.split(command) if w not in ('-Werror', '-O3') and 'ccache' not in w]
        out = words.index('-o')
        words[out + 1] = os.path.join(work, 'mutant.o')
        words = ['-w' if w == '-Wall' else mutant if os.path.normpath(os.path.join(build, w)) == path else w for w in words]
        if '-MD' in words: words[words.index('-MD'):words.index('-o')] = []
        done = subprocess.run(words + ['-O0'], cwd=build, capture_output=True, text=True)
        binary = os.path.join(work, 'test_mutant')
        if done.returncode == 0:
            line = link.replace('-o tests/test_rewriter', f'{work}/mutant.o -o {binary}')
            done = subprocess.run(line, shell=True, cwd=build, capture_output=True, text=True)
        if done.returncode != 0:
            print(f'{rule:28} {guard:55} does not build: {done.stderr[:300]}', flush=True)
            unseen += 1
            continue
        golden, _ = run(binary, '-sf=*golden_test.cpp,*candidate_test.cpp', {})
        by_golden = 'yes' if golden.returncode else 'no'
        test, took = run(binary, '-tc=rewritten statements*', {'PGSTEER_RULE': rule, 'PGSTEER_SECONDS': '300', 'PGSTEER_DIFFERENTIAL': str(options.statements),
                                                           'PGSTEER_DIFFERENCES': '1', 'PGSTEER_SEED': '77'})
        found = ', rows of seed' in test.stdout or 'SIGSEGV' in test.stdout
        kind = re.search(r'^(rows|columns|a new error|errors):', test.stdout, re.M)
        seen = f'{kind.group(1) if kind else "crash"} after {took:.0f} s' if found else 'no'
        if not found and by_golden == 'no': unseen += 1
        counts['both' if found and by_golden == 'yes' else 'differential alone' if found else 'golden alone' if by_golden == 'yes' else 'nothing'] += 1
        print(f'{rule:28} {guard:55} differential: {seen:24} golden: {by_golden}', flush=True)
print(f'{total} guards; noticed by ' + ', '.join(f'{name}: {count}' for name, count in sorted(counts.items())))
sys.exit(1 if unseen else 0)
