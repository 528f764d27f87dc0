import { get, quoted, rows, trend } from '../api.js'
import { chart } from '../chart.js'
import { confirmCommand } from '../dialog.js'
import { download, fill, h } from '../dom.js'
import { count, factor, ms, parseTime, percent, time, utc } from '../format.js'
import { csvButton, simpleTable } from '../table.js'

const spans = [[5, '5 min'], [15, '15 min'], [60, '1 h'], [180, '3 h']]

// A line for each clause: for people.
const broken = (sql) => sql.split(/\s+(?=(?:FROM|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|OFFSET|UNION|(?:LEFT |RIGHT |FULL |INNER |CROSS )?JOIN|SET|VALUES|RETURNING|ON CONFLICT)\b)/i).join('\n')

// #/statements/<fingerprint>?minutes=60 or ?from=<ms>&to=<ms>
export function statement(root, { argument: fingerprint, query }) {
  let range = rangeOf(query)
  const head = h('section', {}), answer = h('section', { class: 'card', 'aria-live': 'off' }), state = h('section', {}), action = h('section', { class: 'card' }), plan = h('section', { class: 'card' }), executions = h('section', { class: 'card' })
  const candidates = h('section', { class: 'card' }), explain = h('section', { class: 'card' })
  const choice = h('select', { 'aria-label': 'Time window', onchange: () => go({ minutes: choice.value }) }, h('option', { value: '' }, 'selected span'),
    spans.map(([minutes, label]) => h('option', { value: minutes }, 'last ' + label)))
  const at = h('input', { type: 'datetime-local', 'aria-label': 'Ten minutes around this time', onchange: () => {
    const middle = new Date(at.value).getTime()
    if (middle) go({ from: middle - 300000, to: middle + 300000 })
  } })
  const history = chart({ title: 'Latency', unit: ms, onrange: (from, to) => go({ from: Math.round(from), to: Math.round(to) }),
    series: [{ name: 'mean' }, { name: 'slowest' }, { name: 'predicted', colour: 2 }, { name: 'interval, high', band: true, bandTo: 1, colour: 2 }, { name: 'interval, low', band: true, colour: 2 }] })
  const whole = chart({ title: 'All statements at that time', unit: ms, height: 130, series: [{ name: 'p50' }, { name: 'p95' }, { name: 'p99' }] })
  const calls = chart({ title: 'Executions', unit: count, height: 130, series: [{ name: 'all' }, { name: 'changed' }, { name: 'cached' }, { name: 'errors' }] })
  root.append(h('p', { class: 'crumb' }, h('a', { href: '#/statements' }, 'Statements'), ' / ', h('code', {}, fingerprint)), head,
    h('div', { class: 'toolbar' }, h('label', {}, 'Time window ', choice), h('label', {}, 'or around ', at), h('span', { class: 'quiet' }, 'or drag over the chart')),
    answer, h('div', { class: 'two wide-left' }, history.element, h('div', {}, calls.element, whole.element)), executions, action, candidates, h('div', { class: 'two' }, plan, explain))
  drawChoice()

  function rangeOf(parameters) {
    const from = Number(parameters.get('from')), to = Number(parameters.get('to'))
    return from && to > from ? { from, to } : { minutes: Number(parameters.get('minutes')) || 60 }
  }
  function go(next) {
    location.hash = `#/statements/${fingerprint}?` + new URLSearchParams(next)
  }
  function drawChoice() {
    choice.value = range.minutes && spans.some(([m]) => m === range.minutes) ? range.minutes : ''
    if (range.from) {
      const middle = new Date((range.from + range.to) / 2)
      at.value = new Date(middle - middle.getTimezoneOffset() * 60000).toISOString().slice(0, 16)
    } else at.value = ''
  }

  async function act(title, explanation, text) {
    if (await confirmCommand(title, explanation, text)) update()
  }

  function drawHead(s) {
    fill(head, [s.text, s.totals], () => [
      h('h1', { class: 'statement-title' }, s.kind, ' ', h('code', {}, fingerprint)),
      h('div', { class: 'sql' }, h('pre', { tabindex: 0, 'aria-label': 'Statement' }, broken(s.text))),
      simpleTable('Since start', [
          { label: 'Database', name: 'database' }, { label: 'Calls', right: true, show: (r) => count(r.calls) }, { label: 'Errors', right: true, show: (r) => count(r.errors) },
          { label: 'Total', right: true, show: (r) => ms(r.total_ms) }, { label: 'Mean', right: true, show: (r) => ms(r.mean_ms) }, { label: 'p50', right: true, show: (r) => ms(r.p50_ms) },
          { label: 'p95', right: true, show: (r) => ms(r.p95_ms) }, { label: 'p99', right: true, show: (r) => ms(r.p99_ms) },
          { label: 'Predicted', right: true, show: (r) => ms(r.predicted_ms || null) }, { label: 'Off by', right: true, show: (r) => factor(r.q_error_p50) },
          { label: 'Saved', right: true, show: (r) => (r.saved_ms ? ms(r.saved_ms) : '–') }, { label: 'Cacheable', show: (r) => r.cacheable + (r.reason ? ': ' + r.reason : '') }, { label: 'Last action', name: 'action' },
        ], [s.totals]),
      s.cache.reason && s.cache.reason !== 'none' && h('p', { class: 'quiet' }, `Not cached: ${s.cache.reason.replaceAll('_', ' ')}${s.cache.detail ? ' (' + s.cache.detail + ')' : ''}`)].filter(Boolean))
  }

  const which = h('select', { 'aria-label': 'Candidate' })
  const unpin = h('button', { type: 'button', onclick: () => act('Unpin', 'Let the decision be made again.', `UNPIN ${quoted(fingerprint)}`) }, 'Unpin')
  const rule = h('select', { 'aria-label': 'Mode or cache for this statement' }, [['mode = "off"', 'mode off'], ['mode = "observe"', 'mode observe'], ['mode = "suggest"', 'mode suggest'],
    ['mode = "canary"', 'mode canary'], ['mode = "auto"', 'mode auto'], ['mode = "auto"\ncache = { mode = "strict" }', 'cache strict'],
    ['mode = "auto"\ncache = { mode = "bounded", staleness = "2s" }', 'cache, at most 2 s old'], ['cache = "off"', 'cache off']].map(([text, label]) => h('option', { value: text }, label)))
  action.append(h('h2', {}, 'What to do with it'), state,
    h('div', { class: 'toolbar' },
      h('label', {}, 'Candidate ', which),
      h('button', { type: 'button', onclick: () => act('Pin', 'Always use this candidate for this statement.', `PIN ${quoted(fingerprint)} TO ${quoted(which.value)}`) }, 'Pin'),
      unpin,
      h('button', { type: 'button', class: 'danger', onclick: () => act('Ban', 'Never use this candidate for this statement.', `BAN ${quoted(fingerprint)} ${quoted(which.value)}`) }, 'Ban'),
      h('span', { class: 'divider' }),
      h('label', {}, 'Policy ', rule),
      h('button', { type: 'button', onclick: () => ruleDialog(`[[rule]]\nname = "${fingerprint}"\nmatch = { fingerprint = "${fingerprint}" }\n${rule.value}\n`) }, 'Show rule')))

  function drawAction(s) {
    const labels = [...new Set(['as-is', ...s.candidates.map((c) => c.label)])]
    unpin.disabled = !s.pinned && !s.banned.length
    fill(which, labels, () => labels.map((label) => h('option', { value: label }, label)))
    fill(state, [s.pinned, s.totals.action, s.banned], () => h('p', {},
      ...(s.pinned ? ['Pinned to ', h('code', {}, s.pinned), '. '] : ['Now: ', h('code', {}, s.totals.action), '. ']),
      ...(s.banned.length ? ['Banned: ', h('code', {}, s.banned.join(', ')), '.'] : [])))
  }

  function ruleDialog(text) {
    const dialog = h('dialog', { 'aria-labelledby': 'rule-title' }, h('h2', { id: 'rule-title' }, 'Policy rule'),
      h('p', {}, 'Modes and caching are decided by the policy files. Put this before the rules it should win over, then reload.'),
      h('pre', { tabindex: 0 }, text),
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => dialog.close() }, 'Close'),
        h('button', { type: 'button', onclick: () => download(fingerprint + '.toml', 'text/plain', text) }, 'Save as file'),
        h('button', { type: 'button', onclick: (event) => { navigator.clipboard?.writeText(text); event.target.textContent = 'Copied' } }, 'Copy'),
        h('button', { type: 'button', class: 'primary', onclick: () => { dialog.close(); confirmCommand('Reload', 'Reads configuration and policies again: all or nothing.', 'RELOAD') } }, 'Reload')))
    dialog.addEventListener('close', () => dialog.remove())
    document.body.append(dialog)
    dialog.showModal()
  }

  function drawHistory(s, from, to) {
    const minutes = s.history.filter((m) => m.unix * 1000 >= from - 60000 && m.unix * 1000 <= to)
    const column = (name) => minutes.map((m) => m[name])
    const predicted = (name) => minutes.map((m) => (m.predicted_ms > 0 ? m[name] : null))
    const at = column('unix')
    history.set([at, column('mean_ms'), column('max_ms'), predicted('predicted_ms'), predicted('high_ms'), predicted('low_ms')])
    calls.set([at, column('calls'), column('changed'), column('cache_hits'), column('errors')])
  }

  const cached = (e) => e.source.startsWith('cache')
  const did = (e) => (e.source === 'local' ? 'refused' : cached(e) ? 'answered from the cache' : e.action === 'as-is' ? 'sent as it came' : 'sent ' + e.action)
  const why = (e) => e.reason.replaceAll('_', ' ') + (e.detail ? ': ' + e.detail : '')

  // In words: what the slowest one here suffered from, as far as the figures tell.
  function drawAnswer(s, line) {
    const e = s.executions.reduce((a, b) => (!a || b.actual_ms + b.queued_ms > a.actual_ms + a.queued_ms ? b : a), null)
    fill(answer, [e?.id, s.executions.length], () => {
      if (!e) return [h('h2', {}, 'In this window'), h('p', { class: 'quiet' }, 'It did not run, as far back as this process remembers: three hours by the minute.')]
      const facts = []
      if (e.queued_ms > 1) facts.push(`Before that it waited ${ms(e.queued_ms)} for a place in lane “${e.lane}”.`)
      const usual = s.totals.p50_ms
      if (usual > 0) facts.push(e.actual_ms > 1.5 * usual ? `That is ${(e.actual_ms / usual).toFixed(1)}× its median since start (${ms(usual)}).` : `Its median since start is ${ms(usual)}.`)
      if (e.predicted_ms > 0 && !cached(e)) facts.push(e.actual_ms > e.high_ms ? `Predicted were ${ms(e.predicted_ms)}, at most ${ms(e.high_ms)}: its plan or its load was another than usual.` : e.actual_ms < e.low_ms ? `Predicted were ${ms(e.predicted_ms)}, more than it took.` : `Predicted were ${ms(e.predicted_ms)} (90 %: ${ms(e.low_ms)} to ${ms(e.high_ms)}): inside of what was expected.`)
      const then = line.points.filter((p) => Math.abs(p.unix_ms - e.time_ms) < 30000 && p.p95_ms > 0).map((p) => p.p95_ms)
      const all = line.points.filter((p) => p.p95_ms > 0).map((p) => p.p95_ms).sort((a, b) => a - b)
      if (then.length && all.length > 20) {
        const most = Math.max(...then), typical = all[all.length >> 1]
        facts.push(most > 2 * typical ? `Other statements were slow then too: their p95 was ${ms(most)}, in this hour mostly ${ms(typical)}.` : 'Other statements were not slower then than at other times.')
      }
      if (e.rows > 1000) facts.push(`It returned ${count(e.rows)} rows.`)
      if (e.sqlstate) facts.push(`It ended with SQLSTATE ${e.sqlstate}.`)
      return [h('h2', {}, 'In this window'),
        h('p', {}, 'Slowest: ', h('strong', {}, ms(e.actual_ms)), ' at ', h('time', { title: utc(e.time_ms) }, time(e.time_ms)), ', user ', e.user, e.application ? ` (${e.application})` : '', '. ', facts.join(' ')),
        h('p', {}, 'What pgsteer did: ', h('strong', {}, did(e)), `. Rule “${e.rule}”, mode ${e.mode}; ${why(e)}.`)]
    })
  }

  let order = 'time'
  function drawExecutions(s) {
    const inside = s.executions.filter((e) => e.actual_ms >= e.low_ms && e.actual_ms <= e.high_ms && !cached(e)).length
    const predicted = s.executions.filter((e) => e.predicted_ms > 0 && !cached(e)).length
    fill(executions, [order, s.executions.length, s.executions[0]?.id, range], () => {
      const rows = [...s.executions].sort((a, b) => (order === 'time' ? b.time_ms - a.time_ms : b.actual_ms + b.queued_ms - a.actual_ms - a.queued_ms))
      const columns = [
        { name: 'time_ms', label: 'When', show: (e) => h('time', { title: utc(e.time_ms) }, time(e.time_ms)) },
        { name: 'actual_ms', label: 'Took', right: true, show: (e) => ms(e.actual_ms) },
        { name: 'queued_ms', label: 'Waited', right: true, show: (e) => (e.queued_ms > 0 ? ms(e.queued_ms) : '–') },
        { name: 'predicted_ms', label: 'Predicted (90 %)', right: true, show: (e) => (e.predicted_ms > 0 ? `${ms(e.predicted_ms)} (${ms(e.low_ms)} … ${ms(e.high_ms)})` : '–') },
        { name: 'low_ms' }, { name: 'high_ms' },
        { name: 'action', label: 'What pgsteer did', show: did },
        { name: 'source' }, { name: 'lane' },
        { name: 'reason', label: 'Why', wide: true, show: why }, { name: 'detail' },
        { name: 'mode', label: 'Mode' }, { name: 'rule', label: 'Rule' },
        { name: 'user', label: 'User' }, { name: 'application' }, { name: 'trace_id' },
        { name: 'rows', label: 'Rows', right: true, show: (e) => count(e.rows) },
        { name: 'sqlstate', label: 'Error', code: true },
      ]
      const select = h('select', { 'aria-label': 'Order', onchange: () => { order = select.value; drawExecutions(s) } }, h('option', { value: 'time' }, 'newest first'), h('option', { value: 'slow' }, 'slowest first'))
      select.value = order
      return [h('div', { class: 'toolbar' }, h('h2', {}, 'Executions in this window'), select, h('span', { class: 'quiet' },
        predicted ? `${percent(inside, predicted)} of ${predicted} within the predicted interval` : ''), h('span', { class: 'grow' }), csvButton('executions-' + fingerprint, columns, () => rows)),
        h('div', { class: 'tall' }, simpleTable('Executions', columns.filter((c) => c.label), rows.slice(0, 200), 'None in this window.')),
        h('p', { class: 'quiet' }, 'The newest thousand, and of every minute of three hours the slowest.')]
    })
  }

  function drawCandidates(s) {
    const tone = { approved: 'good', pinned: 'good', rejected: 'bad', disabled: 'bad', banned: 'bad' }
    fill(candidates, s.candidates, () => [h('h2', {}, 'Candidates and experiments'), simpleTable('Candidates', [
      { label: 'Candidate', code: true, name: 'label' },
      { label: 'State', show: (c) => h('span', { class: 'badge ' + (tone[c.state] ?? '') }, c.state) },
      { label: 'Planner cost', right: true, show: (c) => (c.cost_original > 0 ? `${count(Math.round(c.cost_original))} → ${count(Math.round(c.cost_rewritten))}` : '–') },
      { label: 'Served', right: true, show: (c) => count(c.runs) }, { label: 'Tried', right: true, show: (c) => count(c.explored) },
      { label: 'Median', right: true, show: (c) => (c.median_ms > 0 ? ms(c.median_ms) : '–') }, { label: 'p95', right: true, show: (c) => (c.p95_ms > 0 ? ms(c.p95_ms) : '–') },
      { label: 'Worst case', right: true, show: (c) => factor(c.worst_ratio) },
      { label: 'Gain at least', right: true, show: (c) => (c.gain_low !== null && c.gain_low > -10 && c.label !== 'as-is' ? (100 * c.gain_low).toFixed(0) + ' %' : '–') },
      { label: 'Why', wide: true, name: 'why' },
    ], s.candidates, 'None: only a plain SELECT is ever changed, and only once the background has looked at it.')])
  }

  function drawPlan(s) {
    fill(plan, s.plan, () => [h('h2', {}, 'The server’s plan'), s.plan.known ? h('pre', { tabindex: 0, 'aria-label': 'Plan' }, s.plan.text)
      : h('p', { class: 'quiet' }, 'Not looked at yet: the background asks for the plans of what costs most.')])
    // The difference of a rewrite is a part of it, a line each beginning with + or -.
    fill(explain, s.explain, () => [h('h2', {}, 'What would be done now'), h('pre', { class: 'diff', tabindex: 0, 'aria-label': 'EXPLAIN (PGSTEER)' },
      s.explain.map((line) => h(/^\s+\+ /.test(line) ? 'ins' : /^\s+- /.test(line) ? 'del' : 'span', {}, line)))])
  }

  async function update() {
    const to = range.to ?? Date.now(), from = range.from ?? to - range.minutes * 60000
    const [s, decisions, line] = await Promise.all([get('statements/' + fingerprint), rows(`decisions?limit=1000&fingerprint=${fingerprint}`), trend(3600, 10)])
    const known = new Map([...s.slowest, ...decisions].map((d) => [d.id, { ...d, time_ms: parseTime(d.time) }]))
    s.executions = [...known.values()].filter((d) => d.time_ms >= from && d.time_ms <= to).sort((a, b) => b.time_ms - a.time_ms)
    drawHead(s)
    drawAnswer(s, line)
    const then = line.points.filter((p) => p.unix_ms >= from && p.unix_ms <= to && p.queries_per_second > 0)
    whole.set([then.map((p) => p.unix_ms / 1000), ...['p50_ms', 'p95_ms', 'p99_ms'].map((name) => then.map((p) => p[name]))])
    drawAction(s)
    drawHistory(s, from, to)
    drawExecutions(s)
    drawCandidates(s)
    drawPlan(s)
  }
  return {
    update,
    navigate(parameters) {
      range = rangeOf(parameters)
      drawChoice()
      return update()
    },
    dispose() {
      history.dispose()
      calls.dispose()
      whole.dispose()
    },
  }
}
